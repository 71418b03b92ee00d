"""What an update does, as text, as a pull request's text (Markdown), and as JSON values.

The same locks give the same text: no clock, no machine's paths. What comes from channels stands in code spans, where
Markdown, and a forge's mentions and references, have no meaning.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, Any

from hermetic.lock.diff import Move
from hermetic.lock.held import Held, Hold
from hermetic.lock.updates import Cause, PackageMove, PlatformUpdate, Reason
from hermetic.report.text import brief, columns, counted, size

if TYPE_CHECKING:
    from hermetic.project.updating import EnvironmentUpdate

_NAMED = 3
"""Packages that a title names."""
_OPEN = 12
"""Moves of packages that nobody declared, until which their table stands open."""
_WORDS = {
    Move.ADDED: "new",
    Move.REMOVED: "removed",
    Move.BUILD: "build",
    Move.SOURCE: "source",
    Move.CONTENT: "other bytes",
    Move.KIND: "other kind",
}
_Mark = Callable[[str], str]


def updates_value(updates: Sequence[EnvironmentUpdate]) -> dict[str, Any]:
    """Give updates as JSON values."""
    return {
        "title": title(updates),
        "changed": any(update.changed for update in updates),
        "environments": [update.to_dict() for update in updates],
    }


def title(updates: Sequence[EnvironmentUpdate]) -> str:
    """Give one line that says what moves, fit for a pull request or a commit."""
    changed = [update for update in updates if update.changed]
    if not changed:
        return "Nothing to update"
    where = f" in {changed[0].name}" if len(changed) == 1 and len(updates) > 1 else ""
    if all(update.first for update in changed):
        return f"Lock {', '.join(update.name for update in changed)}"
    moves = [move for update in changed for move in update.moves]
    chief = [move for move in moves if Reason(Cause.ASKED) in move.reasons] or [m for m in moves if m.direct] or moves
    names = list(dict.fromkeys(move.name for move in chief))
    if not names:
        return f"Lock again what is declared{where}"
    if len({(move.name, move.old, move.new) for move in chief}) == 1 and chief[0].move in {Move.UP, Move.DOWN}:
        return f"Update {names[0]} from {chief[0].old} to {chief[0].new}{where}"
    verb = {Move.ADDED: "Add", Move.REMOVED: "Remove"}
    kinds = {verb.get(move.move, "Update") for move in chief}
    return f"{kinds.pop() if len(kinds) == 1 else 'Update'} {_listed(names)}{where}"


def _listed(names: Sequence[str]) -> str:
    """Name a few, and count the rest."""
    if len(names) > _NAMED + 1:
        return f"{', '.join(names[:_NAMED])} and {counted(len(names) - _NAMED, 'package')} more"
    return " and ".join(part for part in (", ".join(names[:-1]), names[-1]) if part)


def updates_text(updates: Sequence[EnvironmentUpdate]) -> str:
    """Draw updates as plain text."""
    parts = [title(updates)]
    for update in updates:
        lines = [f"{update.name} ({update.path}): {_counts(update)}"]
        rows = [
            (move.name, _from_to(move), _change(move), _bytes(move), _where(move, update), _why(move, _plain))
            for move in _sorted(update.moves)
        ]
        lines += columns(rows, indent="  ")
        for part in update.platforms if update.changed else ():
            lines.append(f"  {part.platform}: {_platform(part)}")
            lines += [f"    {what}: {brief(old) or 'none'} -> {brief(new) or 'none'}" for what, old, new in part.other]
        lines += [f"  {line}" for line in _asides(update, _plain)]
        parts.append("\n".join(lines))
    return "\n\n".join(parts)


def updates_markdown(updates: Sequence[EnvironmentUpdate]) -> str:
    """Write updates as the text of a pull request; its first line is a heading that serves as the title."""
    parts = [f"# {title(updates)}"]
    for update in updates:
        if not update.changed and not update.held:
            parts.append(f"**{update.name}**: nothing moved.")
            continue
        parts.append(f"## {update.name}\n\n{_code(update.path)}: {_counts(update)}")
        parts += _tables(update)
        parts += [_platform_table(update.platforms)] if update.changed else []
        others = [
            f"- {part.platform}: {_escaped(what)}: {_code(brief(old) or 'none')} → {_code(brief(new) or 'none')}"
            for part in update.platforms
            for what, old, new in part.other
        ]
        asides = [f"- {line}" for line in _asides(update, _code)]
        parts += ["\n".join([*others, *asides])] if others or asides else []
    changed = [update.name for update in updates if update.changed]
    if changed:
        parts.append(_verify(changed))
    return "\n\n".join(parts) + "\n"


def _verify(names: Sequence[str]) -> str:
    lines = ["hermetic lock --check                # the locks fit what is declared: from the files alone"]
    for name in names:
        lines.append(f"hermetic build --locked {name}".ljust(37) + "# every archive is compared with its digest")
        lines.append(f"hermetic verify {name}".ljust(37) + "# every built file is what the lock says")
    return "\n".join(["### How to verify", "", "```sh", *lines, "```"])


def _tables(update: EnvironmentUpdate) -> Iterator[str]:
    moves = _sorted(update.moves)
    direct, others = [m for m in moves if m.direct], [m for m in moves if not m.direct]
    if not others or len(others) <= _OPEN:
        if moves:
            yield _table(moves, update)
        return
    if direct:
        yield _table(direct, update)
    summary = f"<summary>{counted(len(others), 'package')} that others pulled along</summary>"
    yield f"<details>\n{summary}\n\n{_table(others, update)}\n\n</details>"


def _table(moves: Sequence[PackageMove], update: EnvironmentUpdate) -> str:
    wheres = [_where(move, update) for move in moves]
    apart = any(wheres)
    heads = ["Package", "From", "To", "Change", "Size", *(["Platforms"] if apart else []), "Why"]
    lines = [_row(heads), _row(["---"] * len(heads))]
    for move, where in zip(moves, wheres, strict=True):
        name = f"{_code(move.name)}{' (pip)' if move.kind == 'pip' else ''}"
        change = f"**{_change(move)}**" if move.level == "major" or move.move is Move.CONTENT else _change(move)
        cells = [f"**{name}**" if move.direct else name, _ver(move.old), _ver(move.new), change, _bytes(move)]
        lines.append(_row([*cells, *([where or "all"] if apart else []), _why(move, _cell)]))
    return "\n".join(lines)


def _platform_table(parts: Sequence[PlatformUpdate]) -> str:
    lines = [_row(["Platform", "To fetch", "All archives", "Environment's key"]), _row(["---"] * 4)]
    for part in parts:
        keys = " → ".join(_code(key[:12]) for key in dict.fromkeys((part.old_key, part.new_key)) if key)
        came = " (new)" if not part.old_key else " (removed)" if not part.new_key else ""
        lines.append(_row([f"{part.platform}{came}", size(part.fetch), _totals(part), keys]))
    return "\n".join(lines)


def _platform(part: PlatformUpdate) -> str:
    came = "new, " if not part.old_key else "removed, " if not part.new_key else ""
    return f"{came}{size(part.fetch)} to fetch, {_totals(part)} of archives"


def _totals(part: PlatformUpdate) -> str:
    if part.old_bytes == part.new_bytes or not part.old_key:
        return size(part.new_bytes)
    return f"{size(part.new_bytes)} ({_signed(part.new_bytes - part.old_bytes)})"


def _counts(update: EnvironmentUpdate) -> str:
    """Tell in a few words how much moves."""
    if update.first:
        return f"locked for the first time, {counted(len(update.moves), 'package')}"
    moved = [move for move in update.moves if move.move not in {Move.ADDED, Move.REMOVED}]
    levels = [f"{n} {word}" for word in ("major", "minor", "patch") if (n := sum(m.level == word for m in moved))]
    parts = [counted(len(moved), "package moves", "packages move") + (f" ({', '.join(levels)})" if levels else "")]
    for move, verb in ((Move.ADDED, "new"), (Move.REMOVED, "removed")):
        number = sum(m.move is move for m in update.moves)
        parts += [f"{number} {verb}"] if number else []
    if not update.moves:
        return "no package moves" if update.changed else "nothing moves"
    return ", ".join(parts if moved else parts[1:])


def _asides(update: EnvironmentUpdate, mark: _Mark) -> Iterator[str]:
    """Tell what a reviewer should know besides: replaced files, licences, what is held back, the date limit."""
    for move in update.moves:
        if move.move is Move.CONTENT:
            yield (
                f"{mark(move.name)} {mark(move.new)}: the same file's name has other bytes now: "
                "ask its publisher why, before you take it"
            )
    for move in update.moves:
        old, new = move.licences
        if old and new and old != new:
            yield f"licence of {mark(move.name)}: {mark(old)} → {mark(new)}"
    for held in update.held:
        yield _held(held, update, mark)
    before, now = update.dates
    if now:
        was = f" (before: {before or 'no limit'})" if before != now else ""
        yield f"nothing that was published after {now} is taken{'' if update.first else was}"
    elif before:
        yield f"the limit that nothing published after {before} is taken is lifted"


def _held(held: Held, update: EnvironmentUpdate, mark: _Mark) -> str:
    alone = len(held.platforms) < sum(bool(part.new_key) for part in update.platforms)
    where = f" on {', '.join(held.platforms)}" if alone else ""
    why = "; ".join(_hold(hold, mark) for hold in held.holds)
    return f"{mark(held.name)} stays at {mark(held.version)}{where}, though there is {mark(held.newest)}: {why}"


def _hold(hold: Hold, mark: _Mark) -> str:
    place = f" ({hold.place})" if hold.place else ""
    if hold.missing.removeprefix("no ").startswith("__"):
        return f"{mark(hold.by)} needs {mark(hold.requirement)}, and machines are taken to have {mark(hold.missing)}"
    if hold.missing:
        return f"{mark(hold.by)} needs {mark(hold.requirement)}, and {mark(hold.missing)} is locked{place}"
    if hold.by:
        return f"{mark(hold.by)} needs {mark(hold.requirement)}"
    if hold.requirement:
        return f"{mark(hold.requirement)} is declared{place}"
    return "the requirements, taken together, leave no room for it"


def _why(move: PackageMove, mark: _Mark) -> str:
    by_cause: dict[Cause, list[Reason]] = {}
    for reason in move.reasons:
        by_cause.setdefault(reason.cause, []).append(reason)
    return "; ".join(_because(cause, reasons, mark) for cause, reasons in by_cause.items())


def _because(cause: Cause, reasons: Sequence[Reason], mark: _Mark) -> str:
    if cause is Cause.ASKED:
        return "asked for"
    if cause in {Cause.REQUIREMENT, Cause.NEWEST}:
        texts = [reason.requirement for reason in reasons if reason.requirement]
        return f"declared: {', '.join(map(mark, texts))}" if texts else "no longer declared"
    if cause is Cause.NEEDED:
        return "needed by " + ", ".join(
            f"{mark(r.by)}{f' ({mark(r.requirement)})' if ' ' in r.requirement else ''}" for r in reasons
        )
    if cause is Cause.UNNEEDED:
        return "was needed by " + ", ".join(mark(reason.by) for reason in reasons)
    if cause is Cause.FOLLOWS:
        return ", ".join(f"goes with {mark(r.by)} (before: {mark(r.requirement)})" for r in reasons)
    if cause is Cause.PLATFORM:
        return "the channels, the date limit or the assumed machine changed"
    return "chosen with the rest"


def _sorted(moves: Sequence[PackageMove]) -> list[PackageMove]:
    return sorted(moves, key=lambda move: (not move.direct, move.name, move.kind, move.old, move.new))


def _change(move: PackageMove) -> str:
    if move.move in {Move.UP, Move.DOWN}:
        return (move.level or "update") + (", down" if move.move is Move.DOWN else "")
    return f"{_WORDS[move.move]} ({move.kind})" if move.move is Move.KIND else _WORDS[move.move]


def _from_to(move: PackageMove) -> str:
    return " -> ".join(dict.fromkeys(version for version in (move.old, move.new) if version))


def _where(move: PackageMove, update: EnvironmentUpdate) -> str:
    """Name the platforms, where they are not all that a package could move on."""
    kept = [part.platform for part in update.platforms if part.new_key and (part.old_key or update.first)]
    return "" if set(move.platforms) == set(kept) else ", ".join(move.platforms)


def _bytes(move: PackageMove) -> str:
    """Give the size of the new archive and how much more that is; a range where platforms differ."""
    if not any(new for _, _, new in move.sizes) and not any(old for _, old, _ in move.sizes):
        return ""
    now = _range([new for _, _, new in move.sizes], size)
    more = _range([new - old for _, old, new in move.sizes], _signed)
    if move.move is Move.REMOVED:
        return more
    return now if move.move is Move.ADDED or more == _signed(0) else f"{now} ({more})"


def _range(numbers: Sequence[int], shown: Callable[[int], str]) -> str:
    low, high = shown(min(numbers)), shown(max(numbers))
    return low if low == high else f"{low} to {high}"


def _signed(number: int) -> str:
    return f"{'-' if number < 0 else '+'}{size(abs(number))}"


def _ver(version: str) -> str:
    return _cell(version) if version else ""


def _plain(text: str) -> str:
    return text


def _code(text: str) -> str:
    """Put text into a code span, which shows it as it is."""
    return f"`{' '.join(text.replace('`', chr(39)).split()) or ' '}`"


def _cell(text: str) -> str:
    """Put text into a code span of a table."""
    return _code(text).replace("|", "\\|")


def _escaped(text: str) -> str:
    return "".join(f"\\{letter}" if letter in "\\`*_[]<>|#@" else letter for letter in text)


def _row(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cells)} |"
