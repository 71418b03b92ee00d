"""Wheels, unpacked once per digest into trees of the store (PyPA binary distribution format).

A tree holds a wheel's files by installation scheme (``purelib/``, ``scripts/`` ...), because where those lie
depends on the prefix. RECORD is checked on the way and left out: the one of an installation is another.
"""

from __future__ import annotations

import zipfile
from hashlib import new as new_hash
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

from hermetic.errors import IntegrityError
from hermetic.lock.model import Wheel
from hermetic.plan.conda_files import check_name, check_path
from hermetic.plan.keys import wheel_tree_key
from hermetic.realize.faults import machine_fault, words
from hermetic.realize.trees import Tree, make_tree

if TYPE_CHECKING:
    from installer.destinations import WheelDestination
    from installer.records import RecordEntry

    from hermetic.store import Store

KIND = "wheel"
_BLOCK = 1 << 18


def wheel_tree(store: Store, wheel: Wheel) -> Tree:
    """Give a wheel's tree, unpacked first if need be. Raises IntegrityError for a file that is no sound wheel.

    The wheel itself must be in the store.
    """
    return make_tree(store, KIND, wheel_tree_key(wheel), lambda folder: _unpack(store, wheel, folder))


def _unpack(store: Store, wheel: Wheel, folder: Path) -> dict[str, Any]:
    import warnings

    from installer import install
    from installer.sources import WheelFile

    from hermetic.store.archive import inspect

    with store.staging() as staging:
        named = staging / wheel.file_name  # the file name says which metadata folder is the wheel's own
        named.symlink_to(store.blob_path(wheel.sha256))
        inspect(named)
        destination = _destination(folder, wheel)
        try:
            with WheelFile.open(named) as source, warnings.catch_warnings():
                warnings.simplefilter("ignore")  # "__pycache__ is not installed": we make our own
                _check_record(source, destination)
                install(source, destination, {})
                about = {"dist_info": source.dist_info_dir, "root": destination.root, "scripts": destination.scripts}
        except IntegrityError:
            raise
        except (
            OSError,
            ValueError,
            AssertionError,
            KeyError,
            RuntimeError,
            NotImplementedError,
            zipfile.BadZipFile,
        ) as e:
            if isinstance(e, OSError) and (fault := machine_fault(e, f"cannot unpack {wheel.file_name}")):
                raise fault from e
            raise _unsound(wheel, words(e) or type(e).__name__) from e
    return about


def _unsound(wheel: Wheel, reason: str) -> IntegrityError:
    return IntegrityError(
        f"{wheel.file_name} is no sound wheel: {reason}",
        remedy=f"choose another version of {wheel.name}, or tell its makers",
    )


def _check_record(source: Any, destination: Any) -> None:
    """Keep what RECORD says of each file, to be compared while the files are written."""
    from installer.records import parse_record_file

    for path, stated, _ in parse_record_file(source.read_dist_info("RECORD").splitlines()):
        destination.stated[path] = stated


def _destination(folder: Path, wheel: Wheel) -> Any:
    from installer.destinations import WheelDestination
    from installer.records import RecordEntry

    class TreeDestination(WheelDestination):
        """Writes a wheel into a tree; what depends on a prefix is kept as data."""

        def __init__(self) -> None:
            self.scripts: list[list[str]] = []
            self.stated: dict[str, str] = {}
            self.root = ""

        def write_script(self, name: str, module: str, attr: str, section: str) -> RecordEntry:
            check_name(name)
            self.scripts.append([name, module, attr, section])
            return RecordEntry(name, None, None)

        def write_file(self, scheme: str, path: Any, stream: BinaryIO, is_executable: bool) -> RecordEntry:
            check_path(str(path))
            target = folder / scheme / str(path)
            if target.exists():
                raise _unsound(wheel, f"it holds {path} twice")
            target.parent.mkdir(parents=True, exist_ok=True)
            stated = self._stated(scheme, str(path))
            algorithm, _, digest = stated.partition("=")
            hasher = new_hash(algorithm) if digest else None
            with target.open("xb") as file:
                while block := stream.read(_BLOCK):
                    file.write(block)
                    if hasher:
                        hasher.update(block)
            if hasher and _urlsafe(hasher.digest()) != digest.rstrip("="):
                raise _unsound(wheel, f"its RECORD gives another digest for {path}")
            if is_executable or scheme == "scripts":
                target.chmod(0o755)
            return RecordEntry(str(path), None, None)

        def finalize_installation(self, scheme: str, record_file_path: str, records: object) -> None:
            del record_file_path, records  # RECORD is made for the prefix
            self.root = scheme

        def _stated(self, scheme: str, path: str) -> str:
            data = f"{record_folder}.data/{scheme}/{path}"
            return self.stated.get(data, self.stated.get(path, ""))

    record_folder = "-".join(wheel.file_name.split("-")[:2])
    kind: type[WheelDestination] = TreeDestination
    return kind()


def _urlsafe(digest: bytes) -> str:
    from base64 import urlsafe_b64encode

    return urlsafe_b64encode(digest).rstrip(b"=").decode()
