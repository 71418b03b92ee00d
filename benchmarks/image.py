"""Images of a real scientific set, against the tools that people use: ``python benchmarks/image.py``.

Every tool makes an image of the same packages: the same Python, wheels from an index on loopback, byte code compiled.
hermetic stands on a base of Debian's essential packages and brings Python itself; the peers stand on a base that has
the same Python already. Bases are in the engine and in the registry before anything is timed, and wheels, bases,
requirements with hashes, and hermetic's lock are made before too.

* cold: every cache empty. hermetic has a row for an image in a folder (as buildah and umoci have it) and one for an
  image in the engine (as docker has it).
* warm: the same again, nothing changed.
* bump: another version of a small pure wheel, built and pushed in one go. "In the list": one of the packages that are
  installed together. "One's own": a package that the Dockerfiles install in a last step of its own.
* push: to a registry that has the bases only; then again.
* load: hermetic's image into an engine that has the base only; again; after a bump.
* memory: hermetic's peak and time for sets of growing size.

Bytes sent are counted by a relay in front of the registry. Needs root, on Linux: dockerd, docker-registry, skopeo,
mmdebstrap, and buildah and umoci where they are to be compared. A private dockerd is started, and stopped at the end.
"""

from __future__ import annotations

import argparse
import operator
import os
import signal
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

from image_measure import Measure, Row, Run
from image_stage import FULL, QUICK, SMALL, TEAM, Stage, stage
from image_tools import PEERS, Hermetic, Loader, Pinning, Tool, chain, inside, peers, step

PARTS = ("cold", "warm", "bump", "push", "load", "memory")
SETS = (("numpy",), ("numpy", "pandas", "matplotlib"), FULL)


class Contest:
    """The parts of the benchmark; each can run alone."""

    def __init__(self, ground: Stage, wanted: set[str], runs: int) -> None:
        self.stage = ground
        self.runs = runs
        self.pinning = Pinning(ground)
        self.measure = Measure(lambda: ground.relay.received, ground.servers)
        self.folder = Hermetic(ground, "folder")
        self.engine = Hermetic(ground, "engine")
        self.peers = peers(ground, wanted)
        self.tools: list[Tool] = [self.folder, self.engine, *self.peers]
        self.built: set[str] = set()
        self.builds: list[Row] = []
        self.want()

    def want(self, bump: str = "") -> None:
        pins = self.pinning.pins(bump)
        for tool in self.tools:
            tool.want(pins)

    def ready(self, tools: Sequence[Tool]) -> None:
        """Build what was not built yet, untimed, so that a part can run alone."""
        for tool in tools:
            if tool.name not in self.built:
                tool.forget()
                self.measure.once(step(tool, tool.build(cold=True), self.stage))
                self.built.add(tool.name)

    def rounds(
        self,
        tools: Sequence[Tool],
        titles: Sequence[str],
        commands: Sequence[Callable[[Tool], list[str]]],
        before: Callable[[], object] = lambda: None,
        each: Callable[[Tool], object] = lambda _: None,
    ) -> list[list[Row]]:
        """Run the commands of each tool, tool by tool, in rounds that another tool begins each time; a table for each.

        ``before`` runs ahead of a round, ``each`` ahead of a tool's first command in it.
        """
        found: list[dict[str, list[Run]]] = [{tool.name: [] for tool in tools} for _ in commands]
        load = os.getloadavg()[0]
        for number in range(self.runs):
            before()
            start = number % len(tools)
            for tool in [*tools[start:], *tools[:start]]:
                each(tool)
                for command, runs in zip(commands, found, strict=True):
                    runs[tool.name].append(self.measure.once(step(tool, command(tool), self.stage)))
                self.built.add(tool.name)
            load = max(load, os.getloadavg()[0])
        tables = [[Row(tool, tuple(measured)) for tool, measured in runs.items()] for runs in found]
        for title, rows in zip(titles, tables, strict=True):
            self.measure.show(title, rows, load)
        return tables

    def cold(self) -> None:
        digests: dict[str, list[tuple[str, tuple[str, ...]]]] = {tool.name: [] for tool in self.tools}

        def empty(tool: Tool) -> None:
            if tool.name in self.built:
                digests[tool.name].append(tool.digests())
            tool.forget()

        (self.builds,) = self.rounds(self.tools, ["build, cold"], [lambda tool: tool.build(cold=True)], each=empty)
        for tool in self.tools:
            if not digests[tool.name]:
                empty(tool)
                self.measure.once(step(tool, tool.build(cold=True), self.stage))
            digests[tool.name].append(tool.digests())
        print("\ndigests of builds with empty caches")
        width = max(map(len, digests))
        for name, found in digests.items():
            images, layers = len({image for image, _ in found}), len({layers for _, layers in found})
            word = "the same image" if images == 1 else "the same layers" if layers == 1 else "layers differ"
            print(f"  {name:{width}}  {len(found)} builds: {word}", flush=True)
            self.measure.results.append({"title": "digests", "tool": name, "images": images, "layers": layers})

    def warm(self) -> None:
        self.ready(self.tools)
        self.rounds(self.tools, ["build, nothing changed"], [lambda tool: tool.build()])
        print(f"  {self.engine.name}, in a process that did it before: {inside(self.engine, self.stage, 'load'):.3f}s")

    def push(self) -> None:
        tools = [self.folder, *self.peers]
        self.ready(tools)
        push = lambda tool: tool.push()  # noqa: E731
        titles = ["push to a registry that has the bases", "push, nothing changed"]
        pushes, _ = self.rounds(tools, titles, [push, push], self.stage.fresh_registry)
        if self.builds:  # what it takes from nothing to an image that others can pull
            built = {row.tool: row.runs for row in self.builds}
            sums = [Row(row.tool, tuple(map(operator.add, built[row.tool], row.runs))) for row in pushes]
            self.measure.show("cold build and first push, added up", sums, os.getloadavg()[0])
        print(f"  hermetic, in a process that did it before: {inside(self.folder, self.stage, 'push'):.3f}s")

    def bump(self) -> None:
        tools = [self.folder, *self.peers]
        self.ready(tools)
        for tool in tools:
            self.measure.once(step(tool, tool.push(), self.stage))
        for name, title in ((SMALL, "a small package of the list"), (TEAM, "one's own package")):
            self.rounds(
                tools, [f"{title} bumped: built and pushed"],
                [lambda tool: tool.push() if tool is self.folder else chain(tool.build(), tool.push())],
                before=lambda name=name: self.want(name),  # type: ignore[misc]
            )  # fmt: skip
            wheel = max((self.stage.wheels / "files").glob(f"{name.replace('-', '_')}-*.whl"), key=os.path.getmtime)
            print(f"  (the wheel has {wheel.stat().st_size / 1e6:.3f} MB)", flush=True)

    def load(self) -> None:
        """Load hermetic's image: by hermetic, and the same image by others. All share layers in the engine."""
        loaders = [self.engine, *(Loader(self.stage, name, self.folder) for name in ("docker", "skopeo"))]
        self.ready([self.folder, self.engine])
        old, new = self.stage.folder / "old.tar", self.stage.folder / "new.tar"
        load = lambda tool: tool.load()  # noqa: E731

        def absent(_: object) -> None:
            for tool in loaders:
                tool.unload()

        def present(_: object) -> None:
            absent(_)
            self.stage.docker("load", "-q", "-i", str(old))

        def bumped() -> None:
            old.unlink(missing_ok=True)
            if new.exists():
                new.rename(old)
            else:
                self.folder.save(old)
            self.want(SMALL)
            for tool in (self.folder, self.engine):
                self.measure.once(step(tool, tool.build(), self.stage))
            self.folder.save(new)
            for tool in loaders[1:]:
                tool.take(new)

        self.folder.save(new)
        for tool in loaders[1:]:
            tool.take(new)
        titles = ["load into an engine that has the base", "load, nothing changed"]
        self.rounds(loaders, titles, [load, load], each=absent)
        self.rounds(loaders, ["load after a bump of a small package of the list"], [load], bumped, present)

    def memory(self) -> None:
        """Build and push sets of growing size with empty caches, and see what peak and time do."""
        print("\nhermetic alone, sets of growing size, empty caches")
        print(f"  {'':30}  {'MB in layers':>12}  {'build':>8}  {'MB/s':>6}  {'peak MB':>7}  {'push':>8}  {'peak MB':>7}"
              f"  {'sent MB':>8}")  # fmt: skip
        for number, packages in enumerate(SETS if self.stage.packages is FULL else SETS[:1]):
            tool = Hermetic(self.stage, f"folder-{number}", packages)
            tool.want(self.pinning.pins())
            builds, pushes = [], []
            for _ in range(self.runs):
                tool.forget()
                self.stage.fresh_registry()
                builds.append(self.measure.once(step(tool, tool.build(cold=True), self.stage)))
                pushes.append(self.measure.once(step(tool, tool.push(), self.stage)))
            build, push = Row("build", tuple(builds)), Row("push", tuple(pushes))
            size = tool.unpacked()
            title = f"{packages[0]} and {len(packages) - 1} more" if len(packages) > 1 else packages[0]
            print(f"  {title:30}  {size / 1e6:12.0f}  {build.wall:7.2f}s  {size / 1e6 / build.wall:6.0f}"
                  f"  {build.peak / 1e6:7.0f}  {push.wall:7.2f}s  {push.peak / 1e6:7.0f}  {push.sent / 1e6:8.1f}",
                  flush=True)  # fmt: skip
            self.measure.results.append({
                "title": "memory", "tool": title, "bytes": size, "wall": [run.wall for run in builds],
                "peak": [run.peak for run in builds], "push": [run.wall for run in pushes],
                "push peak": [run.peak for run in pushes], "sent": [run.sent for run in pushes],
            })  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--quick", action="store_true", help=f"a small set: {', '.join(QUICK)}")
    parser.add_argument("--only", action="append", default=[], choices=PARTS, help="a part alone (repeat for several)")
    parser.add_argument("--peer", action="append", default=[], choices=PEERS, help="these peers alone (repeat)")
    parser.add_argument("--alone", action="store_true", help="hermetic alone")
    parser.add_argument("--wheels", type=Path, default=Path("~/.cache/hermetic-benchmarks"),
                        help="a folder that keeps what is downloaded and made once (default: %(default)s)")  # fmt: skip
    parser.add_argument("--folder", type=Path, default=None, help="where to work (default: the temporary folder)")
    parser.add_argument("--json", type=Path, default=None, help="write all results to a file")
    arguments = parser.parse_args()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit("ended"))  # what was started is stopped all the same
    with stage(arguments.wheels.expanduser(), QUICK if arguments.quick else FULL, arguments.folder) as ground:
        contest = Contest(ground, {""} if arguments.alone else set(arguments.peer), arguments.runs)
        try:
            for part in PARTS:
                if not arguments.only or part in arguments.only:
                    getattr(contest, part)()
        finally:
            if arguments.json:
                contest.measure.write(arguments.json)


if __name__ == "__main__":
    main()
