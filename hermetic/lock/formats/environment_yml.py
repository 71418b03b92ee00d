"""``environment.yml`` with pins: a spec that conda, mamba and micromamba solve to what is locked, if it is there.

It is no lock: it names no digests of archives, and a solver still decides. For reading it, see ``hermetic.spec``.
"""

from __future__ import annotations

from hermetic.lock.formats.addresses import CondaAddress, split_conda_address
from hermetic.lock.model import PlatformLock, Wheel


def format_environment_yml(
    lock: PlatformLock, conda_address: CondaAddress, *, name: str = "", builds: bool = True
) -> str:
    """Write one platform's lock as a pinned ``environment.yml``.

    ``builds`` pins the build strings too; without them the file may do on other platforms.
    """
    import yaml

    channels = dict.fromkeys(
        parts[0] if (parts := split_conda_address(conda_address(package))) else package.channel
        for package in lock.conda
    )
    dependencies: list[object] = [
        f"{package.name}={package.version}" + (f"={package.build}" if builds else "") for package in lock.conda
    ]
    pins = [_pin(wheel) for wheel in lock.wheels]
    if pins:
        if not any(package.name == "pip" for package in lock.conda):
            dependencies.append("pip")  # conda needs it in the environment to install the rest
        indexes = sorted({wheel.index for wheel in lock.wheels if wheel.index and not wheel.url})
        dependencies.append({"pip": [*(f"--extra-index-url {index}" for index in indexes), *pins]})
    value = {
        **({"name": name} if name else {}),
        "channels": [*channels, "nodefaults"],
        "dependencies": dependencies,
        **({"variables": dict(lock.variables)} if lock.variables else {}),
    }
    heading = f"# Pins of a lock for {lock.platform}, exported by hermetic. A solver still decides: this is no lock.\n"
    return heading + yaml.safe_dump(value, sort_keys=False, allow_unicode=True, width=200)


def _pin(wheel: Wheel) -> str:
    if not wheel.url:
        return f"{wheel.name}=={wheel.version}"
    return f"{wheel.name} @ {wheel.url}" if "://" in wheel.url else wheel.url  # pip takes a path only by itself
