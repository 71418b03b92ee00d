"""The bases that users know, and which of them an environment gets unless another one is asked for."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from hermetic.errors import UsageError
from hermetic.lock.model import Base, PlatformLock
from hermetic.platforms import Accelerator

CPU = "cpu"
CUDA = "nvidia/cuda"


@dataclass(frozen=True)
class CatalogueEntry:
    """A base as people choose it. ``glibc`` is what it has, empty if that is not known or nothing.

    ``registry`` is the name of a registry whose address this machine has to know, empty for the default one.
    """

    name: str
    reference: str
    accelerator: str
    os: str
    summary: str
    glibc: str = ""
    registry: str = ""

    def to_dict(self) -> dict[str, Any]:
        """Give the entry as JSON values."""
        return dict(vars(self))


@cache
def catalogue() -> tuple[CatalogueEntry, ...]:
    """Give all bases of the catalogue, CPU before GPU, older versions of CUDA before newer ones."""
    import tomllib  # a build of what is pinned by a reference needs no catalogue

    data = tomllib.loads(Path(__file__).with_name("catalogue.toml").read_text(encoding="utf-8"))
    found = [*(_entry(item) for item in data["base"]), *_cuda(data)]
    ranks = {"embedded": 2, "scratch": 3}
    return tuple(sorted(found, key=lambda entry: (ranks.get(entry.name, 0), entry.accelerator != CPU)))


def expand(text: str) -> str:
    """Give the reference behind a name of the catalogue; any other text is a reference itself."""
    if ":" in text or "/" in text:  # no name has them
        return text
    return next((entry.reference for entry in catalogue() if entry.name == text), text)


def entry_of(reference: str) -> CatalogueEntry | None:
    """Give what the catalogue knows of a reference, whatever digest it has, and whatever tag if it has none there."""
    text = reference.partition("@")[0]
    name = text.rpartition(":")[0] if ":" in text.rpartition("/")[2] else text
    return next((entry for entry in catalogue() if entry.reference in {text, name}), None)


def glibc_of(base: Base) -> str:
    """Give the version of glibc that a base has, empty if that is not known."""
    if base.packages:
        found = [package.version for package in base.packages if package.name == "libc6"]
        match = re.match(r"(?:\d+:)?(\d+\.\d+)", found[0]) if found else None
        return match[1] if match else ""
    entry = entry_of(expand(base.reference))
    return entry.glibc if entry else ""


def assumed_glibc(lock: PlatformLock | None) -> str:
    """Give the version of glibc that a lock assumes of the target machine, empty if none."""
    found = [text for text in (lock.virtual_packages if lock else ()) if text.startswith("__glibc=")]
    return found[0].split("=")[1] if found else ""


def is_older(glibc: str, than: str) -> bool:
    """Tell whether one version of glibc is older than another, both known."""
    return bool(glibc and than) and _version(glibc) < _version(than)


def default_base(accelerator: Accelerator, lock: PlatformLock | None = None) -> str:
    """Give the reference of the base that suits an environment: a Debian on a CPU, CUDA's own image else.

    The image of the newest CUDA that the driver can run (``accelerator`` names the driver's). A lock whose packages
    bring CUDA's libraries needs only its ``base``, for the driver comes with the container; one that looks for them
    on the machine gets them. The base's glibc is at least the one that the lock assumes. Raises UsageError if the
    catalogue has none.
    """
    glibc = assumed_glibc(lock)
    if accelerator.kind == CPU:
        fitting = [entry for entry in catalogue() if entry.name.startswith("debian-") and _fits(entry, glibc)]
        if not fitting:
            raise _none(f"glibc {glibc}")
        return fitting[0].reference
    limit = _version(accelerator.version)
    ending = f"-{_flavour(lock)}"
    fitting = [
        entry
        for entry in catalogue()
        if re.fullmatch(rf"cuda-[\d.]+{ending}", entry.name) and _cuda_of(entry) <= limit and _fits(entry, glibc)
    ]
    if not fitting:
        raise _none(f"{accelerator}" + (f" and glibc {glibc}" if glibc else ""))
    return max(fitting, key=_cuda_of).reference


_BRINGS_CUDA = re.compile(r"cuda-cudart|cudatoolkit|cuda-libraries|cuda-runtime|nvidia-cuda-runtime(-cu\d+)?")
_SEEKS_CUDNN = {"onnxruntime-gpu", "paddlepaddle-gpu", "tensorflow", "tensorflow-gpu"}
_SEEKS_CUDA = re.compile(r"cupy-cuda\d+x|ctranslate2|llama-cpp-python|mxnet-cu\d+|numba-cuda|pycuda")


def _flavour(lock: PlatformLock | None) -> str:
    wheels = {wheel.name for wheel in lock.wheels} if lock else set()
    names = wheels | {package.name for package in lock.conda} if lock else set()
    if any(_BRINGS_CUDA.fullmatch(name) for name in names):
        return "base"
    if wheels & _SEEKS_CUDNN:  # wheels only: a channel's packages bring what they need
        return "cudnn-runtime"
    return "runtime" if any(_SEEKS_CUDA.fullmatch(name) for name in wheels) else "base"


def _cuda_of(entry: CatalogueEntry) -> tuple[int, ...]:
    return _version(entry.accelerator.partition("-")[2])


def _fits(entry: CatalogueEntry, glibc: str) -> bool:
    return not is_older(entry.glibc, glibc)


def _version(text: str) -> tuple[int, ...]:
    return tuple(int(part) for part in re.findall(r"\d+", text))


def _none(what: str) -> UsageError:
    return UsageError(
        f"the catalogue has no base for {what}",
        remedy='name one: base = "REGISTRY/IMAGE:TAG" in hermetic.toml, or `hermetic base pin --base`',
    )


def _entry(item: Mapping[str, str]) -> CatalogueEntry:
    reference = item["reference"]
    registry, slash, _ = reference.partition("/")
    named = bool(slash) and registry == "microsoft"
    return CatalogueEntry(
        item["name"],
        reference,
        item.get("accelerator", CPU),
        item["os"],
        item["summary"],
        item.get("glibc", ""),
        registry if named else "",
    )


def _cuda(data: Mapping[str, Any]) -> Iterator[CatalogueEntry]:
    for family in data["cuda"]:
        for version in family["versions"]:
            short = version.rpartition(".")[0]
            for flavour, summary in data["cuda-flavours"].items():
                tag = flavour.replace("cudnn", data["cuda-cudnn"].get(version, "cudnn"))
                yield CatalogueEntry(
                    f"cuda-{short}-{flavour}",
                    f"{CUDA}:{version}-{tag}-{family['suffix']}",
                    f"cuda-{short}",
                    family["os"],
                    f"CUDA {short}: {summary}",
                    family["glibc"],
                )
