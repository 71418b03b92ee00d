from __future__ import annotations

import subprocess
import sys
from multiprocessing import get_context
from pathlib import Path

from store_samples import names_in

from hermetic.store import Store
from hermetic.store.session import remove, session, sweep

HOLD = (
    "import sys, pathlib, time; from hermetic.store import Store\n"
    "with Store(pathlib.Path(sys.argv[1])).staging() as folder:\n"
    "    (folder / 'half').write_text('x'); print(folder, flush=True); time.sleep(60)"
)


def holder(store: Store) -> tuple[subprocess.Popen[str], Path]:
    child = subprocess.Popen([sys.executable, "-c", HOLD, str(store.root)], stdout=subprocess.PIPE, text=True)
    assert child.stdout
    return child, Path(child.stdout.readline().strip())


def end(child: subprocess.Popen[str]) -> None:
    child.kill()
    child.wait()
    assert child.stdout
    child.stdout.close()


def test_what_a_killed_process_left_is_swept_and_what_a_live_one_has_is_not(store: Store) -> None:
    dead, lost = holder(store)
    end(dead)
    alive, kept = holder(store)  # sweeps when it begins
    try:
        assert not lost.exists()
        assert sweep(store.root / "staging") == 0
        assert (kept / "half").read_text() == "x"
    finally:
        end(alive)
    assert sweep(store.root / "staging") == 1
    assert not kept.exists()


def test_a_process_that_ends_well_leaves_nothing(store: Store) -> None:
    code = "import sys, pathlib; from hermetic.store import Store; Store(pathlib.Path(sys.argv[1])).put_bytes(b'x')"
    subprocess.run([sys.executable, "-c", code, str(store.root)], check=True)
    assert names_in(store.root / "staging") == []


def _in_child(root: str) -> str:
    with Store(Path(root)).staging() as folder:
        return str(folder.parent)


def test_a_forked_child_has_a_corner_of_its_own(store: Store) -> None:
    with store.staging() as mine, get_context("fork").Pool(1) as pool:
        assert pool.apply(_in_child, (str(store.root),)) != str(mine.parent)
        assert mine.is_dir()


def test_a_session_that_somebody_removed_begins_anew(store: Store) -> None:
    first = session(store.root / "staging").folder
    remove(first)
    with store.staging() as folder:
        assert folder.parent != first


def test_removing_does_not_follow_links(tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "precious").write_text("x")
    inside = tmp_path / "inside"
    inside.mkdir()
    (inside / "link").symlink_to(outside)
    inside.chmod(0o500)
    remove(inside)
    assert not inside.exists()
    assert (outside / "precious").read_text() == "x"
