"""Link scripts: refused with their names, left out with a warning, or run in a sandbox that cannot do harm."""

from __future__ import annotations

from pathlib import Path

import pytest
from prefix_samples import SHARED, addresses, config, lock_of, tree
from support.channel import write_package
from support.needs import require, suits

from hermetic.errors import BuildError, MachineError, UsageError
from hermetic.events import Silent
from hermetic.outputs.prefix import build_prefix, read_state, verify_prefix
from hermetic.realize.sandbox import usable_backend
from hermetic.store import Store

RECIPES = SHARED / "conda-data/packages/conda+conda/tests/data/test-recipes/noarch"
SCRIPTED = SHARED / "conda-data/packages/conda+rattler/test-data/link-scripts/link-scripts-0.1.0-h4616a5c_0.conda"


@pytest.fixture(autouse=True)
def _sandbox() -> None:
    try:
        usable_backend()
    except MachineError as error:
        require(False, error.message)


class Told(Silent):
    """Keeps what a build says."""

    def __init__(self) -> None:
        self.said: list[str] = []

    def say(self, message: str) -> None:
        self.said.append(message)


def build(
    prefix: Path, archives: list[Path], store: Store, mode: str = "run", told: Told | None = None
) -> tuple[str, ...]:
    result = build_prefix(
        lock_of(archives), prefix, store=store, config=config(), addresses=addresses(archives), link_scripts=mode,
        reporter=told or Told(),
    )  # fmt: skip
    return result.warnings


def scripted(folder: Path, script: str, name: str = "one", **more: object) -> Path:
    files = {f"bin/.{name}-post-link.sh": script, **more.pop("files", {})}  # type: ignore[dict-item]
    return write_package(folder, name, files=files, **more)  # type: ignore[arg-type]


def test_they_are_refused_with_package_and_script(tmp_path: Path, store: Store) -> None:
    one = scripted(tmp_path, "exit 0\n")
    with pytest.raises(UsageError, match=r"run a script .*: one \(bin/\.one-post-link\.sh\)") as error:
        build(tmp_path / "env", [one], store, "refuse")
    assert "link-scripts=run" in (error.value.remedy or "")
    assert not (tmp_path / "env").exists()


def test_what_would_run_when_it_is_removed_is_no_reason(tmp_path: Path, store: Store) -> None:
    one = write_package(tmp_path, "one", files={"bin/.one-pre-unlink.sh": "exit 1\n", "bin/.other-post-link.sh": ""})
    assert build(tmp_path / "env", [one], store, "refuse") == ()


def test_they_are_left_out_with_a_warning(tmp_path: Path, store: Store) -> None:
    suits(SCRIPTED.is_file(), f"{SCRIPTED} is not there")
    assert build(tmp_path / "env", [SCRIPTED], store, "skip") == (
        "link-scripts: bin/.link-scripts-post-link.sh was not run",
    )
    assert not (tmp_path / "env/i-was-post-linked").exists()


def test_real_ones_run_and_their_messages_are_told(tmp_path: Path, store: Store) -> None:
    suits(SCRIPTED.is_file(), f"{SCRIPTED} is not there")
    told = Told()
    assert build(tmp_path / "env", [SCRIPTED], store, "run", told) == ()
    assert (tmp_path / "env/i-was-post-linked").exists()
    assert any("post-link script that just ran" in text for text in told.said)
    assert not (tmp_path / "env/.messages.txt").exists()
    assert verify_prefix(tmp_path / "env", lock_of([SCRIPTED]), store=store, config=config()) == ()


def test_they_run_in_the_order_of_linking_in_the_activated_prefix(tmp_path: Path, store: Store) -> None:
    suits(RECIPES.is_dir(), f"{RECIPES} is not there")
    names = ("post_link-d", "post_link-e", "post_link_run_in_env_package")
    build(tmp_path / "env", [RECIPES / f"{name}-1.0-0.conda" for name in names], store)
    assert (tmp_path / "env/bin/file").read_text() == "test\n"


def test_a_failing_one_fails_the_build_with_what_it_said(tmp_path: Path, store: Store) -> None:
    one = scripted(tmp_path, "echo cannot do that\necho for the user >> $PREFIX/.messages.txt\nexit 3\n")
    with pytest.raises(BuildError, match=r"one 1\.0 failed with status 3\ncannot do that\nfor the user"):
        build(tmp_path / "env", [one], store)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["noarch"]


def test_they_see_the_final_path_and_cannot_leave_it(tmp_path: Path, store: Store) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "secret").write_text("s3cret")
    script = f"""
env | sort > "$PREFIX/env.txt"
echo "$PREFIX $PKG_NAME $PKG_VERSION $PKG_BUILDNUM" > "$PREFIX/told.txt"
cat {outside}/secret > "$PREFIX/seen.txt" 2>/dev/null || true
echo changed > {outside}/secret 2>/dev/null || true
echo x > /usr/hermetic-was-here 2>/dev/null || true
(exec 3<>/dev/tcp/127.0.0.1/9) 2>/dev/null && echo reached > "$PREFIX/net.txt"
ls {tmp_path} > "$PREFIX/beside.txt"
exit 0
"""
    one = scripted(tmp_path, script, build_number=7)
    build(tmp_path / "env", [one], store)
    prefix = tmp_path / "env"
    assert (prefix / "told.txt").read_text() == f"{prefix} one 1.0 7\n"
    assert (prefix / "seen.txt").read_text() == ""
    assert (outside / "secret").read_text() == "s3cret"
    assert not Path("/usr/hermetic-was-here").exists()
    assert not (prefix / "net.txt").exists()
    assert (prefix / "beside.txt").read_text() == "env\n"
    assert "SECRET" not in (prefix / "env.txt").read_text()


def test_what_they_change_is_part_of_the_environment_and_the_store_is_untouched(tmp_path: Path, store: Store) -> None:
    script = (
        'echo more >> "$PREFIX/share/x"; rm "$PREFIX/share/y"; mkdir "$PREFIX/made"; chmod 700 "$PREFIX/made"; exit 0\n'
    )
    one = scripted(tmp_path, script, files={"share/x": "x\n", "share/y": "y\n"})
    for mode in ("auto", "hardlink"):
        prefix = tmp_path / f"env-{mode}"
        build_prefix(
            lock_of([one]), prefix, store=store, config=config(), addresses=addresses([one]), link_scripts="run",
            link_mode=mode,
        )  # fmt: skip
        assert (prefix / "share/x").read_text() == "x\nmore\n"
        assert not (prefix / "share/y").exists()
        assert tree(prefix)["made"][1] == 0o755
        assert verify_prefix(prefix, lock_of([one]), store=store, config=config()) == ()
    build(tmp_path / "plain", [one], store, "skip")
    assert (tmp_path / "plain/share/x").read_text() == "x\n"
    assert (tmp_path / "plain/share/y").read_text() == "y\n"


def test_what_became_of_them_belongs_to_what_was_built(tmp_path: Path, store: Store) -> None:
    one = scripted(tmp_path, 'touch "$PREFIX/ran"\n')
    prefix = tmp_path / "env"
    build(prefix, [one], store, "skip")
    state = read_state(prefix)
    assert state
    assert state.link_scripts == "skip"
    build(prefix, [one], store, "run")
    assert (prefix / "ran").exists()


def test_noarch_python_scripts_count_too(tmp_path: Path, store: Store) -> None:
    python = write_package(
        tmp_path, "python", "3.11.9", build="h0_0_cpython", subdir="linux-64", files={"lib/python3.11/os.py": ""}
    )
    one = write_package(
        tmp_path, "one", noarch="python", files={"python-scripts/.one-post-link.sh": 'touch "$PREFIX/ran"\n'}
    )
    with pytest.raises(UsageError, match=r"one \(bin/\.one-post-link\.sh\)"):
        build(tmp_path / "env", [python, one], store, "refuse")
    build(tmp_path / "env", [python, one], store, "run")
    assert (tmp_path / "env/ran").exists()
