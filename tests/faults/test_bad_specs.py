"""Files that people mistype: each is refused with its line and what to do, and nothing on disk changes."""

from __future__ import annotations

from pathlib import Path

import pytest
from support.desk import Desk, snapshot

DEEP = 20_000

YAML = {
    "a tab indents": ("dependencies:\n\t- numpy\n", 2),
    "a bracket is not closed": ("channels: [shop\ndependencies:\n  - numpy\n", 2),
    "a quote is not closed": ("dependencies:\n  - 'numpy\n  - pandas\n", 2),
    "a colon is missing": ("channels\n  - shop\ndependencies:\n  - numpy\n", 3),
    "a dash is missing": ("dependencies:\n  - numpy\n  pandas\n", 3),
    "a key stands twice": ("dependencies:\n  - numpy\nchannels:\n  - shop\ndependencies:\n  - pandas\n", 5),
    "a list is a word": ("channels:\n  - shop\ndependencies: numpy\n", 3),
    "an entry is empty": ("dependencies:\n  - numpy\n  -\n", 3),
    "an entry is a number": ("dependencies:\n  - numpy\n  - 3.11\n", 3),
    "a mapping that is not pip": ("dependencies:\n  - numpy\n  - conda:\n    - pandas\n", 3),
    "pip is no list": ("dependencies:\n  - numpy\n  - pip: requests\n", 3),
    "a version that is none": ("dependencies:\n  - numpy >=1.0,,\n", 2),
    "a pip requirement that is none": ("dependencies:\n  - python\n  - pip:\n    - requests >>2\n", 4),
    "an unknown platform": ("platforms:\n  - amiga\ndependencies:\n  - numpy\n", 2),
    "a merge is not finished": ("dependencies:\n<<<<<<< HEAD\n  - numpy\n=======\n  - pandas\n>>>>>>> theirs\n", 2),
    "an alias of nothing": ("dependencies:\n  - *numpy\n", 2),
    "an object of Python": ("dependencies:\n  - !!python/object/apply:os.system [id]\n", 2),
    "nested without end": ("dependencies: " + "[" * DEEP + "\n", None),
    "aliases of aliases": (
        "a0: &a0 [x]\n" + "".join(f"a{n + 1}: &a{n + 1} [{', '.join([f'*a{n}'] * 9)}]\n" for n in range(9))
        + "dependencies: *a9\n",
        None,
    ),
    "a list at the top": ("- numpy\n- pandas\n", 1),
    "an empty file": ("", None),
    "not text": (b"\x00\x01\x02\xff\xfe", None),
    "another encoding": ("name: caf\xe9\ndependencies:\n  - numpy\n".encode("latin-1"), 1),
}  # fmt: skip

TOML = {
    "a quote is missing": ('[environments.default]\ndependencies = ["numpy]\n', 2),
    "a comma is missing": ('[environments.default]\ndependencies = ["numpy" "pandas"]\n', 2),
    "a table stands twice": ("[environments.default]\ndependencies = []\n\n[environments.default]\n", 4),
    "a key is misspelt": ('[environments.default]\ndependancies = ["numpy"]\n', 2),
    "a table is misspelt": ("[environment.default]\ndependencies = []\n", 1),
    "a list is a word": ('[environments.default]\ndependencies = "numpy"\n', 2),
    "a version that is none": ('[environments.default]\ndependencies = ["numpy >=1.0,,"]\n', 2),
    "a pip requirement that is none": ('[environments.default]\npip = [\n  "humanize",\n  "requests >>2",\n]\n', 4),
    "an unknown platform": ('[environments.default]\nplatforms = ["amiga"]\n', 2),
    "an unknown accelerator": ('[environments.default]\naccelerator = "abacus"\n', 2),
    "a system without a version": ('[environments.default]\nsystem = { glibc = "new" }\n', 2),
    "a variable that is a table": ("[environments.default]\nvariables = { A = { b = 1 } }\n", 2),
    "a spec file that is not there": ('[environments.default]\nfrom = ["environment.yml"]\n', 2),
    "a wheel that is not there": ('[environments.default]\nwheels = ["dist/mine-1.0-py3-none-any.whl"]\n', 2),
    "a wheel that is none": ('[environments.default]\nwheels = ["mine.zip"]\n', 2),
    "a channel's address is a number": ("[channels]\nshop = 1\n[environments.default]\n", 2),
    "a merge is not finished": ("<<<<<<< HEAD\n[environments.default]\n=======\n>>>>>>> theirs\n", 1),
    "nested without end": ("x = " + "[" * DEEP + "\n", None),
    "not text": (b"\x00\x01\x02\xff\xfe", None),
    "another encoding": ('[environments.default]\n# caf\xe9\ndependencies = ["numpy"]\n'.encode("latin-1"), 2),
}

REQUIREMENTS = {
    "an operator that is none": ("humanize\nrequests >>2\n", 2),
    "an operator is missing": ("requests 2.0\n", 1),
    "a marker that is none": ('humanize\nrequests; python_version is "3"\n', 2),
    "an option that is none": ("--frobnicate yes\nrequests\n", 1),
    "a hash that is none": ("requests==2.0 --hash=sha256:abc\n", 1),
    "a file that is not there": ("humanize\n-r more.txt\n", 2),
    "a file that names itself": ("humanize\n-r requirements.txt\n", 2),
    "an index without an address": ("--index-url\nrequests\n", 1),
    "a URL without a name": ("humanize\nhttps://example.org/archive.tar.gz\n", 2),
    "a name is missing": ("==1.0\n", 1),
    "a merge is not finished": ("humanize\n<<<<<<< HEAD\nrequests==1\n=======\nrequests==2\n>>>>>>> theirs\n", 2),
    "not text": (b"\x00\x01\x02\xff\xfe", None),
    "another encoding": ("humanize\n# caf\xe9\nrequests\n".encode("latin-1"), 2),
}

PYPROJECT = {
    "a bracket is not closed": ('[project]\nname = "x"\ndependencies = ["requests"\n', None),
    "a list is a word": ('[project]\nname = "x"\nversion = "1"\ndependencies = "requests"\n', 4),
    "a requirement that is none": ('[project]\nname = "x"\nversion = "1"\ndependencies = [\n  "requests >>2",\n]\n', 5),
    "dependencies that are made up later": ('[project]\nname = "x"\ndynamic = ["dependencies"]\n', 3),
}


def cases() -> list[object]:
    tables = {
        "environment.yml": YAML,
        "hermetic.toml": TOML,
        "requirements.txt": REQUIREMENTS,
        "pyproject.toml": PYPROJECT,
    }
    return [
        pytest.param(name, content, line, id=f"{name}: {what}")
        for name, table in tables.items()
        for what, (content, line) in table.items()
    ]


@pytest.mark.parametrize(("name", "content", "line"), cases())
def test_a_spec_that_cannot_be_understood(
    tmp_path: Path, goods: Path, name: str, content: str | bytes, line: int | None
) -> None:
    desk = Desk(tmp_path)
    desk.environment["HERMETIC_CHANNELS"] = f"conda-forge={goods / 'channel'}"  # what may be read before the fault
    (desk.project / name).write_bytes(content.encode() if isinstance(content, str) else content)
    before = snapshot(desk.project)
    result = desk("lock", status=2)
    place = f"{name}:{line}: " if line else name
    assert place in result.stderr, result.stderr
    assert len(result.stderr.strip().splitlines()) >= 2, f"no remedy: {result.stderr}"
    assert len(result.stderr) < 2000
    assert snapshot(desk.project) == before
