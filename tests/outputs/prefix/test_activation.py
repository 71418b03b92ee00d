"""What a process in a prefix finds in its environment."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path

import pytest
from prefix_samples import SHARED, addresses, config, lock_of
from support.channel import write_package
from support.needs import suits

from hermetic.errors import BuildError, CredentialsError
from hermetic.outputs.prefix import activation_environment, build_prefix
from hermetic.store import Store

REAL = SHARED / "conda-data/packages/conda+conda/tests/data/test-recipes/noarch/activate_deactivate_package-1.0-0.conda"
BASE = {"PATH": "/usr/bin:/bin", "HOME": "/root", "KEPT": "1"}


def built(tmp_path: Path, store: Store, archives: list[Path], variables: dict[str, str] | None = None) -> Path:
    lock = lock_of(archives, variables=variables)
    build_prefix(lock, tmp_path / "env", store=store, config=config(), addresses=addresses(archives))
    return tmp_path / "env"


def with_scripts(folder: Path, **scripts: str) -> Path:
    files = {f"etc/conda/activate.d/{name}.sh": text for name, text in scripts.items()}
    return write_package(folder, "one", files=files)


def test_its_programs_come_first_and_its_variables_are_set(tmp_path: Path, store: Store) -> None:
    prefix = built(tmp_path, store, [], {"GREETING": "good morning", "KEPT": "2", "EMPTY": "", "MULTI": "a\nb=ü"})
    found = activation_environment(prefix, BASE)
    assert found == BASE | {
        "PATH": f"{prefix}/bin:/usr/bin:/bin",
        "CONDA_PREFIX": str(prefix),
        "CONDA_DEFAULT_ENV": "env",
        "CONDA_SHLVL": "1",
        "GREETING": "good morning",
        "KEPT": "2",
        "EMPTY": "",
        "MULTI": "a\nb=ü",
    }


def test_activating_twice_changes_nothing(tmp_path: Path, store: Store) -> None:
    prefix = built(tmp_path, store, [with_scripts(tmp_path, a="export A=1\n")])
    once = activation_environment(prefix, BASE)
    assert activation_environment(prefix, once) == once


def test_another_pythons_settings_are_dropped(tmp_path: Path, store: Store) -> None:
    found = activation_environment(
        built(tmp_path, store, []), {**BASE, "PYTHONHOME": "/x", "PYTHONPATH": "/y", "VIRTUAL_ENV": "/z"}
    )
    assert not {"PYTHONHOME", "PYTHONPATH", "VIRTUAL_ENV"} & found.keys()


def test_the_environments_own_variables_win(tmp_path: Path, store: Store) -> None:
    assert activation_environment(built(tmp_path, store, [], {"PYTHONPATH": "/mine"}), BASE)["PYTHONPATH"] == "/mine"


def test_real_activation_scripts_take_effect(tmp_path: Path, store: Store) -> None:
    suits(REAL.is_file(), f"{REAL} is not there")
    prefix = built(tmp_path, store, [REAL])
    found = activation_environment(prefix, BASE)
    assert found["TEST"] == "teststringfromactivate"
    assert found["PATH"] == f"teststringfromactivate/bin/test:{prefix}/bin:/usr/bin:/bin"


def test_scripts_run_in_order_and_may_say_and_export_anything(tmp_path: Path, store: Store) -> None:
    one = with_scripts(
        tmp_path,
        b='export SECOND="$FIRST then"\necho something\necho else >&2\nunset KEPT\nexport LIBS="$CONDA_PREFIX/lib"\n',
        a="export FIRST=$'one\\ntwo = three'\nunexported=1\nset -u\n",
    )
    prefix = built(tmp_path, store, [one])
    found = activation_environment(prefix, {**BASE, "SHLVL": "3", "PWD": "/"})
    assert found["SECOND"] == "one\ntwo = three then"
    assert found["LIBS"] == f"{prefix}/lib"
    assert "KEPT" not in found
    assert "unexported" not in found
    assert (found["SHLVL"], found["PWD"]) == ("3", "/")
    assert "_" not in found


def test_a_script_that_breaks_what_we_run_on_does_no_harm(tmp_path: Path, store: Store) -> None:
    one = with_scripts(tmp_path, a="export LD_PRELOAD=/nowhere.so PATH=/nowhere PYTHONHOME=/nowhere\n")
    assert activation_environment(built(tmp_path, store, [one]), BASE)["PATH"] == "/nowhere"


def test_a_script_that_fails_is_explained(tmp_path: Path, store: Store) -> None:
    prefix = built(tmp_path, store, [with_scripts(tmp_path, a="echo no such licence >&2\nexit 3\n")])
    with pytest.raises(BuildError, match=r"activation script .* failed: no such licence"):
        activation_environment(prefix, BASE)


def test_packages_variables_are_set_and_the_environments_win(tmp_path: Path, store: Store) -> None:
    one = write_package(
        tmp_path, "one", files={"etc/conda/env_vars.d/one.json": json.dumps({"FROM": "package", "ONLY": "package"})}
    )
    found = activation_environment(built(tmp_path, store, [one], {"FROM": "environment"}), BASE)
    assert (found["FROM"], found["ONLY"]) == ("environment", "package")


def test_damaged_variables_are_explained(tmp_path: Path, store: Store) -> None:
    prefix = built(tmp_path, store, [], {"A": "1"})
    (prefix / "conda-meta/state").write_text("{")
    with pytest.raises(BuildError, match="cannot be read"):
        activation_environment(prefix, BASE)


def test_conda_clients_find_the_variables_too(tmp_path: Path, store: Store) -> None:
    """They read ``conda-meta/state``; py-rattler's activation stands for them here."""
    from rattler.platform import Subdir
    from rattler.shell import ActivationVariables, PathModificationBehavior, Shell, activate

    prefix = built(tmp_path, store, [], {"GREETING": "good morning"})
    variables = ActivationVariables(None, ["/usr/bin"], PathModificationBehavior.Prepend)  # type: ignore[arg-type]
    script = activate(prefix, variables, Shell.bash, Subdir.current()).script  # type: ignore[arg-type]
    done = subprocess.run(
        ["bash", "-c", script + '\nprintf %s "$GREETING"'],
        capture_output=True,
        text=True,
        check=True,
        env=dict(os.environ),
    )
    assert done.stdout == "good morning"


def test_secrets_are_put_in_last_and_for_the_environments_own_variables_alone(tmp_path: Path, store: Store) -> None:
    """No script sees one, and no package and no caller gets one by writing down a reference."""
    archive = write_package(
        tmp_path,
        "one",
        files={
            "etc/conda/activate.d/a.sh": 'export SEEN="$DB" CHANGED="mine"\n',
            "etc/conda/env_vars.d/one.json": json.dumps({"PACKAGES": "${secret:db}"}),
        },
    )
    own = {"DB": "${secret:db}", "URL": "x://me:${secret:db}@h/${HOME}", "CHANGED": "${secret:db}"}
    prefix = built(tmp_path, store, [archive], own)
    found = activation_environment(prefix, BASE | {"CALLERS": "${secret:db}"}, {"db": "hunter22"}.get)
    wanted = {
        "DB": "hunter22",
        "URL": "x://me:hunter22@h/${HOME}",
        "SEEN": "${secret:db}",
        "CHANGED": "mine",
        "PACKAGES": "${secret:db}",
        "CALLERS": "${secret:db}",
    }
    assert {name: found[name] for name in wanted} == wanted
    assert "hunter22" not in "".join(path.read_text() for path in (prefix / "conda-meta").iterdir())


def test_a_missing_secret_is_told_by_its_variable(tmp_path: Path, store: Store) -> None:
    prefix = built(tmp_path, store, [], {"DB": "${secret:db}"})
    with pytest.raises(CredentialsError, match="the environment variable DB needs the secret 'db'"):
        activation_environment(prefix, BASE, {}.get)
