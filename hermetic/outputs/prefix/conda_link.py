"""Conda packages linked into a staging folder by py-rattler, from the store's trees.

py-rattler finds every package in its cache: a folder of symbolic links to the trees, made for one build, with
the lock files that say which digest each holds. So it fetches, unpacks and trusts nothing by itself.
"""

from __future__ import annotations

import asyncio
import struct
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hermetic.errors import BuildError, UsageError
from hermetic.lock.model import CondaPackage
from hermetic.realize.faults import machine_fault

if TYPE_CHECKING:
    from rattler import RepoDataRecord

_REVISION = 1  # of a cache entry, as py-rattler counts them


def link_conda(
    packages: Sequence[CondaPackage],
    trees: Mapping[str, Path],
    staging: Path,
    prefix: Path,
    *,
    cache: Path,
    platform: str,
    hard_links: bool,
) -> None:
    """Link packages into ``staging`` so that their files hold ``prefix``. Link scripts are not run.

    ``trees`` maps a package's sha256 to its unpacked files; ``cache`` is an empty folder to work in.
    """
    records = [_record(package) for package in packages]
    for package in packages:
        stem = package.file_name.removesuffix(".conda").removesuffix(".tar.bz2")
        for name in {stem, f"{package.name}-{package.version}-{package.build}"}:
            (cache / name).symlink_to(trees[package.sha256])
            (cache / f"{name}.lock").write_bytes(struct.pack(">Q", _REVISION) + bytes.fromhex(package.sha256))
    try:
        asyncio.run(_install(records, staging, prefix, cache, platform, hard_links=hard_links))
    except Exception as error:  # noqa: BLE001  py-rattler's errors have no common base
        _explain(error, prefix)


async def _install(
    records: list[Any], staging: Path, prefix: Path, cache: Path, platform: str, *, hard_links: bool
) -> None:
    from rattler import Config, Subdir, install
    from rattler.package_cache import PackageCache, ValidationMode

    config = Config()
    config.set("allow-hard-links", "true" if hard_links else "false")
    config.set("allow-symbolic-links", "false")
    mode = ValidationMode.full() if hard_links else ValidationMode.skip()  # files that are shared may have been edited
    await install(
        records,
        staging,
        package_cache=PackageCache.new_layered([cache], validation_mode=mode),
        platform=Subdir(platform),
        installed_packages=[],
        execute_link_scripts=False,
        show_progress=False,
        alternative_target_prefix=prefix,
        config=config,
    )


def _record(package: CondaPackage) -> RepoDataRecord:
    from rattler import BuildString, NoArchType, PackageRecord, RepoDataRecord

    record = PackageRecord(
        name=package.name,
        version=package.version,
        build=BuildString(package.build),
        build_number=package.build_number,
        subdir=package.subdir,
        noarch=NoArchType(package.noarch or None),  # type: ignore[arg-type]  # "python", "generic" or nothing
        depends=list(package.depends),
        sha256=bytes.fromhex(package.sha256),
        size=package.size,
        python_site_packages_path=package.python_site_packages_path or None,
    )
    # The address is never used: everything is in the cache.
    url = f"https://example.org/{package.subdir}/{package.file_name}"
    return RepoDataRecord(record, package.file_name, url, "https://example.org")


def _explain(error: Exception, prefix: Path) -> None:
    if fault := machine_fault(error, f"cannot build {prefix}"):
        raise fault from error
    text = str(error)
    if "placeholder" in text.lower() or "too long" in text.lower():
        raise UsageError(
            f"cannot build {prefix}: its path is longer than a package leaves room for: {text}",
            remedy="choose a shorter folder with --prefix",
        ) from error
    raise BuildError(f"cannot link the conda packages into {prefix}: {text}") from error
