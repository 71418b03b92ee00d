"""A Lock as small as one can be and still show everything, and strategies that make any Lock."""

from __future__ import annotations

import string
from dataclasses import replace
from hashlib import md5, sha256
from typing import Any

from hypothesis import strategies as st

from hermetic.lock.model import (
    Base,
    CondaPackage,
    DebianPackage,
    ImagePlan,
    Lock,
    Origin,
    PlannedLayer,
    PlatformLock,
    Tool,
    Wheel,
)
from hermetic.spec.model import CondaRequirement, PipRequirement, Spec

VIRTUAL = {
    "linux-64": ("__archspec=1=x86_64", "__glibc=2.28=0", "__linux=5.10=0", "__unix=0=0"),
    "osx-arm64": ("__archspec=1=m1", "__osx=13.0=0", "__unix=0=0"),
}


def conda(
    name: str, version: str, *depends: str, subdir: str = "linux-64", build: str = "h1_0", **more: Any
) -> CondaPackage:
    file_name = f"{name}-{version}-{build}.conda"
    values = {
        "build_number": 0,
        "channel": "demo",
        "size": 1000 + len(file_name),
        "sha256": sha256(f"{subdir}/{file_name}".encode()).hexdigest(),
        "md5": md5(f"{subdir}/{file_name}".encode(), usedforsecurity=False).hexdigest(),
        "timestamp": 1_700_000_000_000,
        **more,
    }
    return CondaPackage(
        name=name, version=version, build=build, subdir=subdir, file_name=file_name, depends=depends, **values
    )


def wheel(name: str, version: str, *requires: str, tag: str = "py3-none-any", **more: Any) -> Wheel:
    file_name = f"{name.replace('-', '_')}-{version}-{tag}.whl"
    digest = sha256(file_name.encode()).hexdigest()
    values = {"size": 500 + len(file_name), "sha256": digest, "requires": requires, **more}
    return Wheel(name=name, version=version, file_name=file_name, **values)


def platform_lock(platform: str, *packages: CondaPackage | Wheel, **more: Any) -> PlatformLock:
    values = {"virtual_packages": VIRTUAL[platform], **more}
    return PlatformLock(
        platform,
        conda=tuple(sorted(p for p in packages if isinstance(p, CondaPackage))),
        wheels=tuple(sorted(p for p in packages if isinstance(p, Wheel))),
        **values,
    )


SPEC = Spec(
    channels=("demo",),
    conda=(CondaRequirement("python", "python 3.11.*"), CondaRequirement("numpy", "numpy >=1.26")),
    pip=(PipRequirement("requests", specifier=">=2"), PipRequirement("tiny", specifier="==1.0")),
    platforms=("linux-64", "osx-arm64"),
    variables=(("OMP_NUM_THREADS", "1"),),
)


def _packages(subdir: str) -> list[CondaPackage | Wheel]:
    system = "__glibc >=2.17" if subdir == "linux-64" else "__osx >=11.0"
    tag = "cp311-cp311-manylinux_2_28_x86_64" if subdir == "linux-64" else "cp311-cp311-macosx_11_0_arm64"
    return [
        conda("libzlib", "1.3.1", system, subdir=subdir, constrains=("zlib 1.3.1 *_0",)),
        conda(
            "numpy", "1.26.4", "python >=3.11,<3.12.0a0", "python_abi 3.11.* *_cp311", "libzlib", subdir=subdir,
            build="py311h1_0", purls=("pkg:pypi/numpy",), license="BSD-3-Clause",
        ),
        conda("python", "3.11.9", "libzlib >=1.3,<2.0a0", "tzdata", subdir=subdir, license="Python-2.0"),
        conda("python_abi", "3.11", subdir=subdir, build="1_cp311", build_number=1, constrains=("python 3.11.*",)),
        conda("tzdata", "2024a", subdir="noarch", noarch="generic"),
        wheel("certifi", "2024.7.4"),
        wheel("fast", "2.0", "numpy", tag=tag, categories=("dev", "main")),
        wheel("requests", "2.32.3", "certifi", "fast"),
        wheel(
            "tiny", "1.0",
            origin=Origin(
                url="https://git.example.org/tiny", commit="1234567890123456789012345678901234567890",
                tools=(Tool("flit-core", "3.9.0", "flit_core-3.9.0-py3-none-any.whl", 63141, "f" * 64),),
            ),
        ),
    ]  # fmt: skip


LOCK = Lock(
    spec=SPEC.to_dict(),
    platforms={
        platform: platform_lock(platform, *_packages(platform), variables=SPEC.variables)
        for platform in ("linux-64", "osx-arm64")
    },
)


IMAGE = ImagePlan(
    Base(
        "embedded",
        packages=(
            DebianPackage("base-files", "12.4+deb12u9", "amd64", 70800, "a" * 64),
            DebianPackage("libstdc++6", "12.2.0-14", "amd64", 613000, "b" * 64),
        ),
    ),
    (
        PlannedLayer("python", ("python", "libzlib", "tzdata")),
        PlannedLayer("numpy", ("numpy",)),
        PlannedLayer("own", ("pip:tiny",)),
    ),
)
REGISTRY_BASE = Base("team/base:1", index="sha256:" + "c" * 64, manifest="sha256:" + "d" * 64)


def with_image(lock: Lock, image: ImagePlan | None = IMAGE, platform: str = "linux-64") -> Lock:
    """Give a Lock in which one platform has this image plan."""
    return replace(lock, platforms={**lock.platforms, platform: replace(lock.platforms[platform], image=image)})


IMAGED = with_image(LOCK)


def changed(lock: Lock, platform: str, *packages: CondaPackage | Wheel, drop: tuple[str, ...] = ()) -> Lock:
    """Give a Lock in which packages of one platform are replaced, added or dropped by (kind and) name."""
    old = lock.platforms[platform]
    names = {(type(p), p.name) for p in packages}
    kept = [p for p in (*old.conda, *old.wheels) if (type(p), p.name) not in names and p.name not in drop]
    same = {name: getattr(old, name) for name in ("virtual_packages", "variables", "image")}
    new = platform_lock(platform, *kept, *packages, **same)
    return replace(lock, platforms={**lock.platforms, platform: new})


_WORDS = st.text(string.ascii_lowercase + string.digits + "._!+-é", min_size=1, max_size=8)
_NAMES = st.from_regex(r"[a-z0-9_][a-z0-9._-]{0,7}", fullmatch=True)
_TEXTS = st.text(st.characters(codec="utf-8", exclude_characters="\0"), max_size=12)
_LISTS = st.lists(_TEXTS, max_size=3).map(tuple)
_SHA256 = st.from_regex(r"[0-9a-f]{64}", fullmatch=True)
_MD5 = st.just("") | st.from_regex(r"[0-9a-f]{32}", fullmatch=True)
_ADDRESSES = st.sampled_from(["demo", "demo/label/dev", "https://conda.example.org/private", "file:///srv/channel"])
_COUNTS = st.integers(0, 2**53)
_CATEGORIES = st.sampled_from([("main",), ("dev",), ("dev", "main")])
_URLS = st.sampled_from(["", "https://files.example.org/a.whl", "https://${USER}:${PASS}@files.example.org/b%2B1.whl"])

CONDA_PACKAGES = st.builds(
    CondaPackage,
    name=_NAMES, version=_WORDS, build=_TEXTS, build_number=_COUNTS, channel=_ADDRESSES,
    subdir=st.sampled_from(["linux-64", "noarch"]), file_name=_NAMES.map(lambda n: f"{n}.conda"), size=_COUNTS,
    sha256=_SHA256, md5=_MD5, depends=_LISTS, constrains=_LISTS, noarch=_TEXTS, license=_TEXTS, timestamp=_COUNTS,
    track_features=_LISTS, python_site_packages_path=_TEXTS, purls=_LISTS, categories=_CATEGORIES,
)  # fmt: skip
TOOLS = st.builds(
    Tool,
    name=_NAMES, version=_WORDS, file_name=_NAMES.map(lambda n: f"{n}.whl"), size=_COUNTS, sha256=_SHA256,
    index=st.just("") | _ADDRESSES, url=_URLS,
)  # fmt: skip
ORIGINS = st.builds(
    Origin, url=_URLS, file_name=st.just("") | _NAMES, sha256=st.just("") | _SHA256, commit=_TEXTS,
    subdirectory=_TEXTS, build=_TEXTS, tools=st.lists(TOOLS, max_size=2, unique_by=lambda tool: tool.name).map(tuple),
)  # fmt: skip
WHEELS = st.builds(
    Wheel,
    name=_NAMES, version=_WORDS, file_name=_NAMES.map(lambda n: f"{n}.whl"), size=_COUNTS, sha256=_SHA256,
    index=st.just("") | _ADDRESSES, url=_URLS, requires=_LISTS, extras=_LISTS, origin=st.none() | ORIGINS,
    categories=_CATEGORIES,
)  # fmt: skip


_IMAGE_DIGESTS = st.just("") | _SHA256.map(lambda digest: f"sha256:{digest}")
DEBIAN_PACKAGES = st.builds(
    DebianPackage, name=_NAMES, version=_WORDS, architecture=_WORDS, size=_COUNTS, sha256=_SHA256
)
BASES = st.builds(
    Base,
    reference=st.sampled_from(
        ["scratch", "embedded", "debian:12-slim", "registry.example.org:5000/a/b:1.0_x@sha256:" + "0" * 64, "[::1]:5/x"]
    ),
    index=_IMAGE_DIGESTS, manifest=_IMAGE_DIGESTS, dockerfile=st.just("") | _SHA256,
    packages=st.lists(DEBIAN_PACKAGES, max_size=2, unique_by=lambda package: package.name).map(tuple),
)  # fmt: skip
LAYERS = st.builds(PlannedLayer, name=_TEXTS, packages=_LISTS)
IMAGES = st.builds(ImagePlan, base=BASES, layers=st.lists(LAYERS, max_size=3).map(tuple))


def _by_name(packages: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    return st.lists(packages, max_size=3, unique_by=lambda p: p.name).map(lambda found: tuple(sorted(found)))


_VARIABLES = st.dictionaries(
    st.text(string.ascii_uppercase, min_size=1, max_size=3),
    st.text(st.characters(codec="utf-8", exclude_characters="\0"), max_size=5),
    max_size=2,
)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | _TEXTS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(_TEXTS, inner, max_size=3),
    max_leaves=5,
)
_PLATFORM_NAMES = st.sampled_from(["linux-64", "linux-aarch64", "osx-arm64", "win-64"])


@st.composite
def locks(draw: st.DrawFn) -> Lock:
    """Any Lock that a reader must take."""
    names = draw(st.lists(_PLATFORM_NAMES, max_size=2, unique=True))
    return Lock(
        spec=draw(st.dictionaries(_TEXTS.map(lambda t: f"x{t}"), JSON, max_size=3)),
        exclude_newer=draw(st.sampled_from(["", "2024-01-02T03:04:05Z"])),
        platforms={
            name: PlatformLock(
                name,
                draw(st.sampled_from([(), ("__glibc=2.28=0", "__cuda=12.4")])),
                draw(_by_name(CONDA_PACKAGES)),
                draw(_by_name(WHEELS)),
                tuple(sorted(draw(_VARIABLES).items())),
                draw(st.none() | IMAGES),
            )
            for name in names
        },
    )
