"""The log: lines with their time, without secrets, in chunks, in their order whatever the database does."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import threading

import pytest

from hermetic.errors import NetworkError
from hermetic.events import task
from hermetic.secrets import hide
from hermetic.workspace.builds.log import CHUNK, MOST, Log


def bare(text: str) -> list[str]:
    """Give a text's lines without their times."""
    return [re.sub(r"\A\d\d:\d\d:\d\d  ", "", line) for line in text.splitlines()]


def test_what_is_reported_becomes_lines() -> None:
    written: list[str] = []
    told = Log(written.append)
    with task(told, "fetch", "fetching", 3, "files"):
        told.advance("fetch")
        told.warn("one is old")
    told.start("solve", "solving")
    told.finish("solve", "12 packages")
    told.say("two\nlines")
    told.flush()
    told.flush()
    assert bare("".join(written)) == [
        "fetching (3 files)",
        "warning: one is old",
        "solving",
        "solving: 12 packages",
        "two",
        "lines",
    ]
    assert len(written) == 1


def test_secrets_and_passing_names_do_not_reach_it() -> None:
    written: list[str] = []
    log = Log(written.append, {"/tmp/work/17/": ""})
    hide("correct horse")
    log.say("the password is correct horse, see /tmp/work/17/environment.lock.json")
    log.say("from https://user:battery@example.org/a?sig=staple\0")
    with pytest.raises(ZeroDivisionError), task(log, "t", "fetching https://x:battery@example.org/b"):
        _ = 1 / 0
    log.flush()
    assert bare("".join(written)) == [
        "the password is ***, see environment.lock.json",
        "from https://example.org/a",
        "fetching https://example.org/b",
        "fetching https://example.org/b: failed",
    ]


def test_chunks_are_not_too_large_and_lose_nothing() -> None:
    written: list[str] = []
    log = Log(written.append)
    lines = [str(number) * 1000 for number in range(1000)] + ["x" * (3 * CHUNK)]
    for line in lines:
        log.say(line)
    log.flush()
    assert max(map(len, written)) <= CHUNK
    assert bare("".join(written)) == lines


def test_what_cannot_be_written_now_is_written_later() -> None:
    written: list[str] = []
    away = [True]

    def write(chunk: str) -> None:
        if away[0]:
            raise NetworkError("away")
        written.append(chunk)

    log = Log(write)
    log.say("one")
    with pytest.raises(NetworkError):
        log.flush()
    log.say("two")
    away[0] = False
    log.flush()
    assert bare("".join(written)) == ["one", "two"]


def test_a_log_that_grows_without_end_ends() -> None:
    written: list[str] = []
    log = Log(written.append)
    for _ in range(MOST // 100_000 + 10):
        log.say("x" * 100_000)
    log.flush()
    text = "".join(written)
    assert len(text) < MOST + 200_000
    assert text.endswith("the log ends here: it is full\n")


def test_several_threads_tell_whole_lines() -> None:
    written: list[str] = []
    log = Log(written.append)

    def tell(name: str) -> None:
        for number in range(200):
            log.say(f"{name} {number}")
            log.flush()

    threads = [threading.Thread(target=tell, args=(name,)) for name in "abc"]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    lines = bare("".join(written))
    for name in "abc":
        assert [line for line in lines if line.startswith(name)] == [f"{name} {number}" for number in range(200)]
    assert len(lines) == 600


PRINTS = """
import os, subprocess, sys
from hermetic.workspace.builds.log import Log, catch_prints
kept = os.dup(1)
log = Log(lambda chunk: os.write(kept, chunk.encode()))
settle = catch_prints(log)
print("from Python", flush=True)
subprocess.run([sys.executable, "-c", "print('from a child')"])
os.write(2, b"bytes \\xff without an end")
settle()
print("nobody hears this", flush=True)
log.flush()
"""


def test_what_programs_print_is_in_it() -> None:
    ran = subprocess.run([sys.executable, "-c", PRINTS], capture_output=True, text=True, check=True, env=os.environ)
    assert bare(ran.stdout) == ["from Python", "from a child", "bytes \ufffd without an end"]
