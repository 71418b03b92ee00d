"""Platforms in the words of PEP 508 markers: what a marker means on a platform, and a marker that means one."""

from __future__ import annotations

_FAMILIES = {
    "linux": {"os_name": "posix", "sys_platform": "linux", "platform_system": "Linux"},
    "osx": {"os_name": "posix", "sys_platform": "darwin", "platform_system": "Darwin"},
    "win": {"os_name": "nt", "sys_platform": "win32", "platform_system": "Windows"},
}
_MACHINES = {"linux-64": "x86_64", "osx-64": "x86_64", "osx-arm64": "arm64", "win-64": "AMD64", "win-arm64": "ARM64"}


def marker_environment(platform: str, python_version: str) -> dict[str, str]:
    """Give the values of PEP 508's marker variables for CPython of a full version (``3.11.7``) on a platform.

    What only a machine at hand could tell (kernel release and version) is empty.
    """
    family = platform.partition("-")[0]
    return {
        **_FAMILIES[family],
        "implementation_name": "cpython",
        "implementation_version": python_version,
        "platform_machine": _machine(platform),
        "platform_python_implementation": "CPython",
        "platform_release": "",
        "platform_version": "",
        "python_full_version": python_version,
        "python_version": ".".join(python_version.split(".")[:2]),
    }


def platform_marker(platform: str) -> str:
    """Give the marker that holds on a platform and on no other that hermetic knows."""
    system = _FAMILIES[platform.partition("-")[0]]["sys_platform"]
    return f"sys_platform == '{system}' and platform_machine == '{_machine(platform)}'"


def holds(marker: str, platform: str, python_version: str) -> bool:
    """Tell whether a marker holds. One that cannot be understood is taken to hold."""
    if not marker:
        return True
    from packaging.markers import InvalidMarker, Marker, UndefinedComparison, UndefinedEnvironmentName

    try:
        return Marker(marker).evaluate({**marker_environment(platform, python_version), "extra": ""})
    except (InvalidMarker, UndefinedComparison, UndefinedEnvironmentName):
        return True


def _machine(platform: str) -> str:
    return _MACHINES.get(platform) or platform.partition("-")[2]
