"""What differs between two images: packages, settings, layers, files.

Layers that both have are not read, so comparing two versions of an image costs what changed between them. An image
of ours never puts a file over another layer's; where a stranger does, a file that only one side changed is told as
added or removed.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from hermetic.events import SILENT, Reporter, task
from hermetic.outputs.oci.reading import FoundImage
from hermetic.outputs.oci.scanning import Item, Scan, Tree, merged, resolved, scan_layer
from hermetic.store.guard import printable
from hermetic.store.tarball import FILE, FOLDER

ADDED, REMOVED, CHANGED = "added", "removed", "changed"

_CONDA = re.compile(r"(?:.*/)?conda-meta/([^/]+)-([^-/]+)-([^-/]+)\.json")
_WHEEL = re.compile(r"(?:.*/)?([^/]+)-([^-/]+)\.dist-info/METADATA")


@dataclass(frozen=True, order=True)
class Difference:
    """One thing that differs: what it is called, how, and what it was and is (empty: it is not there)."""

    name: str
    kind: str
    old: str = ""
    new: str = ""
    manager: str = ""


@dataclass(frozen=True, order=True)
class FileDifference:
    """A path that differs: sizes in bytes on either side (None: not there)."""

    path: str
    kind: str
    old: int | None = None
    new: int | None = None
    detail: str = ""


@dataclass(frozen=True)
class LayerDifference:
    """A layer that only one of the images has: the number in it, diff ID, and bytes, packed where they are known."""

    kind: str
    number: int
    diff_id: str
    size: int
    made_by: str = ""


@dataclass(frozen=True)
class ImageDiff:
    """What differs between two images; falsy if nothing does. ``shared`` counts layers that both have, and bytes."""

    old: str
    new: str
    platform: str
    same: bool
    packages: tuple[Difference, ...] = ()
    settings: tuple[Difference, ...] = ()
    layers: tuple[LayerDifference, ...] = ()
    shared: int = 0
    files: tuple[FileDifference, ...] = ()

    def __bool__(self) -> bool:
        return not self.same

    def to_dict(self) -> dict[str, Any]:
        """Give the difference as JSON values."""
        return asdict(self)


def diff_images(old: FoundImage, new: FoundImage, *, reporter: Reporter = SILENT) -> ImageDiff:
    """Compare two images of one platform. Raises IntegrityError for a source that breaks off, NetworkError."""
    diff_ids = [[layer.diff_id for layer in image.layers] for image in (old, new)]
    shared = Counter(diff_ids[0]) & Counter(diff_ids[1])
    own = [_left(ids, shared) for ids in diff_ids]
    total = sum(map(len, own))
    with task(reporter, "diff", "reading layers that differ", total, "layers"):
        scans = [_scan(image, numbers, reporter) for image, numbers in zip((old, new), own, strict=True)]
    trees = [merged(side[number] for number in sorted(side)) for side in scans]
    settings = tuple(sorted(_settings(old.config, new.config)))
    return ImageDiff(
        old.label,
        new.label,
        new.platform,
        diff_ids[0] == diff_ids[1] and not settings,
        tuple(sorted(_packages(*trees))),
        settings,
        tuple(_layers(old, REMOVED, scans[0])) + tuple(_layers(new, ADDED, scans[1])),
        shared.total(),
        tuple(sorted(_files(*trees))),
    )


def _left(diff_ids: Sequence[str], shared: Mapping[str, int]) -> list[int]:
    """Give the numbers of the layers that are not shared."""
    left = dict(shared)
    numbers = []
    for number, diff_id in enumerate(diff_ids):
        if left.get(diff_id):
            left[diff_id] -= 1
        else:
            numbers.append(number)
    return numbers


def _scan(image: FoundImage, numbers: Sequence[int], reporter: Reporter) -> dict[int, Scan]:
    if not numbers:
        return {}
    found: dict[int, Scan] = {}
    for number, stream in image.streams(numbers):
        scan = scan_layer(stream)
        for at in numbers if number is None else [number]:
            if image.layers[at].diff_id == scan.diff_id or number is not None:
                found[at] = scan
                reporter.advance("diff")
    return found


def _layers(image: FoundImage, kind: str, scans: Mapping[int, Scan]) -> Iterator[LayerDifference]:
    history = [one for one in image.config.get("history") or () if isinstance(one, dict) and not one.get("empty_layer")]
    told = len(history) == len(image.layers)
    for number, scan in sorted(scans.items()):
        descriptor = image.layers[number].descriptor
        made_by = printable(str(history[number].get("created_by", ""))) if told else ""
        size = descriptor.size if descriptor else scan.size
        yield LayerDifference(kind, number, image.layers[number].diff_id, size, made_by)


def _packages(old: Tree, new: Tree) -> Iterator[Difference]:
    """Compare packages by what they leave: their records in conda-meta, and the metadata of wheels."""
    before, after = (_installed(tree) for tree in (old, new))
    conda = {_normal(name) for manager, name in before.keys() | after.keys() if manager == "conda"}
    for manager, name in sorted(before.keys() | after.keys()):
        if manager == "pip" and _normal(name) in conda:
            continue
        (was, _), (now, _) = before.get((manager, name), ("", "")), after.get((manager, name), ("", ""))
        if before.get((manager, name)) == after.get((manager, name)):
            continue
        kind = ADDED if not was else REMOVED if not now else CHANGED
        yield Difference(printable(name), kind, printable(was), printable(now), manager)


def _installed(tree: Tree) -> dict[tuple[str, str], tuple[str, str]]:
    """Give each package's version (and build), and the digest of its record, by manager and name."""
    found = {}
    for path, (_, item) in tree.items():
        if match := _CONDA.fullmatch(path):
            found["conda", match[1]] = (f"{match[2]} {match[3]}", item.sha256)
        elif match := _WHEEL.fullmatch(path):
            found["pip", match[1]] = (match[2], item.sha256)
    return found


def _normal(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def _settings(old: Mapping[str, Any], new: Mapping[str, Any]) -> Iterator[Difference]:
    before, after = _flat(old), _flat(new)
    for name in sorted(before.keys() | after.keys()):
        was, now = before.get(name), after.get(name)
        if was != now:
            kind = ADDED if was is None else REMOVED if now is None else CHANGED
            yield Difference(printable(name), kind, printable(was or ""), printable(now or ""))


def _flat(config: Mapping[str, Any]) -> dict[str, str]:
    """Give a configuration as names and texts: each variable and each label by itself."""
    settings = config.get("config")
    found = {name: str(config[name]) for name in ("architecture", "os", "variant") if config.get(name)}
    for name, value in (settings if isinstance(settings, dict) else {}).items():
        if name == "Env" and isinstance(value, list):
            found |= {f"Env {key}": text for key, _, text in (str(one).partition("=") for one in value)}
        elif name == "Labels" and isinstance(value, dict):
            found |= {f"Labels {key}": str(text) for key, text in value.items()}
        elif value and name not in _ENGINES:
            found[str(name)] = str(value)
    return found


_ENGINES = {"Hostname", "Domainname", "Image", "AttachStdin", "AttachStdout", "AttachStderr"}
"""What engines add to a configuration that they tell of; it is no image's."""


def _files(old: Tree, new: Tree) -> Iterator[FileDifference]:
    for path in old.keys() - new.keys():
        if old[path][1].kind != FOLDER:
            yield FileDifference(printable(path), REMOVED, old=_size(resolved(old, path)))
    for path in new.keys() - old.keys():
        if new[path][1].kind != FOLDER:
            yield FileDifference(printable(path), ADDED, new=_size(resolved(new, path)))
    for path in old.keys() & new.keys():
        was, now = resolved(old, path), resolved(new, path)
        if detail := _detail(was, now):
            yield FileDifference(printable(path), CHANGED, _size(was), _size(now), detail)


def _size(item: Item) -> int:
    return item.size


def _detail(was: Item, now: Item) -> str:
    """Tell in a word how two items at one path differ."""
    if was.kind != now.kind:
        return f"{was.kind} became {now.kind}"
    words = []
    if was.kind == FILE and was.sha256 != now.sha256:
        words.append("content")
    if was.target != now.target:
        words.append("target")
    if was.mode != now.mode:
        words.append(f"mode {was.mode:04o} became {now.mode:04o}")
    if was.owner != now.owner:
        words.append(f"owner {was.owner} became {now.owner}")
    if was.attributes != now.attributes:
        words.append("attributes")
    return ", ".join(words)
