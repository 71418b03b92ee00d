"""What a build came to, as text. Imported by every no-op, so it imports nothing heavy."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from hermetic.report.instant import stands_text
from hermetic.report.text import counted, size


def build_text(done: Mapping[str, Any]) -> str:
    """Tell in a line what was built, or that nothing had to be."""
    if not done["changed"]:
        return stands_text(done["name"], done["prefix"])
    packages = f"{counted(done['conda'], 'conda package')}, {counted(done['wheels'], 'wheel')}"
    return f"{done['name']}: built {done['prefix']} ({packages})"


def image_build_text(built: Mapping[str, Any]) -> str:
    """Tell what image was built, and what has become of it."""
    lines = [f"{built['name']}: {built['reference']}", f"  {built['digest']}"]
    if not built["changed"]:
        lines[0] = f"{built['name']}: nothing to do, {built['reference']} is up to date"
    for platform, image in built["platforms"].items():
        ours = len(image["layers"]) - image["base_layers"]
        on = f" on {image['base']}" if image["base"] else ""
        total = size(sum(layer["size"] for layer in image["layers"]))
        lines.append(f"  {platform}: {counted(ours, 'layer')}{on}, {total} in all")
    if built["layout"]:
        lines.append(f"  written to {built['layout']}")
    if built["sent"] is not None:
        lines.append(f"  pushed: {size(built['sent'])} sent" if built["sent"] else "  pushed: the registry has it all")
    if built["loaded"]:
        lines.append(f"  in the Docker Engine: {built['loaded']}")
    return "\n".join(lines)
