"""Make, show and serve a workspace: named environments, private wheels, secrets and builds, of one person or a team.

By default a workspace is one folder, with nothing to start. A shared one has a database, a store of artefacts and a
registry; 'serve' offers the private wheels of a folder to other machines, behind signed URLs that expire.
"""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from hermetic.cli.ui import UI
    from hermetic.workspace_config import WorkspaceAddress

NESTED = True

EXAMPLES = """\
examples:
  hermetic workspace init                          in this project's folder, with nothing to start
  hermetic workspace init team --database 'postgresql://me:${PASSWORD}@db.example.org/team' \\
      --artefacts s3://bucket/team --registry registry.example.org/team
  hermetic workspace show                          where its parts stand, and whether they answer
  hermetic workspace serve --host 0.0.0.0 --certificate chain.pem --key key.pem
  hermetic workspace sign hermetic://team/wheels/SHA256/FILE --server https://wheels.example.org
  hermetic workspace key add --note ci             a key for a machine that builds: set it as HERMETIC_WORKSPACE_KEY"""

_ACTIONS = {
    "init": "declare a workspace and make it",
    "show": "show where its parts stand, how much they hold, and whether they answer",
    "serve": "serve its artefacts behind signed URLs",
    "sign": "print a URL that reads one artefact from the server for a while",
    "key": "list, make and revoke the keys that sign them",
}
_SERVER = "http://127.0.0.1:8642"
_FASTEST = 1e6
_WORDS = {"list": 0, "add": 0, "rotate": 0, "revoke": 1, "restore": 1}
_KEYS = """\
Keys of the workspace's file server. What a word does takes effect at once, also in a server that runs.

  list             the keys, and the artefacts that are revoked
  add              make a key for another machine and print it, this once
  rotate           make a new key that signs here; the old ones are good until they are revoked
  revoke KEY       make all URLs of a key useless, those that are out too
  revoke ARTEFACT  make all URLs of one artefact useless: wheels/SHA256/FILE, or hermetic://...
  restore ARTEFACT make its URLs good again"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the verb's arguments."""
    from hermetic.cli.parser import Parser, add_common

    actions = parser.add_subparsers(dest="action", metavar="ACTION", required=True, parser_class=Parser)
    made = {
        name: actions.add_parser(
            name, help=summary, description=_KEYS if name == "key" else f"{__doc__}", epilog=EXAMPLES
        )
        for name, summary in _ACTIONS.items()
    }
    _add_init(made["init"])
    _add_serve(made["serve"])
    sign = made["sign"]
    sign.add_argument("artefact", help="a private wheel's URL, or an artefact's key: wheels/SHA256/FILE")
    sign.add_argument(
        "--server", metavar="URL", default=_SERVER, help="where the server is reached (default: %(default)s)"
    )
    sign.add_argument(
        "--expires", metavar="SECONDS", type=int, default=900, help="how long it is good (default: %(default)s)"
    )
    key = made["key"]
    key.add_argument("word", choices=tuple(_WORDS), help="what to do: %(choices)s")
    key.add_argument("what", nargs="?", metavar="KEY|ARTEFACT", help="what to revoke or restore")
    key.add_argument("--note", metavar="TEXT", default="", help="what a new key is for")
    for action in made.values():
        add_common(action)


def _add_init(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("workspace", nargs="?", default="", help="the workspace's name (default: the folder's)")
    parser.add_argument("--path", metavar="DIR", default="", help="its folder (default: .hermetic/workspace)")
    parser.add_argument(
        "--database", metavar="URL", default="", help="postgresql://... (default: SQLite in the folder)"
    )
    parser.add_argument(
        "--artefacts",
        metavar="PLACE",
        default="",
        help="a folder, s3://, az://, gs://, or the https:// of a workspace that is served (default: in the folder)",
    )
    parser.add_argument("--registry", metavar="PLACE", default="", help="where images are pushed")
    parser.add_argument("--keyvault", choices=("keyring", "file"), default="", help="where secrets are kept")


def _add_serve(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--host", metavar="ADDRESS", default="127.0.0.1", help="where to listen (default: %(default)s)")
    parser.add_argument("--port", type=int, default=8642, help="the port, 0 for any (default: %(default)s)")
    parser.add_argument("--certificate", metavar="FILE", default="", help="speak TLS: a PEM file with the whole chain")
    parser.add_argument("--key", metavar="FILE", default="", help="the certificate's private key")
    parser.add_argument(
        "--trusted-proxy",
        metavar="ADDRESS",
        action="append",
        default=[],
        dest="proxies",
        help="a proxy, or a network of proxies, whose X-Forwarded-For is believed",
    )
    parser.add_argument(
        "--rate",
        metavar="N",
        type=float,
        default=50.0,
        help="requests a second of one client, ten times as many at once; 0 for no limit (default: %(default)g)",
    )


def run(arguments: argparse.Namespace, ui: UI) -> int:
    """Do it."""
    if arguments.action == "init":
        return _init(arguments, ui)
    from hermetic.workspace.opening import find_address

    address = find_address(arguments.project)
    if arguments.action == "show":
        from hermetic.config import load_config
        from hermetic.report.workspaces import health_text
        from hermetic.workspace.health import look_at

        health = look_at(address, load_config(base=address.folder.parent))
        ui.result(health_text(health, colour=ui.colour), health.to_dict(), asked=True)
        return 0 if health.good else 1
    if arguments.action == "sign":
        from hermetic.workspace.serving.operating import sign_artefact

        url = sign_artefact(address, arguments.artefact, arguments.server, arguments.expires)
        ui.output(f"{url}\n", {"url": url, "expires": arguments.expires})
        return 0
    return _serve(arguments, ui, address) if arguments.action == "serve" else _key(arguments, ui, address)


def _init(arguments: argparse.Namespace, ui: UI) -> int:
    from hermetic.report.workspaces import declared_text
    from hermetic.workspace.declaring import KEYS, declare_workspace

    values = {key: getattr(arguments, key) for key in KEYS}
    declared = declare_workspace(arguments.project, arguments.workspace, values)
    ui.result(
        declared_text(declared),
        {
            "name": declared.address.name,
            "folder": str(declared.address.folder),
            "file": str(declared.file),
            "written": declared.written,
            "created": declared.created,
        },
    )
    return 0


def _serve(arguments: argparse.Namespace, ui: UI, address: WorkspaceAddress) -> int:
    import sys
    from pathlib import Path

    from hermetic.errors import UsageError
    from hermetic.workspace.serving.limits import Proxies
    from hermetic.workspace.serving.operating import make_server
    from hermetic.workspace.serving.run import Settings

    if not 0 <= arguments.rate < _FASTEST:
        raise UsageError(f"--rate cannot be {arguments.rate:g}", remedy="give requests a second, or 0 for no limit")
    settings = Settings(
        arguments.host,
        arguments.port,
        Path(arguments.certificate) if arguments.certificate else None,
        Path(arguments.key) if arguments.key else None,
        Proxies.parse(arguments.proxies),
        arguments.rate,
        max(1, int(arguments.rate * 10)),
    )

    def log(line: str) -> None:
        if not ui.quiet:
            print(line, file=sys.stderr, flush=True)

    server = make_server(address, settings, log=log, warn=ui.reporter.warn)

    def say() -> None:
        text = f"serving {address.name} at {server.address} (stop with Ctrl-C)"
        ui.result(text, {"name": address.name, "address": server.address})
        sys.stdout.flush()

    server.when_ready = say
    server.run()
    return 0


def _key(arguments: argparse.Namespace, ui: UI, address: WorkspaceAddress) -> int:
    from hermetic.errors import UsageError
    from hermetic.report.workspaces import keys_text
    from hermetic.workspace.serving.operating import key_file, object_key_of

    word, what = arguments.word, arguments.what or ""
    if bool(what) != bool(_WORDS[word]):
        raise UsageError(
            f"{word} needs a key or an artefact" if _WORDS[word] else f"{word} takes no {what!r}",
            remedy="see 'hermetic workspace key --help'",
        )
    if arguments.note and word not in {"add", "rotate"}:
        raise UsageError(f"--note says nothing of {word}", remedy="give it with add or rotate")
    file = key_file(address)
    if word in {"add", "rotate"}:
        made = file.add(arguments.note) if word == "add" else file.rotate(arguments.note)
        shown = {"id": made.id, **({"key": made.text()} if word == "add" else {})}
        ui.output(f"{made.text() if word == 'add' else made.id}\n", shown)
        return 0
    if word == "revoke":
        ring = file.revoke_object(object_key_of(what)) if "/" in what else file.revoke_key(what)
    elif word == "restore":
        ring = file.restore_object(object_key_of(what))
    else:
        ring = file.read()
    ui.result(keys_text(ring, colour=ui.colour), ring.to_dict(), asked=word == "list")
    return 0
