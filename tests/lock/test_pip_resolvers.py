"""One contract for the pip resolvers: uv and pip-tools give the same answers to the same questions."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from support.guarded import guarded
from tiny_channel import Server, misbehaving
from tiny_wheels import make_wheel, write_index

from hermetic.errors import (
    CredentialsError,
    MachineError,
    NetworkError,
    OfflineError,
    Place,
    SpecError,
    UnsatisfiableError,
)
from hermetic.lock.names import Provided
from hermetic.lock.pip_resolver import IndexAt, PipAnswer, PipRequest, PipResolver
from hermetic.lock.piptools_resolver import PipToolsResolver
from hermetic.lock.uv_resolver import UvResolver, find_uv
from hermetic.platforms import Accelerator, current_platform, virtual_packages
from hermetic.spec.model import PipOptions, PipRequirement
from hermetic.spec.pep508 import Origin, pip_requirement

HERE = current_platform()
PYTHON = "{}.{}.{}".format(*sys.version_info[:3])
pytestmark = pytest.mark.skipif(not HERE.startswith("linux"), reason="the wheels are Linux's")


class Index:
    """An index of tiny wheels on loopback, and a way to ask for something on it."""

    def __init__(self, folder: Path, server: Server) -> None:
        self.folder, self.server = folder, server
        machine = os.uname().machine
        minor = "cp{}{}".format(*sys.version_info[:2])
        wheels = folder / "wheels"
        make_wheel(wheels, "leaf", "1.0")
        make_wheel(wheels, "leaf", "1.1")
        make_wheel(wheels, "leaf", "2.0rc1")
        make_wheel(wheels, "tree", "2.0", "leaf >=1", "numpy >=1.20", "wood; extra == 'dry'")
        make_wheel(wheels, "tree", "3.0", "leaf >=1.1", "numpy >=2", "wood; extra == 'dry'")
        make_wheel(wheels, "wood", "1.0", "leaf")
        make_wheel(wheels, "numpy", "1.26.4", "absent")
        make_wheel(wheels, "numpy", "2.1.0")
        make_wheel(wheels, "picky", "1.0", "leaf <1.1")
        make_wheel(wheels, "native", "1.0", tag=f"{minor}-{minor}-manylinux_2_17_{machine}")
        make_wheel(wheels, "native", "1.0", tag=f"{minor}-{minor}-manylinux_2_35_{machine}")
        make_wheel(wheels, "native", "1.0", tag="py3-none-any")
        make_wheel(wheels, "elsewhere", "1.0", "leaf; sys_platform == 'win32'", "wood; python_version >= '3'")
        make_wheel(wheels, "Odd.Name_x", "1.0", "leaf")
        write_index(folder / "simple", wheels)
        (folder / "simple" / "Odd.Name-x").rename(folder / "simple" / "odd-name-x")
        self.index = f"{server.address}/simple"

    def request(self, *texts: str, **more: Any) -> PipRequest:
        return PipRequest(
            platform=HERE,
            python_version=PYTHON,
            requirements=tuple(
                pip_requirement(text, Origin(Place("requirements.txt", n))) for n, text in enumerate(texts, 1)
            ),
            **{
                "virtual_packages": virtual_packages(HERE, Accelerator(), {}),
                "indexes": (IndexAt(self.index, self.index),),
                "root": self.folder,
                **more,
            },
        )


@pytest.fixture
def index(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Index]:
    for name in list(os.environ):
        if name.startswith(("PIP_", "UV_")):
            monkeypatch.delenv(name)
    monkeypatch.setenv("PIP_CONFIG_FILE", os.devnull)
    monkeypatch.setenv("PIP_CACHE_DIR", str(tmp_path / "pip"))
    monkeypatch.setenv("UV_NO_CONFIG", "1")
    monkeypatch.setenv("UV_CACHE_DIR", str(tmp_path / "uv"))
    with misbehaving(tmp_path) as server:
        yield Index(tmp_path, server)


def uv(index: Index) -> PipResolver:
    return UvResolver(index.folder / "cache")


def piptools(index: Index) -> PipResolver:
    return PipToolsResolver(index.folder / "cache")


def ask(resolver: PipResolver, request: PipRequest) -> PipAnswer:
    return asyncio.run(resolver.resolve(request))


NUMPY = Provided("numpy", "1.26.4", "numpy")
QUESTIONS: dict[str, tuple[tuple[str, ...], dict[str, Any]]] = {
    "extras, markers, odd names": (("tree[dry]", "elsewhere", "picky; sys_platform == 'win32'", "Odd.Name_x"), {}),
    "beside conda's, the best wheel": (("tree", "picky", "native"), {"provided": (NUMPY,)}),
    "constrained": (("leaf",), {"constraints": (PipRequirement("leaf", specifier="<1.1"),)}),
    "kept": (("tree", "leaf"), {"keep": {"leaf": "1.0", "tree": "2.0"}, "provided": (NUMPY,)}),
    "a newer glibc": (("native",), {"virtual_packages": virtual_packages(HERE, Accelerator(), {"__glibc": "2.36"})}),
    "pre-releases": (("leaf",), {"options": PipOptions(pre=True)}),
    "a folder": (("leaf",), {"options": PipOptions(find_links=("./wheels",)), "indexes": ()}),
}


@pytest.mark.parametrize("question", QUESTIONS)
def test_both_give_the_same_answer(index: Index, question: str) -> None:
    texts, more = QUESTIONS[question]
    request = index.request(*texts, **more)
    one, two = ask(uv(index), request), ask(piptools(index), request)
    assert one.wheels
    assert [(w.name, w.version) for w in one.wheels] == [(w.name, w.version) for w in two.wheels]
    assert one.wheels == two.wheels
    assert one.satisfied == two.satisfied


def test_both_tell_indexes_apart(index: Index) -> None:
    make_wheel(index.folder / "more", "own", "1.0", "leaf")
    write_index(index.folder / "other", index.folder / "more")
    other = f"{index.server.address}/other"
    request = index.request("own", indexes=(IndexAt(index.index, index.index), IndexAt(other, other)))
    one, two = ask(uv(index), request), ask(piptools(index), request)
    assert {wheel.name: wheel.index for wheel in one.wheels} == {"leaf": index.index, "own": other}
    assert one.wheels == two.wheels


def test_both_take_a_wheel_that_was_built(index: Index) -> None:
    make_wheel(index.folder / "built", "leaf", "7.0")
    built = {"leaf": index.folder / "built" / "leaf-7.0-py3-none-any.whl"}
    request = index.request("tree", "leaf @ git+https://git.example.org/leaf", provided=(NUMPY,), built=built)
    one, two = ask(uv(index), request), ask(piptools(index), request)
    assert [(w.name, w.version, w.index, w.url) for w in one.wheels] == [
        ("leaf", "7.0", "", ""), ("tree", "2.0", index.index, "")
    ]  # fmt: skip
    assert one.wheels == two.wheels


@pytest.mark.parametrize("make", [uv, piptools])
class TestFailures:
    def test_an_unknown_project(self, index: Index, make: Any) -> None:
        with pytest.raises(UnsatisfiableError) as caught:
            ask(make(index), index.request("leaf", "nowhere"))
        assert caught.value.place == Place("requirements.txt", 2)
        assert "Traceback" not in caught.value.message

    def test_a_contradiction(self, index: Index, make: Any) -> None:
        with pytest.raises(UnsatisfiableError) as caught:
            ask(make(index), index.request("picky", "leaf>=1.1"))
        assert "picky" in caught.value.message
        assert "Traceback" not in caught.value.message

    def test_what_conda_contradicts(self, index: Index, make: Any) -> None:
        with pytest.raises(UnsatisfiableError, match=r"conda provides numpy 1\.26\.4"):
            ask(make(index), index.request("tree>=3", provided=(NUMPY,)))

    def test_offline(self, index: Index, make: Any) -> None:
        with pytest.raises(OfflineError) as caught:
            ask(make(index), index.request("leaf", offline=True))
        if make is uv:
            assert "leaf was never looked up" in caught.value.message
            assert caught.value.place == Place("requirements.txt", 1)

    def test_a_folder_of_wheels_that_is_not_there(self, index: Index, make: Any) -> None:
        request = index.request("leaf", options=PipOptions(find_links=("./nothere",)))
        with pytest.raises(SpecError, match=f"--find-links: there is no {index.folder}/nothere"):
            ask(make(index), request)


def test_an_address_of_a_requirement_that_gives_nothing(index: Index, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("UV_HTTP_RETRIES", "0")
    address = "http://127.0.0.1:9/foo-1.0-py3-none-any.whl"
    with pytest.raises(NetworkError) as caught:
        ask(uv(index), index.request("leaf", f"foo @ {address}"))
    assert str(caught.value).startswith(f"requirements.txt:2: {address} cannot be reached")


def test_an_index_that_is_not_there_is_named_by_its_address(index: Index, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("UV_HTTP_RETRIES", "0")
    nowhere = "http://127.0.0.1:9/simple"
    with pytest.raises(NetworkError) as caught:
        ask(uv(index), index.request("leaf", indexes=(IndexAt("", nowhere),)))
    assert f"check the network and the address: {nowhere}/leaf/" in str(caught.value)


def test_pip_tools_says_what_it_cannot_do(index: Index) -> None:
    other = "osx-arm64" if HERE != "osx-arm64" else "linux-64"
    request = index.request("leaf")
    for foreign in (replace(request, platform=other), replace(request, python_version="3.99.1")):
        with pytest.raises(MachineError, match="only for this machine") as caught:
            ask(piptools(index), foreign)
        assert caught.value.exit_status == 6
    with pytest.raises(MachineError, match="would run the code of leaf"):
        ask(piptools(index), replace(request, from_source=("leaf",)))


def test_uv_resolves_for_platforms_it_does_not_run_on(index: Index) -> None:
    make_wheel(index.folder / "wheels", "mac", "1.0", tag="cp312-cp312-macosx_11_0_arm64")
    make_wheel(index.folder / "wheels", "mac", "1.0", tag="cp312-cp312-macosx_14_0_arm64")
    write_index(index.folder / "simple", index.folder / "wheels")
    request = replace(
        index.request("mac"), platform="osx-arm64", python_version="3.12.4",
        virtual_packages=virtual_packages("osx-arm64", Accelerator(), {}),
    )  # fmt: skip
    assert ask(uv(index), request).wheels[0].file_name == "mac-1.0-cp312-cp312-macosx_11_0_arm64.whl"
    newer = replace(request, virtual_packages=virtual_packages("osx-arm64", Accelerator(), {"__osx": "14.0"}))
    assert ask(uv(index), newer).wheels[0].file_name == "mac-1.0-cp312-cp312-macosx_14_0_arm64.whl"


def test_uv_says_for_which_platforms_it_cannot_resolve(index: Index) -> None:
    with pytest.raises(MachineError, match="linux-s390x"):
        ask(uv(index), replace(index.request("leaf"), platform="linux-s390x"))


def test_uv_is_not_swayed_by_the_environment(index: Index, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where to look may come from the environment; what to choose may not."""
    expected = ask(uv(index), index.request("leaf"))
    (index.folder / "own.txt").write_text("leaf<1.1\n")
    monkeypatch.setenv("UV_CONSTRAINT", str(index.folder / "own.txt"))
    monkeypatch.setenv("UV_RESOLUTION", "lowest")
    monkeypatch.setenv("UV_PRERELEASE", "allow")
    monkeypatch.setenv("UV_EXCLUDE_NEWER", "2001-01-01")
    assert ask(uv(index), index.request("leaf")) == expected


def test_uv_that_is_not_there(index: Index) -> None:
    with pytest.raises(MachineError, match="cannot run uv"):
        ask(UvResolver(index.folder / "cache", program=str(index.folder / "nothing")), index.request("leaf"))
    assert Path(find_uv()).is_file()


def test_uv_is_stopped_when_nobody_waits_any_more(index: Index) -> None:
    request = index.request("leaf", indexes=(IndexAt("", f"{index.server.address}/hang/simple"),))

    async def impatient() -> None:
        task = asyncio.ensure_future(uv(index).resolve(request))
        await asyncio.to_thread(index.server.hanging.wait, 30)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    asyncio.run(impatient())
    running = subprocess.run(["ps", "-eo", "args"], capture_output=True, text=True, check=True).stdout
    assert str(index.folder) not in running


def test_edges_are_found_also_when_uv_s_log_says_nothing(index: Index, monkeypatch: pytest.MonkeyPatch) -> None:
    """The log is no promise of uv's: without it a second run tells the edges."""
    expected = ask(uv(index), index.request("tree", provided=(NUMPY,)))
    quiet = index.folder / "quiet-uv"
    quiet.write_text(f'#!/bin/sh\nRUST_LOG=off exec "{find_uv()}" "$@"\n')
    quiet.chmod(0o755)
    found = ask(UvResolver(index.folder / "cache", program=str(quiet)), index.request("tree", provided=(NUMPY,)))
    assert found == expected


def test_credentials_of_an_index_that_asks(index: Index, monkeypatch: pytest.MonkeyPatch) -> None:
    private = f"{index.server.address}/private/simple"
    request = index.request("leaf", indexes=(IndexAt(private, private),))
    with pytest.raises(CredentialsError) as caught:
        ask(uv(index), request)
    assert caught.value.remedy is not None
    assert "HERMETIC_AUTH_127_0_0_1" in caught.value.remedy
    monkeypatch.setenv("HERMETIC_AUTH_127_0_0_1", "me:pw")
    assert ask(uv(index), request).wheels[0].index == private


@pytest.mark.parametrize("name", ["uv", "pip-tools"])
def test_a_secret_of_an_index_is_on_no_command_line(index: Index, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("hermetic.vault_hook.lookup", {"index": "p@ss/w:rd+22"}.get)
    with guarded(index.folder, "me", "p@ss/w:rd+22") as guard:
        private = guard.address("me:${secret:index}") + "/simple"
        resolver = uv(index) if name == "uv" else piptools(index)
        answer = ask(resolver, index.request("leaf", indexes=(IndexAt(private, private),)))
        assert answer.wheels[0].index == private
        assert guard.asked
        assert guard.shown == []
        assert "w:rd+22" not in repr(answer)
        assert "w%3Ard%2B22" not in repr(answer)


def test_what_was_uploaded_later_does_not_exist(index: Index) -> None:
    """An index that does not say when a file came has nothing old enough."""
    with pytest.raises(UnsatisfiableError, match="published until 2001-01-01 00:00 UTC"):
        ask(uv(index), index.request("leaf", exclude_newer=datetime(2001, 1, 1, tzinfo=UTC)))
