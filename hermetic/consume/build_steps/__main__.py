"""``python -m hermetic.consume.build_steps STEP ...``: a step's arguments, and its end. See the package."""

from __future__ import annotations

import argparse
import os
import sys
from pathlib import Path

from hermetic.consume.build_steps import files, outward, steps
from hermetic.errors import HermeticError, MachineError, UsageError
from hermetic.outputs.oci.model import PREFIX


def main(argv: list[str]) -> int:
    """Run one step; give the exit status, which is as the command line's."""
    arguments = _parser().parse_args(argv)
    try:
        _run(arguments)
    except HermeticError as error:
        return _fail(arguments.step, error)
    except OSError as error:
        what = f"{error.strerror or error}{f': {error.filename}' if error.filename else ''}"
        return _fail(arguments.step, MachineError(what, remedy="mend what the system complains about, and build again"))
    return 0


def _fail(step: str, error: HermeticError) -> int:
    print(f"hermetic {step}: {error}", file=sys.stderr)
    return error.exit_status


def _run(given: argparse.Namespace) -> None:
    if given.step == "look":
        steps.look_at(given.part, given.package, given.archive, given.out)
    elif given.step == "survey":
        steps.survey_all(given.part, given.contents, given.link_scripts, given.out, files.pairs(given.lost))
    elif given.step == "fragment":
        archives = files.pairs(given.archive)
        steps.make_fragment(
            given.part,
            given.package,
            archives,
            lost=given.lost,
            options=given.options,
            out=given.out,
            member=given.member,
        )
    elif given.step == "layer":
        steps.join_layer(given.name, _couples(given.fragment), given.options, given.out, given.blob)
    elif given.step == "image":
        steps.make_image(
            given.part, given.survey, _couples(given.layer), base=given.base, options=given.options, out=given.out
        )
    elif given.step == "env":
        archives = files.pairs(given.archive)
        steps.make_environment(given.part, archives, given.prefix, link_scripts=given.link_scripts, out=given.out)
        if given.no_dangling_links:
            files.remove_dangling(given.out)
    elif given.step == "base":
        steps.fetch_base(given.part, given.out)
    else:
        _run_outward(given)


def _run_outward(given: argparse.Namespace) -> None:
    if given.step == "tool":
        outward.describe_tool(given.out)
    elif given.step == "addresses":
        outward.find_addresses(given.part, given.project, given.out)
    elif given.step == "fetch":
        outward.fetch_package(given.part, given.project, given.out)
    else:
        put = {"push": outward.push_layout, "load": outward.load_layout}[given.step]
        print(put(given.layout, given.reference))


def _path(text: str) -> Path:
    return Path(text).absolute()  # a build system gives relative ones, and programs that steps run work elsewhere


def _couples(paths: list[Path]) -> dict[Path, Path]:
    if len(paths) % 2:
        raise UsageError("files come in pairs: what is told of it, and its bytes")
    return dict(zip(paths[::2], paths[1::2], strict=True))


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="hermetic.consume.build_steps", fromfile_prefix_chars="@")
    kinds = parser.add_subparsers(dest="step", required=True, metavar="STEP")

    def step(name: str, summary: str, *, part: bool = True, out: str = "the file to write") -> argparse.ArgumentParser:
        made = kinds.add_parser(name, help=summary, description=summary, fromfile_prefix_chars="@")
        if part:
            made.add_argument("--part", type=_path, required=True, help="a part of a platform's lock, as JSON")
        made.add_argument("--out", type=_path, required=True, help=out)
        return made

    named = "NAME=FILE; a wheel's name begins with pip:"
    look = step("look", "what a package puts where")
    look.add_argument("--package", required=True)
    look.add_argument("--archive", type=_path, required=True)
    survey = step("survey", "what follows for all packages together")
    survey.add_argument("--contents", type=_path, action="append", default=[], help="what 'look' wrote")
    survey.add_argument("--lost", action="append", default=[], metavar="NAME=FILE", help="write this for a fragment")
    fragment = step("fragment", "what one package puts into an image")
    fragment.add_argument("--package", required=True)
    fragment.add_argument("--archive", action="append", default=[], metavar="NAME=FILE", help=named)
    fragment.add_argument("--lost", type=_path, required=True, help="what 'survey' wrote for this package")
    fragment.add_argument("--member", type=_path, required=True, help="the blob to write")
    layer = step("layer", "fragments, joined", part=False)
    layer.add_argument("--name", required=True)
    layer.add_argument("--fragment", type=_path, nargs=2, action="extend", default=[], metavar=("TOLD", "MEMBER"))
    layer.add_argument("--blob", type=_path, required=True, help="the blob to write")
    image = step("image", "layers on a base, as an OCI layout", out="the folder to write")
    image.add_argument("--survey", type=_path, required=True, help="what 'survey' wrote")
    image.add_argument("--layer", type=_path, nargs=2, action="extend", default=[], metavar=("TOLD", "BLOB"))
    image.add_argument("--base", type=_path, help="what 'base' wrote")
    env = step("env", "the environment as a folder", out="the folder to write")
    env.add_argument("--archive", action="append", default=[], metavar="NAME=FILE", help=named)
    env.add_argument(
        "--no-dangling-links", action="store_true", help="leave out links to nothing, which build systems refuse"
    )
    env.add_argument("--prefix", default=PREFIX, help="where its files say that it lies (default: %(default)s)")
    step("base", "the pinned base, from its registry", out="the folder to write")
    step("tool", "what this hermetic is", part=False)
    for name, summary in (("addresses", "where packages are at this moment"), ("fetch", "the archive of one package")):
        step(name, summary).add_argument("--project", type=_path, help="the folder whose hermetic.toml names channels")
    for name, summary in (("push", "put an image into a registry"), ("load", "put an image into the Docker Engine")):
        made = kinds.add_parser(name, help=summary, description=summary)
        made.add_argument("--layout", type=_path, required=True, help="what 'image' wrote")
        made.add_argument("--reference", required=True, help="the image's name")
    for made in (fragment, layer, image):
        made.add_argument("--options", type=_path, help="how the image is made, as JSON")
    for made in (survey, env):
        made.add_argument("--link-scripts", choices=("refuse", "skip"), default="refuse")
    return parser


if __name__ == "__main__":
    status = main(sys.argv[1:])
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(status)  # py-rattler's threads race with the interpreter's tear-down (cli/__init__.py)
