"""Addresses for exports in tests, and the way back."""

from __future__ import annotations

from hermetic.lock.model import CondaPackage, Wheel

BASE = "https://conda.example.org/"
LAYOUT = f"https://files.example.org/packages/ab/cd/{'0' * 60}/"


def conda_address(package: CondaPackage) -> str:
    return f"{BASE}{package.channel}/{package.subdir}/{package.file_name}"


def wheel_address(wheel: Wheel) -> str:
    return wheel.url or LAYOUT + wheel.file_name


def name_channel(address: str) -> str:
    return address.removeprefix(BASE)
