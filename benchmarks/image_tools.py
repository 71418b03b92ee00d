"""The tools that ``image.py`` compares: how each builds, pushes and loads an image of the same packages.

The peers' Dockerfiles are what a careful engineer writes: requirements pinned with hashes, installed from an index
(on loopback), nothing cached in a layer, byte code compiled (pip does, uv is told to), and one's own package, which
changes most often, in a step of its own after all others.
"""

from __future__ import annotations

import gzip
import json
import shlex
import shutil
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path
from typing import Protocol

from image_measure import Step
from image_stage import BIN, DOCKER, HERMETIC, SMALL, TEAM, Stage

PIP = "python -m pip install -q --no-cache-dir --no-deps --require-hashes --root-user-action ignore --index-url {index}"
UV = (
    "uv pip install -q --python /usr/local/bin/python --compile-bytecode --no-deps --require-hashes --index-url {index}"
)


@dataclass(frozen=True)
class Pins:
    """What is wanted at a moment: the requirements with hashes, and one's own package apart from the others."""

    number: int
    versions: dict[str, str]
    main: str
    team: str


class Tool(Protocol):
    """A tool. ``want`` makes its inputs, untimed; all else gives a step to time, or a digest to compare."""

    name: str
    folder: Path

    @property
    def env(self) -> dict[str, str]: ...
    def want(self, pins: Pins) -> None: ...
    def forget(self) -> None: ...
    def build(self, *, cold: bool = False) -> list[str]: ...
    def push(self) -> list[str]: ...
    def digests(self) -> tuple[str, tuple[str, ...]]: ...


@dataclass
class Pinning:
    """Makes pins: the same for all tools, other versions on demand."""

    stage: Stage
    numbers: count[int] = field(default_factory=count)
    versions: dict[str, str] = field(default_factory=lambda: {SMALL: "1.0", TEAM: "1.0"})

    def pins(self, bump: str = "") -> Pins:
        if bump:
            self.versions[bump] = self.stage.bump(bump)
        wanted = self.stage.folder / "requirements.in"
        wanted.write_text("\n".join([*self.stage.packages, *(f"{n}=={v}" for n, v in self.versions.items())]) + "\n")
        text = self.stage.run(
            str(BIN / "uv"), "pip", "compile", "-q", "--generate-hashes", "--no-annotate", "--no-header",
            "--python-version", "3.11", "--no-config", "--no-cache", "--index-url", self.stage.index, str(wanted),
        )  # fmt: skip
        blocks = [block for block in ("\n" + text).split("\n") if block]
        main, team, current = [], [], []
        for line in blocks:
            if not line.startswith(" "):
                current = team if line.startswith(f"{TEAM}==") else main
            current.append(line)
        return Pins(next(self.numbers), dict(self.versions), "\n".join(main) + "\n", "\n".join(team) + "\n")


class Hermetic:
    """``hermetic build --image``: into a folder, or into the engine if ``where`` is ``engine``; or pushed."""

    def __init__(self, stage: Stage, where: str, packages: Sequence[str] = ()) -> None:
        self.name = "hermetic, in the engine" if where == "engine" else "hermetic, in a folder"
        self.stage = stage
        self.engine = where == "engine"
        self.packages = packages or stage.packages
        self.folder = stage.folder / f"hermetic-{where}"
        self.folder.mkdir()
        self.layout = self.folder / "layout"
        self.reference = f"{stage.host}/bench/hermetic-{where}:1"
        self.env = {"HERMETIC_STORE": str(stage.folder / f"store-{where}")}

    def want(self, pins: Pins) -> None:
        requirements = [*self.packages, *(f"{name}=={version}" for name, version in pins.versions.items())]
        (self.folder / "requirements.txt").write_text(
            f"--index-url {self.stage.index}\n" + "\n".join(requirements) + "\n"
        )
        (self.folder / "hermetic.toml").write_text(
            f'[channels]\nlocal = "{self.stage.kept / "channel"}"\n\n[environments.default]\n'
            f"from = ['requirements.txt']\nchannels = ['local']\ndependencies = ['python=3.11']\n"
            f"base = '{self.stage.host}/base/debian:1'\nsystem = {{ glibc = '2.36' }}\nplatforms = ['linux-64']\n"
        )
        plan = [HERMETIC, "build", "-q", "--image", self.reference, "--explain"]  # locks, pins the base, plans layers
        self.stage.run(*plan, cwd=self.folder, env=self.env)

    def forget(self) -> None:
        for path in (Path(self.env["HERMETIC_STORE"]), self.folder / ".hermetic", self.layout):
            self.stage.aside(path)
        if self.engine:
            self.unload()

    def build(self, *, cold: bool = False) -> list[str]:  # noqa: ARG002  forget() makes it cold
        return self._image() if self.engine else self._image("--oci-layout", str(self.layout))

    def push(self) -> list[str]:
        return self._image("--push")

    def load(self) -> list[str]:
        return self._image("--load")

    def unload(self) -> None:
        """Take the image out of the engine."""
        self.stage.docker("image", "rm", "-f", self.reference)

    def save(self, target: Path) -> None:
        """Write the image as ``docker save`` would."""
        target.unlink(missing_ok=True)
        archive = f"docker-archive:{target}:bench/saved:1"
        self.stage.run("skopeo", "copy", "-q", f"oci:{self.layout}", archive)

    def digests(self) -> tuple[str, tuple[str, ...]]:
        answer = json.loads(self.stage.run(*self.build(), cwd=self.folder, env=self.env))
        (platform,) = answer["platforms"].values()
        return platform["digest"], tuple(layer["digest"] for layer in platform["layers"])

    def unpacked(self) -> int:
        """Count the bytes in the layers of the image in the folder, those of the base left out."""
        index = json.loads((self.layout / "index.json").read_text())
        blobs = self.layout / "blobs/sha256"
        manifest = json.loads((blobs / index["manifests"][0]["digest"].removeprefix("sha256:")).read_text())
        total = 0
        for layer in manifest["layers"][1:]:
            with gzip.open(blobs / layer["digest"].removeprefix("sha256:")) as file:
                while piece := file.read(1 << 20):
                    total += len(piece)
        return total

    def _image(self, *more: str) -> list[str]:
        return [HERMETIC, "build", "--locked", "--json", "--image", self.reference, *more]


class Loader:
    """Loads hermetic's image by other means: ``docker load`` of what ``docker save`` writes, or skopeo."""

    env: dict[str, str] = {}  # noqa: RUF012

    def __init__(self, stage: Stage, how: str, image: Hermetic) -> None:
        self.name = "docker load, the same image" if how == "docker" else "skopeo copy, the same image"
        self.stage = stage
        self.how = how
        self.folder = image.folder
        self.layout = image.layout
        self.reference = "bench/saved:1" if how == "docker" else "bench/copied:1"
        self.tar = Path()

    def take(self, tar: Path) -> None:
        """Load this from now on."""
        self.tar = tar

    def load(self) -> list[str]:
        if self.how == "docker":
            return [DOCKER, "load", "-q", "-i", str(self.tar)]
        return [
            "skopeo",
            "copy",
            "-q",
            "--dest-daemon-host",
            self.stage.env["DOCKER_HOST"],
            f"oci:{self.layout}",
            f"docker-daemon:{self.reference}",
        ]

    def unload(self) -> None:
        """Take the image out of the engine."""
        self.stage.docker("image", "rm", "-f", self.reference)


class Dockerfile:
    """``docker build``, with the classic builder or BuildKit, and pip or uv in the Dockerfile."""

    def __init__(self, stage: Stage, name: str, *, buildkit: bool, uv: bool) -> None:
        self.name = name
        self.stage = stage
        self.buildkit = buildkit
        self.uv = uv
        self.folder = stage.folder / f"docker{buildkit:d}{uv:d}"
        self.folder.mkdir()
        self.reference = f"{stage.host}/bench/{self.folder.name}:1"
        self.nonce = 0

    @property
    def env(self) -> dict[str, str]:
        return {"DOCKER_BUILDKIT": "1" if self.buildkit else "0", "BUILDKIT_PROGRESS": "plain"}

    def want(self, pins: Pins) -> None:
        (self.folder / "requirements.txt").write_text(pins.main)
        (self.folder / "team.txt").write_text(pins.team)
        self._dockerfile()

    def _dockerfile(self) -> None:
        (self.folder / "Dockerfile").write_text(
            dockerfile(self.stage, uv=self.uv, cache=f"{self.folder.name}-{self.nonce}")
        )

    def forget(self) -> None:
        # --no-cache does what an empty cache does, without the deleting that makes the disk slow for whoever is next;
        # it says nothing of cache mounts, so that one gets a new name
        self.nonce += 1
        self._dockerfile()

    def build(self, *, cold: bool = False) -> list[str]:
        flags = ["--no-cache"] if cold else []
        return [DOCKER, "build", "-q", *flags, "--network=host", "-t", self.reference, str(self.folder)]

    def push(self) -> list[str]:
        return [DOCKER, "push", "-q", self.reference]

    def digests(self) -> tuple[str, tuple[str, ...]]:
        (found,) = json.loads(self.stage.docker("inspect", self.reference))
        return found["Id"], tuple(found["RootFS"]["Layers"])


class Buildah:
    """``buildah bud`` with the Dockerfile that has uv, without a daemon, isolated by chroot."""

    def __init__(self, stage: Stage) -> None:
        self.name = "buildah, uv"
        self.stage = stage
        self.folder = stage.folder / "buildah"
        self.folder.mkdir()
        self.reference = f"{stage.host}/bench/buildah:1"
        self.nonce = 0
        self.flags = ["--root", str(self.folder / "root"), "--runroot", str(self.folder / "run"), "--storage-driver",
                      "overlay"]  # fmt: skip
        policy = Path(stage.env["HOME"]) / ".config/containers/policy.json"
        policy.parent.mkdir(parents=True, exist_ok=True)
        policy.write_text('{"default": [{"type": "insecureAcceptAnything"}]}\n')
        stage.run("buildah", *self.flags, "pull", "-q", "--tls-verify=false", f"{stage.host}/base/python:1")

    env: dict[str, str] = {"TMPDIR": "/var/tmp"}  # noqa: RUF012

    def want(self, pins: Pins) -> None:
        context = self.folder / "context"
        context.mkdir(exist_ok=True)
        (context / "requirements.txt").write_text(pins.main)
        (context / "team.txt").write_text(pins.team)
        self._dockerfile()

    def _dockerfile(self) -> None:
        cache = f"{self.stage.folder.name}-{self.nonce}"
        (self.folder / "context/Dockerfile").write_text(dockerfile(self.stage, uv=True, cache=cache))

    def forget(self) -> None:
        self.nonce += 1
        self._dockerfile()

    def build(self, *, cold: bool = False) -> list[str]:
        return ["buildah", *self.flags, "bud", "-q", "--isolation", "chroot", "--network", "host", "--pull-never",
                *(["--no-cache"] if cold else []), "--layers", "-t", self.reference,
                str(self.folder / "context")]  # fmt: skip

    def push(self) -> list[str]:
        return ["buildah", *self.flags, "push", "-q", "--tls-verify=false", self.reference]

    def digests(self) -> tuple[str, tuple[str, ...]]:
        found = json.loads(self.stage.run("buildah", *self.flags, "inspect", "--type", "image", self.reference))
        return found["FromImageID"], tuple(found["OCIv1"]["rootfs"]["diff_ids"])


class Umoci:
    """``umoci unpack``, ``uv pip install`` into what was unpacked, ``umoci repack``; pushed by skopeo.

    With nothing changed, or one package, the unpacked folder is still there and gets one more layer.
    """

    def __init__(self, stage: Stage) -> None:
        self.name = "umoci, uv"
        self.stage = stage
        self.folder = stage.folder / "umoci"
        self.folder.mkdir()
        self.layout = self.folder / "layout"
        self.bundle = self.folder / "bundle"
        self.reference = f"{stage.host}/bench/umoci:1"
        self.base = self.folder / "base"
        stage.run("skopeo", "copy", "--src-tls-verify=false", f"docker://{stage.host}/base/python:1",
                  f"oci:{self.base}:1")  # fmt: skip

    @property
    def env(self) -> dict[str, str]:
        return {"UV_CACHE_DIR": str(self.folder / "uv")}

    def want(self, pins: Pins) -> None:
        (self.folder / "requirements.txt").write_text(pins.main + pins.team)

    def forget(self) -> None:
        for name in ("layout", "bundle", "uv"):
            self.stage.aside(self.folder / name)
        shutil.copytree(self.base, self.layout)

    def build(self, *, cold: bool = False) -> list[str]:
        layout, bundle = shlex.quote(str(self.layout)), shlex.quote(str(self.bundle))
        install = UV.format(index=self.stage.index).replace("/usr/local", f"{bundle}/rootfs/usr/local")
        unpack = f"umoci unpack --image {layout}:1 {bundle} && " if cold else ""
        return ["sh", "-ec", f"{unpack}{install} -r {shlex.quote(str(self.folder / 'requirements.txt'))} && "
                f"umoci repack --refresh-bundle --image {layout}:1 {bundle}"]  # fmt: skip

    def push(self) -> list[str]:
        return ["skopeo", "copy", "-q", "--dest-tls-verify=false", f"oci:{self.layout}:1", f"docker://{self.reference}"]

    def digests(self) -> tuple[str, tuple[str, ...]]:
        text = self.stage.run("skopeo", "inspect", f"oci:{self.layout}:1")
        return json.loads(text)["Digest"], tuple(json.loads(text)["Layers"])


def dockerfile(stage: Stage, *, uv: bool, cache: str) -> str:
    """Write a Dockerfile: everything, then one's own package."""
    mount = f"--mount=type=cache,id={cache},target=/root/.cache/uv " if uv else ""
    install = (UV if uv else PIP).format(index=stage.index)
    return (
        f"FROM {stage.host}/base/python:1\n{'ENV UV_LINK_MODE=copy' if uv else ''}\n"
        f"COPY requirements.txt /tmp/\nRUN {mount}{install} -r /tmp/requirements.txt\n"
        f"COPY team.txt /tmp/\nRUN {mount}{install} -r /tmp/team.txt\n"
    )


PEERS: dict[str, Callable[[Stage], Tool]] = {
    "classic": lambda stage: Dockerfile(stage, "docker build (classic), pip", buildkit=False, uv=False),
    "buildkit": lambda stage: Dockerfile(stage, "docker build (BuildKit), pip", buildkit=True, uv=False),
    "uv": lambda stage: Dockerfile(stage, "docker build (BuildKit), uv", buildkit=True, uv=True),
    "buildah": Buildah,
    "umoci": Umoci,
}


def peers(stage: Stage, wanted: set[str]) -> list[Tool]:
    """Give the peers that this machine has and that are wanted (none named: all)."""
    names = [name for name in PEERS if name in wanted or not wanted]
    return [PEERS[name](stage) for name in names if name not in {"buildah", "umoci"} or shutil.which(name)]


def step(tool: Tool, command: list[str], stage: Stage) -> Step:
    """Make a step of a tool's command."""
    return Step(tool.name, command, env={**stage.env, **tool.env}, cwd=tool.folder)


def chain(*commands: Sequence[str]) -> list[str]:
    """Give one command that runs several."""
    return ["sh", "-ec", " && ".join(map(shlex.join, commands))]


_INSIDE = """
import sys, time
from hermetic.project.imaging import ImageOrder, build_images
order = ImageOrder(reference=sys.argv[1], push=sys.argv[2] == "push", load=sys.argv[2] == "load")
build_images(None, None, order, locked=True)
begin = time.perf_counter()
build_images(None, None, order, locked=True)
print(time.perf_counter() - begin)
"""


def inside(tool: Hermetic, stage: Stage, what: str) -> float:
    """Tell the seconds that the same takes in a process that did it before: no interpreter starts, nothing is read."""
    command = [sys.executable, "-c", _INSIDE, tool.reference, what]
    return float(stage.run(*command, cwd=tool.folder, env=tool.env))
