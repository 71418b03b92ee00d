"""What differs between the image plans of two locks: the base, what it is made of, and who lies in which layer."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from hermetic.lock.model import Base, DebianPackage, ImagePlan, PlatformLock

Difference = tuple[str, str, str]
"""What differs, how it was, how it is; empty where there was or is nothing."""


def image_differences(old: PlatformLock, new: PlatformLock) -> Iterator[Difference]:
    """Give all in which the image plans of two locks of one platform differ.

    The layer of a package that came or went with this very change is not told: the package is.
    """
    before, after = old.image, new.image
    if before == after:
        return
    if before is None or after is None:
        yield "base", base_text(before.base) if before else "", base_text(after.base) if after else ""
        yield "layers", _count(before), _count(after)
        return
    yield from base_differences(before.base, after.base)
    if before.layers != after.layers:
        yield from _layer_differences(before, after, _names(old) ^ _names(new))


def base_differences(old: Base, new: Base) -> Iterator[Difference]:
    """Give all in which two pinned bases differ."""
    if base_text(old) != base_text(new):
        yield "base", base_text(old), base_text(new)
    had = {package.name: package for package in old.packages}
    has = {package.name: package for package in new.packages}
    for name in sorted(had.keys() | has.keys()):
        before, after = had.get(name), has.get(name)
        if before != after:
            yield f"base package {name}", _package_text(before, after), _package_text(after, before)


def base_text(base: Base) -> str:
    """Give a pinned base in one line: its reference, and the digests that it led to."""
    if base.index == base.manifest:
        facts = [base.manifest] if base.manifest else []
    else:
        facts = [f"{what} {digest}" for what, digest in (("index", base.index), ("manifest", base.manifest)) if digest]
    facts += [f"Dockerfile sha256:{base.dockerfile}"] if base.dockerfile else []
    return " ".join([base.reference, ", ".join(facts)]).rstrip()


def _package_text(package: DebianPackage | None, other: DebianPackage | None) -> str:
    if package is None:
        return ""
    if other is None or package.version != other.version:
        return package.version
    return f"{package.version} {package.architecture} sha256:{package.sha256} ({package.size} bytes)"


def _layer_differences(old: ImagePlan, new: ImagePlan, moved: set[str]) -> Iterator[Difference]:
    before, after = _places(old), _places(new)
    told = False
    for name in sorted(before.keys() | after.keys()):
        if before.get(name) != after.get(name):
            told = True
            if name not in moved or (name in before and name in after):
                yield f"layer of {name}", before.get(name, ""), after.get(name, "")
    shared = set(before.values()) & set(after.values())
    orders = [[layer.name for layer in plan.layers if layer.name in shared] for plan in (old, new)]
    if not told or orders[0] != orders[1]:
        yield "order of layers", ", ".join(orders[0]), ", ".join(orders[1])


def _places(plan: ImagePlan) -> Mapping[str, str]:
    return {package: layer.name for layer in plan.layers for package in layer.packages}


def _names(lock: PlatformLock) -> set[str]:
    return {package.name for package in lock.conda} | {f"pip:{wheel.name}" for wheel in lock.wheels}


def _count(plan: ImagePlan | None) -> str:
    return str(len(plan.layers)) if plan else ""
