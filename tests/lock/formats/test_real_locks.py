"""Locks of the world: each is imported, or refused with the reason; none is a surprise."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from addresses import conda_address

from hermetic.errors import HermeticError
from hermetic.lock.check import check
from hermetic.lock.file import format_lock, parse_lock
from hermetic.lock.formats import export_lock, import_lock
from hermetic.lock.graph import graph_of, tree
from hermetic.lock.model import CondaPackage, Wheel
from hermetic.spec.model import Spec

SHARED = Path(os.environ.get("HERMETIC_SHARED") or Path(__file__).parents[4] / "shared")
LOCKS = SHARED / "conda-data" / "locks"
pytestmark = pytest.mark.skipif(not LOCKS.is_dir(), reason="the shared folder with real locks is not here")

CONDA_LOCK, RATTLER = "conda+conda-lock", "conda+rattler"
DATA = f"{RATTLER}/test-data/conda-lock"
NUMPY = "linux-64=254+0 linux-aarch64=176+0 linux-ppc64le=177+0 osx-64=180+0 osx-arm64=183+0"
PYTHON = "linux-64=22+0 linux-aarch64=21+0 linux-ppc64le=22+0 osx-64=15+0 osx-arm64=15+0 win-64=16+0"
TURTLESIM = "linux-64=593+0 osx-64=543+0 osx-arm64=544+0 win-64=517+0"

IMPORTED = {  # platform=conda packages+wheels
    f"{CONDA_LOCK}/example/pangeo/conda-lock.yml": "linux-64=255+0 osx-64=249+0 win-64=249+0",
    f"{CONDA_LOCK}/example/zlib/conda-lock.yml": "linux-64=6+0 osx-64=2+0 win-64=5+0",
    f"{CONDA_LOCK}/tests/test-environment-blas-mkl/conda-lock.yml": "linux-64=40+0 osx-64=34+0 win-64=35+0",
    f"{CONDA_LOCK}/tests/test-explicit-toposorted/conda-lock.yml": "linux-64=123+4",
    f"{CONDA_LOCK}/tests/test-install-with-pip-deps/conda-lock.yml": "linux-64=24+4 linux-aarch64=23+4",
    f"{CONDA_LOCK}/tests/test-multiple-categories/conda-lock.yml": "linux-64=101+0",
    f"{CONDA_LOCK}/tests/test-update-filter-platform/conda-lock.yml": "linux-64=1+0 osx-64=1+0",
    f"{RATTLER}/js-rattler/pixi.lock": "linux-64=49+0 linux-aarch64=49+0 osx-arm64=45+0 win-64=16+0",
    f"{RATTLER}/pixi.lock": "linux-64=74+0 osx-64=57+0 osx-arm64=61+0 win-64=28+0",
    f"{RATTLER}/test-data/test.lock": "osx-arm64=13+5",
    f"{DATA}/v0/numpy-conda-lock.yml": NUMPY,
    f"{DATA}/v0/python-conda-lock.yml": PYTHON,
    f"{DATA}/v3/robostack-turtlesim-conda-lock.yml": TURTLESIM,
    f"{DATA}/v4/numpy-lock.yml": NUMPY,
    f"{DATA}/v4/python-lock.yml": PYTHON,
    f"{DATA}/v4/turtlesim-lock.yml": TURTLESIM,
    f"{DATA}/v5/similar-with-and-without-purl.yml": "win-64=1+0",
    f"{DATA}/v5/stability-original.yml": "osx-arm64=13+2 win-64=15+2",
    f"{DATA}/v5/stability-shuffled.yml": "osx-arm64=13+2 win-64=15+2",
    f"{DATA}/v6/numpy-as-pypi-lock.yml": "osx-arm64=19+1",
    f"{DATA}/v6/python-from-conda-only-lock.yml": "osx-arm64=19+0",
    f"{DATA}/v7/numpy-as-pypi-lock.yml": "osx-arm64=19+1",
    f"{DATA}/v7/python-from-conda-only-lock.yml": "osx-arm64=19+0",
}

NO_LOCK = "this is no lock that hermetic knows"
NO_SHA256 = "without sha256 (an md5 proves nothing): "
SDIST = "a source archive, not a wheel: "
LOCAL = "a file or project of the machine that locked: "
SOURCE = "built from source: "
EMPTY = "its environment 'default' locks nothing"

REFUSED = {
    f"{CONDA_LOCK}/environments/conda-lock.yml": NO_LOCK,  # a symbolic link that became a text file
    f"{CONDA_LOCK}/pixi.lock": f"{LOCAL}conda-lock (linux-64, linux-aarch64, osx-64, osx-arm64, win-64)",
    f"{CONDA_LOCK}/tests/test-lockfile-with-auth/test.lock": NO_LOCK,
    f"{CONDA_LOCK}/tests/test-lockfile/conda-lock.yml": f"{NO_SHA256}_libgcc_mutex (linux-64), _openmp_mutex",
    f"{CONDA_LOCK}/tests/test-lockfile/no-auth.lock": NO_LOCK,
    f"{CONDA_LOCK}/tests/test-lockfile/test.lock": NO_LOCK,
    f"{CONDA_LOCK}/tests/test-pypi-resolve-gh155/conda-lock.yml": f"{SDIST}numpy 1.22.2 (osx-64), pillow 9.0.1",
    f"{CONDA_LOCK}/tests/test-stripped-lockfile/no-auth.lock": NO_LOCK,
    f"{CONDA_LOCK}/tests/test-stripped-lockfile/test.lock": NO_LOCK,
    f"{CONDA_LOCK}/tests/test-v2-to-v3-upgrade/conda-lock-v2.5.8.yml": f"{SDIST}cowsay 6.1",
    f"{CONDA_LOCK}/tests/test-v2-to-v3-upgrade/conda-lock-v3.0.2.yml": "a VCS checkout, not a wheel: requests 2.32.4",
    f"{CONDA_LOCK}/tests/test-v2-to-v3-upgrade/conda-lock-v3.0.3.yml": f"{SDIST}cowsay 0.0.0",
    f"{CONDA_LOCK}/tests/zlib/conda-linux-64.lock": f"{NO_SHA256}_libgcc_mutex, _openmp_mutex, libgcc-ng",
    f"{CONDA_LOCK}/tests/zlib/conda-osx-64.lock": f"{NO_SHA256}libzlib, zlib",
    f"{CONDA_LOCK}/tests/zlib/conda-win-64.lock": f"{NO_SHA256}libzlib, ucrt, vc",
    f"{RATTLER}/py-rattler/pixi.lock": EMPTY,
    f"{DATA}/forward-compatible-lock.yml": "conda-lock.yml has version 1000; hermetic reads version 1",
    f"{DATA}/v0/pypi-matplotlib-conda-lock.yml": f"{SDIST}numpy 1.22.2 (osx-64), pillow 9.0.1 (osx-64)",
    f"{DATA}/v4/absolute-path-lock.yml": f"{LOCAL}minimal-project (linux-64, win-64)",
    f"{DATA}/v4/path-based-lock.yml": "a VCS checkout, not a wheel: requests (win-64), flask (win-64)",
    f"{DATA}/v4/pypi-matplotlib-lock.yml": f"{SDIST}pillow 9.0.1 (osx-64), numpy 1.22.2 (osx-64)",
    f"{DATA}/v5/flat-index-lock.yml": f"{LOCAL}requests (osx-arm64)",
    f"{DATA}/v6/empty-lock.yml": EMPTY,
    f"{DATA}/v6/options-lock.yml": "has no environment 'default'",
    f"{DATA}/v7/conda-source-build-host-packages-lock.yml": "without a digest: build-tool (linux-64), host-lib",
    f"{DATA}/v7/empty-lock.yml": EMPTY,
    f"{DATA}/v7/options-lock.yml": "has no environment 'default'",
    f"{DATA}/v7/pypi_absolute_url.yml": f"{LOCAL}my-subdir",
    f"{DATA}/v7/pypi_custom_index.yml": f"{LOCAL}local-pkg (linux-64)",
    f"{DATA}/v7/pypi_relative_outside_url.yml": f"{LOCAL}my-subdir",
    f"{DATA}/v7/pypi_relative_url.yml": f"{LOCAL}pixi-repro",
    **{
        f"{DATA}/{name}.yml": SOURCE
        for name in (
            "v6/conda-path-lock v6/derived-channel-lock v6/multiple-source-packages-with-variants-lock "
            "v6/pixi-build-git-rev-only-source-lock v6/pixi-build-git-tag-source-lock "
            "v6/pixi-build-pinned-source-lock v6/pixi-build-url-source-lock v6/source-package-with-variants-lock "
            "v6/sources-lock v7/conda-path-lock v7/derived-channel-lock "
            "v7/multiple-source-packages-with-variants-lock v7/partial-source-extra-depends-lock "
            "v7/partial-source-flags-lock v7/partial-source-purls-lock v7/partial-source-run-exports-lock "
            "v7/pixi-build-git-rev-only-source-lock v7/pixi-build-git-tag-source-lock "
            "v7/pixi-build-pinned-source-lock v7/pixi-build-url-source-lock v7/sources-lfs-lock v7/sources-lock"
        ).split()
    },
}


def test_every_file_has_its_expected_outcome() -> None:
    files = {path.relative_to(LOCKS).as_posix() for path in LOCKS.rglob("*") if path.is_file()}
    assert files == IMPORTED.keys() | REFUSED.keys()
    assert not IMPORTED.keys() & REFUSED.keys()


@pytest.mark.parametrize("name", IMPORTED)
def test_a_real_lock_is_imported_whole_and_sound(name: str) -> None:
    lock = import_lock(LOCKS / name)
    counts = {n: f"{n}={len(p.conda)}+{len(p.wheels)}" for n, p in lock.platforms.items()}
    assert " ".join(counts[n] for n in sorted(counts)) == IMPORTED[name]
    assert parse_lock(format_lock(lock)) == lock
    assert not [finding for finding in check(Spec(), lock, deep=True) if finding.platform]
    for platform, locked in lock.platforms.items():
        rows = tree(graph_of(lock, platform))
        assert {row.node for row in rows} == {("conda", p.name) for p in locked.conda} | {
            ("pip", w.name) for w in locked.wheels
        }


@pytest.mark.parametrize("name", REFUSED)
def test_what_cannot_be_a_lock_is_refused_with_the_reason(name: str) -> None:
    with pytest.raises(HermeticError) as caught:
        import_lock(LOCKS / name)
    assert REFUSED[name] in caught.value.message
    assert caught.value.exit_status == 2
    assert caught.value.remedy
    assert "password" not in str(caught.value)


def wheel_address(wheel: Wheel) -> str:
    return wheel.url or f"https://files.example.org/packages/ab/cd/{'0' * 60}/{wheel.file_name}"


def address(package: CondaPackage) -> str:
    if "://" in package.channel:
        return f"{package.channel}/{package.subdir}/{package.file_name}"
    return conda_address(package)


def identity(package: CondaPackage | Wheel) -> tuple[object, ...]:
    edges = package.depends if isinstance(package, CondaPackage) else package.requires
    return package.name, package.version, package.file_name, package.sha256, package.categories, tuple(sorted(edges))


@pytest.mark.parametrize("name", [name for name in IMPORTED if "turtlesim" not in name and "shuffled" not in name])
def test_exports_of_a_real_lock_are_imported_again(name: str, tmp_path: Path) -> None:
    lock = import_lock(LOCKS / name)
    for form in ("conda-lock", "pixi"):
        path = tmp_path / form
        path.write_text(export_lock(lock, form, address, wheel_address))  # type: ignore[arg-type]
        again = import_lock(path, channel_name=lambda url: url.removeprefix("https://conda.example.org/"))
        for platform, locked in lock.platforms.items():
            for kind in ("conda", "wheels"):
                ours, theirs = getattr(again.platforms[platform], kind), getattr(locked, kind)
                if form == "pixi":  # it has one environment, not categories
                    assert [identity(p)[:4] for p in ours] == [identity(p)[:4] for p in theirs]
                else:
                    assert {identity(p)[:5] for p in ours} == {identity(p)[:5] for p in theirs}
        assert not [finding for finding in check(Spec(), again, deep=True) if finding.platform]


def test_one_platform_of_a_file_can_be_imported_though_another_cannot() -> None:
    name = LOCKS / f"{DATA}/v0/pypi-matplotlib-conda-lock.yml"
    lock = import_lock(name, platforms=["linux-64"])
    assert len(lock.platforms["linux-64"].wheels) == 12


def test_the_order_of_a_file_does_not_count() -> None:
    assert import_lock(LOCKS / f"{DATA}/v5/stability-original.yml") == import_lock(
        LOCKS / f"{DATA}/v5/stability-shuffled.yml"
    )
