"""Prove an image against its lock: every layer, every file, the base, the configuration.

What has to be there comes from the lock, through the same assembly that makes images; nothing of the image at hand
is believed. A layer whose bytes hash to the diff ID that the lock gives is proved, file by file; where one does
not, both sides are listed, merged as an engine merges layers, and compared path by path.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from hermetic.errors import IntegrityError
from hermetic.events import SILENT, Reporter, task
from hermetic.outputs.oci.blobs import open_blob
from hermetic.outputs.oci.model import PREFIX, Image
from hermetic.outputs.oci.reading import FoundImage, layer_blob, parse_json
from hermetic.outputs.oci.scanning import Item, Scan, Tree, merged, misplaced, parents, resolved, scan_layer
from hermetic.store.guard import printable
from hermetic.store.tarball import FILE, FOLDER, LINK

if TYPE_CHECKING:
    from hermetic.store import Store

CHANGED, ADDED, LOST, MODE, TARGET, KIND, OWNER = "changed", "added", "lost", "mode", "target", "kind", "owner"
ATTRIBUTES, HIDDEN, UNSAFE = "attributes", "hidden", "unsafe"
DAMAGED, LAYER, BASE, PLATFORM, VARIABLE, SETTING = "damaged", "layer", "base", "platform", "variable", "setting"

_IMAGE = -1
_SETTINGS = ("User", "Entrypoint", "Cmd", "WorkingDir", "ExposedPorts", "Volumes", "StopSignal", "Labels", "Shell")


@dataclass(frozen=True, order=True)
class ImageFinding:
    """One difference between an image and its lock.

    ``layer`` counts from 0 at the bottom (-1: it is the image's as a whole), ``name`` is the layer's in the plan,
    ``path`` a file's in the image or a variable's name, ``kind`` the difference's, with a few words in ``detail``.
    """

    layer: int
    path: str
    kind: str
    detail: str = ""
    name: str = ""

    def to_dict(self) -> dict[str, Any]:
        """Give the finding as JSON values."""
        return asdict(self)


def verify_image(
    found: FoundImage, expected: Image, *, store: Store, reporter: Reporter = SILENT
) -> tuple[ImageFinding, ...]:
    """Compare an image with the one that its lock gives; nothing found means that it is proved.

    How layers are packed is not compared, since that is nobody's meaning; their content is, to the byte. Raises
    IntegrityError if the source breaks off, NetworkError, MachineError.
    """
    if found.platform != expected.platform:
        return (ImageFinding(_IMAGE, "", PLATFORM, f"it is for {found.platform}, not {expected.platform}"),)
    findings = list(_settings(found.config, parse_json(expected.config.data, "the expected configuration")))
    wanted = [layer.diff_id for layer in expected.layers]
    stated = [layer.diff_id for layer in found.layers]
    below = len(expected.base.layers)
    based = stated[:below] == wanted[:below]
    if not based:
        findings.append(_wrong_base(stated, wanted[:below], expected))
    listed = below if based else 0
    again = all(layer.descriptor for layer in found.layers)  # an engine writes its layers out once, in one stream
    scans = _scan(found, listed=len(stated) if again else listed, reporter=reporter)
    if again and [scan.diff_id for scan in scans] != wanted:
        scans = _scan(found, listed=listed, reporter=reporter)
    names = [layer.name for layer in expected.layers] if len(stated) == len(wanted) else []
    findings += _damage(found, scans, names)
    if [scan.diff_id for scan in scans] != wanted:
        findings += _files(scans, expected, below if based else 0, names, store, whole=based)
    return tuple(sorted(set(findings)))


def _scan(found: FoundImage, *, listed: int, reporter: Reporter) -> list[Scan]:
    """Read all layers; those from ``listed`` on with what is in them. One that did not come is empty."""
    numbers = range(len(found.layers))
    scans: dict[int, Scan] = {}
    with task(reporter, "verify", f"verifying {found.label}", len(found.layers), "layers"):
        for number, stream in found.streams(numbers):
            scan = scan_layer(stream, listed=number is None or number >= listed)
            if number is None:
                of = {n for n in numbers if found.layers[n].diff_id == scan.diff_id}
                free = [n for n in numbers if n not in scans and found.layers[n].descriptor is None]
                of = of or set(free[:1])  # changed in the engine: it belongs where nothing else fits
            else:
                of = {number}
            scans |= dict.fromkeys(of, scan)
            reporter.advance("verify", len(of))
    return [scans.get(n, Scan("", 0, "")) for n in numbers]


def _damage(found: FoundImage, scans: Sequence[Scan], names: Sequence[str]) -> Iterator[ImageFinding]:
    """Name layers that are not what the image itself says of them, and what none should hold."""
    for number, (layer, scan) in enumerate(zip(found.layers, scans, strict=True)):
        name = names[number] if names else ""
        descriptor = layer.descriptor
        if not scan.size:
            yield ImageFinding(number, "", DAMAGED, "its bytes are missing, or not what its digest says", name)
        elif descriptor and (descriptor.digest, descriptor.size) != (scan.digest, scan.size):
            yield ImageFinding(number, "", DAMAGED, f"its bytes have the digest {scan.digest}", name)
        elif scan.diff_id != layer.diff_id:
            yield ImageFinding(number, "", DAMAGED, f"its diff ID is {scan.diff_id or 'none'}, not as stated", name)
        for path, why in scan.faults:
            yield ImageFinding(number, printable(path), UNSAFE, why, name)


def _wrong_base(stated: Sequence[str], wanted: Sequence[str], expected: Image) -> ImageFinding:
    same = sum(1 for one, other in zip(stated, wanted, strict=False) if one == other)
    what = f"{expected.base.reference or 'the base'} {expected.base.digest}".strip()
    return ImageFinding(_IMAGE, "", BASE, f"it does not stand on {what}: {same} of {len(wanted)} layers are its")


def _settings(found: Mapping[str, Any], wanted: Mapping[str, Any]) -> Iterator[ImageFinding]:
    """Compare what containers of the image run with."""
    mine, theirs = (_object(document.get("config")) for document in (wanted, found))
    ours, has = _variables(mine.get("Env")), _variables(theirs.get("Env"))
    for name in sorted(ours.keys() | has.keys()):
        if name not in has:
            yield ImageFinding(_IMAGE, name, VARIABLE, "not set")
        elif name not in ours:
            yield ImageFinding(_IMAGE, printable(name), VARIABLE, "the lock sets no such variable")
        elif ours[name] != has[name]:
            yield ImageFinding(_IMAGE, name, VARIABLE, f"is {printable(has[name])!r}, not {ours[name]!r}")
    for name in _SETTINGS:
        if (theirs.get(name) or None) != (mine.get(name) or None):
            shown = printable(str(theirs.get(name)))
            yield ImageFinding(_IMAGE, name, SETTING, f"is {shown}, not {mine.get(name)}")


def _object(value: object) -> Mapping[str, Any]:
    return value if isinstance(value, dict) else {}


def _variables(env: object) -> dict[str, str]:
    texts = [str(text) for text in env] if isinstance(env, list) else []
    return {name: value for name, _, value in (text.partition("=") for text in texts)}


def _files(
    scans: Sequence[Scan], expected: Image, below: int, names: Sequence[str], store: Store, *, whole: bool
) -> Iterator[ImageFinding]:
    """Compare file by file what the layers above the base come to. Not ``whole``: only the environment's own files."""
    have = merged(scans[below:])
    ours = expected.layers[len(expected.base.layers) :]
    want = merged(_expected(expected, store))
    if not whole:
        inside = PREFIX.strip("/")
        have, want = ({path: held for path, held in tree.items() if _within(path, inside)} for tree in (have, want))

    def named(number: int) -> tuple[int, str]:
        at = number + below
        return at, names[at] if names else ""

    touched, covered = set(), set()
    for number, scan in enumerate(scans[below:]):
        at, name = named(number)
        for path in (*scan.hidden, *(f"{folder}/*" for folder in scan.opaque)):
            touched.add(at)
            covered.add(path)
            yield ImageFinding(at, printable(path), HIDDEN, "a whiteout takes it away", name)
    for path, kind, detail in _differences(have, want):
        if path in have:
            number, name = named(have[path][0])
        elif path in covered or any(f"{above}/*" in covered or above in covered for above in parents(path)):
            continue
        else:
            number = want[path][0] + len(expected.base.layers)
            name = ours[want[path][0]].name
        touched.add(number)
        yield ImageFinding(number, printable(path), kind, detail, name)
    if not whole:
        return
    has, wanted = [scan.diff_id for scan in scans[below:]], [layer.diff_id for layer in ours]
    for number, scan in enumerate(scans[below:]):
        at, name = named(number)
        if scan.size and scan.diff_id not in wanted and at not in touched:
            yield ImageFinding(at, "", LAYER, "the lock gives no such layer: other files, times or order", name)
    if len(has) != len(wanted):
        yield ImageFinding(_IMAGE, "", LAYER, f"{len(has)} layers above the base, not {len(wanted)}")
    elif has != wanted and sorted(has) == sorted(wanted):
        yield ImageFinding(_IMAGE, "", LAYER, "the layers are not in the lock's order")


def _expected(image: Image, store: Store) -> Iterator[Scan]:
    for layer in image.layers[len(image.base.layers) :]:
        try:
            with open_blob(store, layer_blob(image, layer, store)) as stream:
                scan = scan_layer(stream)
        except FileNotFoundError:
            scan = Scan("", 0, "")
        if scan.diff_id != layer.diff_id:
            raise IntegrityError(
                f"the store's copy of the layer {layer.name} is damaged",
                remedy="check the store with 'hermetic store verify', then run the command again",
            )
        yield scan


def _differences(have: Tree, want: Tree) -> Iterator[tuple[str, str, str]]:
    """Give ``(path, kind, detail)`` for every path that differs; a new or lost folder is told once."""
    for path in have.keys() - want.keys():
        parent = path.rpartition("/")[0]
        if not parent or parent in want or parent not in have:
            yield path, ADDED, "" if have[path][1].kind == FILE else f"a {have[path][1].kind.removeprefix('a ')}"
    for path in want.keys() - have.keys():
        parent = path.rpartition("/")[0]
        if not parent or parent in have or parent not in want:
            yield path, LOST, "a folder" if want[path][1].kind == FOLDER else ""
    for path in have.keys() & want.keys():
        for kind, detail in _item_differences(resolved(have, path), resolved(want, path)):
            yield path, kind, detail
    for path in misplaced(have):
        yield path, UNSAFE, "it lies behind a link"


def _item_differences(have: Item, want: Item) -> Iterable[tuple[str, str]]:
    if have.kind != want.kind:
        yield KIND, f"{have.kind} in place of {want.kind}"
        return
    if have.kind == LINK and have.target != want.target:
        yield TARGET, f"points to {printable(have.target)}, not {want.target}"
    if have.kind == FILE and have.size != want.size:
        yield CHANGED, f"{have.size} bytes, not {want.size}"
    elif have.kind == FILE and have.sha256 != want.sha256:
        yield CHANGED, "other content of the same size"
    if have.kind != LINK and have.mode != want.mode:
        yield MODE, f"{have.mode:04o}, not {want.mode:04o}"
    if have.owner != want.owner:
        yield OWNER, f"{have.owner}, not {want.owner}"
    if have.attributes != want.attributes:
        yield ATTRIBUTES, printable(", ".join(have.attributes)) or "none"


def _within(path: str, folder: str) -> bool:
    return path == folder or path.startswith(f"{folder}/")
