"""Members on their way into the store: little memory, nothing half-made, and what changed meanwhile is noticed."""

from __future__ import annotations

import gzip
import hashlib
import os
import subprocess
import sys
import tracemalloc
from pathlib import Path

import pytest
from image_samples import entries, image_of
from support.channel import write_package

from hermetic.errors import IntegrityError
from hermetic.lock.model import PlannedLayer
from hermetic.outputs.oci.compression import BLOCK, closing
from hermetic.outputs.oci.members import MemberWriter, folders
from hermetic.outputs.oci.tar import END
from hermetic.plan.files import FileEntry
from hermetic.store import Store


@pytest.fixture
def fresh(tmp_path: Path) -> Store:
    return Store.open(tmp_path / "store")


def left(store: Store) -> list[Path]:
    """Give what is in the store's staging folders."""
    return [path for path in (store.root / "staging").rglob("*") if path.is_file() and path.stat().st_size]


def test_a_member_is_told_what_it_is(fresh: Store, tmp_path: Path) -> None:
    file, data = tmp_path / "file", os.urandom(2 * BLOCK + 100)
    file.write_bytes(data)
    entry = FileEntry("file", size=len(data))
    with MemberWriter(fresh, "gzip", None, 1) as writer:
        writer.begin(entry, "some/file")
        writer.write_file(str(file), len(data))
        writer.end(entry)
        member = writer.finish()
    packed = fresh.blob_path(member.blob).read_bytes()
    content = gzip.decompress(packed)
    assert content[512 : 512 + len(data)] == data
    assert (member.size, member.tar_size) == (len(packed), len(content))
    assert member.layer_digest == hashlib.sha256(packed + closing("gzip")).hexdigest()
    assert member.diff_id == hashlib.sha256(content + END).hexdigest()
    assert fresh.blob_path(member.blob).stat().st_mode & 0o777 == 0o444
    assert left(fresh) == []


def test_memory_does_not_grow_with_a_file(fresh: Store, tmp_path: Path) -> None:
    peaks = []
    for size in (8 << 20, 160 << 20):
        file = tmp_path / str(size)
        with file.open("wb") as target:
            target.truncate(size)
        tracemalloc.start()
        with MemberWriter(fresh, "gzip", None, 1) as writer:
            writer.write_file(str(file), size)
            assert writer.finish().tar_size == size
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
    assert peaks[1] < 8 << 20
    assert abs(peaks[1] - peaks[0]) < 1 << 20


@pytest.mark.parametrize("size", [99, 101])
def test_a_file_that_changed_is_noticed_and_leaves_nothing(fresh: Store, tmp_path: Path, size: int) -> None:
    (tmp_path / "file").write_bytes(bytes(100))

    def write() -> None:
        with MemberWriter(fresh, "gzip", None, 1) as writer:
            writer.write_file(str(tmp_path / "file"), size)
            writer.finish()

    with pytest.raises(IntegrityError, match=f"has not the {size} bytes"):
        write()
    assert left(fresh) == []


def test_a_fragment_that_the_disk_changed_is_noticed(fresh: Store, tmp_path: Path) -> None:
    archives = [write_package(tmp_path, name, files={f"share/{name}": os.urandom(5000)}) for name in ("one", "two")]
    first = image_of(fresh, archives)
    assert first.layers[0].blob
    blob = fresh.blob_path(first.layers[0].blob.parts[1])
    status, data = blob.stat(), bytearray(blob.read_bytes())
    data[len(data) // 2] ^= 1
    blob.chmod(0o644)
    blob.write_bytes(data)
    os.utime(blob, ns=(status.st_atime_ns, status.st_mtime_ns))  # no stamp tells it
    with pytest.raises(IntegrityError, match="is damaged"):
        image_of(fresh, archives, layers=(PlannedLayer("all", ("one", "two")),))
    assert fresh.verify()
    entries(fresh, image_of(fresh, archives, layers=(PlannedLayer("all", ("one", "two")),)).layers)


LIMITED = """
import resource, signal, sys
from pathlib import Path
sys.path[:0] = sys.argv[1:3]
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
from image_samples import image_of
from hermetic.errors import MachineError
from hermetic.store import Store
store, archive = Store.open(Path(sys.argv[3])), Path(sys.argv[4])
from hermetic.outputs.oci import assembly
made = assembly.make_fragments
def limited(*arguments, **named):
    resource.setrlimit(resource.RLIMIT_FSIZE, (1 << 20, resource.RLIM_INFINITY))
    return made(*arguments, **named)
assembly.make_fragments = limited
try:
    image_of(store, [archive])
except MachineError as error:
    assert "cannot store a layer" in str(error), error
    print("refused")
"""


def test_a_disk_that_takes_no_more_is_told_and_a_second_try_goes_on(fresh: Store, tmp_path: Path) -> None:
    archive = write_package(tmp_path, "one", files={"share/large": os.urandom(3 << 20)})
    helpers = Path(__file__).parents[2] / "helpers"
    said = subprocess.run(
        [sys.executable, "-c", LIMITED, helpers, helpers.parent, fresh.root, archive],
        capture_output=True, text=True, check=True,
    ).stdout  # fmt: skip
    assert said == "refused\n"
    assert left(fresh) == []
    assert len(entries(fresh, image_of(fresh, [archive]).layers)) > 5


def test_folders_are_named_once_and_parents_first() -> None:
    assert folders(["a/b/c", "a/b/d", "e", "a-b/c"]) == ["a", "a-b", "a/b"]
    assert folders([]) == []
