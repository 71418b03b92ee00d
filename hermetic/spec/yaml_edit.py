"""Adding and removing requirements in an ``environment.yml``: only the lines that change are touched.

Comments, quoting and order of everything else stay as they are, byte for byte, which no round-trip writer
promises: lines are edited at the places that the parser reports. Lists in brackets are the exception; they
are rewritten by ruamel.yaml.
"""

from __future__ import annotations

import io
import re
from collections.abc import Callable, Sequence

from hermetic.errors import Place, SpecError
from hermetic.spec.serialize import yaml_scalar
from hermetic.spec.yaml_nodes import Items, Node, Scalar, Table, read_yaml

Namer = Callable[[str], str]
"""Gives the normalised name of a requirement's text, empty where it has none."""


def yaml_items(text: str, file: str, *, pip: bool) -> list[str]:
    """Give the texts of the requirements that stand in ``dependencies``, or in its ``pip`` lists."""
    found: list[str] = []
    for items in _lists(text, file, pip=pip):
        found += [item.text for item in items.items if isinstance(item, Scalar)]
    return found


def yaml_replace(text: str, file: str, old: str, new: str, *, pip: bool, name_of: Namer) -> tuple[str, bool]:
    """Give the text with the first requirement called ``old`` replaced, and whether there was one."""
    for items in _lists(text, file, pip=pip):
        for item in items.items:
            if isinstance(item, Scalar) and name_of(item.text) == old:
                return _put(text, item, yaml_scalar(new)), True
    return text, False


def yaml_add(text: str, file: str, new: str, *, pip: bool) -> str:
    """Give the text with a requirement added after the last of its kind."""
    root = _root(text, file)
    lines = text.split("\n")
    lists = _lists(text, file, pip=pip)
    if lists and any(items.flow for items in lists):
        return _by_ruamel(text, lambda found: found.append(new), pip=pip)
    if lists and (scalars := [item for item in lists[-1].items if isinstance(item, Scalar)]):
        last = scalars[-1]
        lines.insert(last.end_line, f"{_indent(lines, last)}- {yaml_scalar(new)}")
        return "\n".join(lines)
    if lists and lists[-1].items:  # only '- pip:' stands there: before it
        first = lists[-1].items[0]
        lines.insert(first.line - 1, f"{_indent(lines, first)}- {yaml_scalar(new)}")
        return "\n".join(lines)
    if pip:
        return _add_pip(text, file, new)
    key = root.entries["dependencies"][0] if "dependencies" in root.entries else None
    if key:
        head, tail = lines[key.line - 1][: key.end_column], lines[key.line - 1][key.end_column :]
        emptied = re.match(r"\s*:\s*(?:\[\s*\]|~|null)?(\s*|\s+#.*)\Z", tail, re.IGNORECASE)
        if not emptied:
            return _by_ruamel(text, lambda found: found.append(new), pip=False)
        lines[key.line - 1] = f"{head}:{emptied[1]}"
        lines.insert(key.line, f"  - {yaml_scalar(new)}")
        return "\n".join(lines)
    return f"{text.rstrip(chr(10))}\ndependencies:\n  - {yaml_scalar(new)}\n".lstrip("\n")


def yaml_remove(text: str, file: str, old: str, *, pip: bool, name_of: Namer) -> tuple[str, bool]:
    """Give the text without the requirements called ``old``, and whether there was one."""
    removed = False
    while True:
        lists = _lists(text, file, pip=pip)
        found = next(
            (
                (items, item)
                for items in lists
                for item in items.items
                if isinstance(item, Scalar) and name_of(item.text) == old
            ),
            None,
        )
        if not found:
            return text, removed
        removed = True
        items, item = found
        if items.flow:
            text = _by_ruamel(
                text,
                lambda values: values.remove(next(v for v in values if isinstance(v, str) and name_of(v) == old)),
                pip=pip,
            )
            continue
        lines = text.split("\n")
        del lines[item.line - 1 : item.end_line]
        if len(items.items) == 1:
            _drop_empty(lines, text, file, items, pip=pip)
        text = "\n".join(lines)


def _root(text: str, file: str) -> Table:
    root = read_yaml(text, file)
    if root is None:
        return Table(1)
    if not isinstance(root, Table) or root.flow:
        raise SpecError("an environment file is a mapping", place=Place(file), remedy="write dependencies: and a list")
    return root


def _lists(text: str, file: str, *, pip: bool) -> list[Items]:
    """Give the list of dependencies, or the lists of its ``pip`` entries."""
    _, dependencies = _root(text, file).entries.get("dependencies", (None, None))
    if not isinstance(dependencies, Items):
        return []
    if not pip:
        return [dependencies] if dependencies.items else []
    tables = [item for item in dependencies.items if isinstance(item, Table)]
    found = [table.entries["pip"][1] for table in tables if "pip" in table.entries]
    return [items for items in found if isinstance(items, Items) and items.items]


def _indent(lines: Sequence[str], item: Node) -> str:
    """Give the white space before the dash of an entry that stands in a line of its own."""
    before = lines[item.line - 1][: item.column]
    return before[: before.rindex("-")] if "-" in before else "  "


def _put(text: str, item: Scalar, new: str) -> str:
    lines = text.split("\n")
    head = lines[item.line - 1][: item.column]
    tail = lines[item.end_line - 1][item.end_column :]
    lines[item.line - 1 : item.end_line] = [f"{head}{new}{tail}"]
    return "\n".join(lines)


def _add_pip(text: str, file: str, new: str) -> str:
    """Add a first pip requirement: into an empty ``- pip:``, or with a new one at the end of dependencies."""
    _, dependencies = _root(text, file).entries.get("dependencies", (None, None))
    lines = text.split("\n")
    if not isinstance(dependencies, Items) or not dependencies.items:
        with_key = yaml_add(text, file, "pip", pip=False)  # a list needs an entry to be extended
        return _add_pip(with_key, file, new)
    if dependencies.flow:
        return _by_ruamel(text, lambda found: found.append({"pip": [new]}), pip=False)
    for item in dependencies.items:
        if isinstance(item, Table) and "pip" in item.entries:
            key, _ = item.entries["pip"]
            lines[key.line - 1] = lines[key.line - 1][: key.end_column] + ":"
            lines.insert(key.line, f"{_indent(lines, key)}    - {yaml_scalar(new)}")
            return "\n".join(lines)
    indent = _indent(lines, dependencies.items[0])
    end = _last_line(dependencies)
    lines[end:end] = [f"{indent}- pip:", f"{indent}    - {yaml_scalar(new)}"]
    return "\n".join(lines)


def _last_line(node: Node) -> int:
    if isinstance(node, Items) and node.items:
        return max(_last_line(item) for item in node.items)
    if isinstance(node, Table) and node.entries:
        return max(_last_line(value) for _, value in node.entries.values())
    return node.end_line


def _drop_empty(lines: list[str], text: str, file: str, items: Items, *, pip: bool) -> None:
    """Mend what an emptied list leaves behind: ``dependencies: []``, or no ``- pip:`` at all."""
    root = _root(text, file)
    key, dependencies = root.entries["dependencies"]
    if not pip:
        lines[key.line - 1] = lines[key.line - 1][: key.end_column] + ": []"
        return
    assert isinstance(dependencies, Items)
    for item in dependencies.items:
        if isinstance(item, Table) and "pip" in item.entries and item.entries["pip"][1].line == items.line:
            owner = item.entries["pip"][0]
            del lines[owner.line - 1]
            if len(dependencies.items) == 1:
                lines[key.line - 1] = lines[key.line - 1][: key.end_column] + ": []"
            return


def _by_ruamel(text: str, change: Callable[[list[object]], object], *, pip: bool) -> str:
    from ruamel.yaml import YAML

    yaml = YAML()
    yaml.preserve_quotes = True
    yaml.width = 1 << 16
    document = yaml.load(text)
    values = document["dependencies"]
    if pip:
        values = next(item["pip"] for item in values if isinstance(item, dict) and "pip" in item)
    change(values)
    out = io.StringIO()
    yaml.dump(document, out)
    return out.getvalue()
