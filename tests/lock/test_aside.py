from __future__ import annotations

import asyncio
import subprocess
import sys

import pytest

from hermetic.lock.aside import aside


def test_the_answer_comes_from_another_thread() -> None:
    assert asyncio.run(aside(lambda: 42)) == 42


@pytest.mark.parametrize("kind", [ValueError, KeyboardInterrupt])
def test_what_is_raised_there_is_raised_here(kind: type[BaseException]) -> None:
    def fail() -> None:
        raise kind("there")

    with pytest.raises(kind, match="there"):
        asyncio.run(aside(fail))


def test_who_interrupts_does_not_wait_for_its_end() -> None:
    code = """
import asyncio, signal, threading, os
from hermetic.lock.aside import aside
def work():
    os.kill(os.getpid(), signal.SIGINT)
    threading.Event().wait()
try:
    asyncio.run(aside(work))
except KeyboardInterrupt:
    print("interrupted", flush=True)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=False)
    assert done.stdout == "interrupted\n"
