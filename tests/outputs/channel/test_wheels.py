"""A wheel becomes a package that installs the same files: every scheme folder, entry points, RECORD, requirements."""

from __future__ import annotations

import base64
import csv
import hashlib
import io
import shutil
import subprocess
import sys
import zipfile
from dataclasses import replace
from pathlib import Path

import pytest
from support.wheels import make_wheel

from hermetic.errors import IntegrityError, UsageError
from hermetic.outputs.channel.archive import PLACEHOLDER
from hermetic.outputs.channel.elf import read_elf
from hermetic.outputs.channel.interpreter import Interpreter, ask
from hermetic.outputs.channel.patch import patchelf, set_run_path
from hermetic.outputs.channel.wheel_package import WheelPackage, wheel_package
from hermetic.outputs.channel.wheels import fits, read_wheel, wheel_requirements

PYTHON = ask()
LINUX = pytest.mark.skipif(sys.platform != "linux", reason="ELF files are Linux's")


def python(minor: str = "3.11", machine: str = "x86_64", **changes: object) -> Interpreter:
    marker = {**PYTHON.environment, "python_version": minor, "python_full_version": f"{minor}.4"}
    marker |= {"platform_machine": machine, "sys_platform": "linux", "platform_system": "Linux"}
    return replace(PYTHON, marker=tuple(sorted(marker.items())), **changes)  # type: ignore[arg-type]


def packed(path: Path, scratch: Path, interpreter: Interpreter | None = None, *requires: str) -> WheelPackage:
    scratch.mkdir(exist_ok=True)
    return wheel_package(read_wheel(path), interpreter or python(), "linux-64", requires, scratch)


def contents(package: WheelPackage) -> dict[str, bytes]:
    return {file.path: file.read() for file in package.files}


def test_a_pure_wheel_is_noarch_and_its_scripts_are_the_installers(tmp_path: Path) -> None:
    wheel = make_wheel(tmp_path, "Tiny.Tool", "1.2", scripts={"tiny": "tiny_tool:main"}, requires_python=">=3.9,<4")
    made = packed(wheel, tmp_path / "scratch")
    assert (made.package.name, made.package.version, made.package.subdir) == ("tiny-tool", "1.2", "noarch")
    assert made.package.noarch == "python"
    assert made.package.depends == ("python <4.0a0,>=3.9",)
    assert made.package.entry_points == ("tiny = tiny_tool:main",)
    assert made.package.purls == ("pkg:pypi/tiny-tool@1.2",)
    files = contents(made)
    assert "site-packages/Tiny_Tool.py" in files
    assert files["site-packages/Tiny_Tool-1.2.dist-info/INSTALLER"] == b"conda\n"
    assert not [path for path in files if path.startswith("bin/")]


def test_a_wheel_for_one_platform_holds_on_to_python_and_has_its_scripts(tmp_path: Path) -> None:
    tag = "cp311-cp311-manylinux_2_28_x86_64"
    made = packed(make_wheel(tmp_path, "fast", tag=tag, scripts={"fast": "fast:App.main"}), tmp_path / "scratch")
    assert made.package.subdir == "linux-64"
    assert made.package.depends == ("python >=3.11,<3.12.0a0", "python_abi 3.11.* *_cp311")
    script = next(file for file in made.files if file.path == "bin/fast")
    assert script.executable
    assert script.prefix == "text"
    text = script.read().decode()
    assert text.startswith(f"#!{PLACEHOLDER}/bin/python3.11\n")
    assert "from fast import App\n" in text
    assert "sys.exit(App.main())" in text


def test_every_scheme_folder_goes_where_pip_puts_it(tmp_path: Path) -> None:
    data = {
        "purelib/pure.py": "",
        "platlib/plat.py": "",
        "scripts/run": "#!python\nprint(1)\n",
        "scripts/runw": "#!pythonw -x\n",
        "scripts/shell": "#!/bin/sh\n",
        "headers/sub/a.h": "",
        "data/etc/conf": "",
    }
    noarch = packed(make_wheel(tmp_path, "many", data=data, files={}), tmp_path / "s1")
    files = contents(noarch)
    assert {"site-packages/pure.py", "site-packages/plat.py", "etc/conf", "python-scripts/shell"} <= set(files)
    assert "include/python3.11/many/sub/a.h" in files
    assert noarch.package.depends == ("python >=3.11,<3.12.0a0",)  # its headers are in a folder with Python's version
    assert files["python-scripts/run"] == f"#!{PLACEHOLDER}/bin/python\nprint(1)\n".encode()
    assert files["python-scripts/runw"] == f"#!{PLACEHOLDER}/bin/python -x\n".encode()
    assert all(file.executable for file in noarch.files if file.path.startswith("python-scripts/"))
    arch = contents(packed(make_wheel(tmp_path, "many", data=data, tag="cp311-abi3-linux_x86_64"), tmp_path / "s2"))
    assert {"bin/run", "lib/python3.11/site-packages/plat.py", "lib/python3.11/site-packages/many.py"} <= set(arch)


@pytest.mark.parametrize("tag", ["py3-none-any", "cp311-cp311-linux_x86_64"])
def test_record_is_true_for_what_is_installed(tmp_path: Path, tag: str) -> None:
    data = {"scripts/run": "#!python\n", "data/share/odd, name": "x"}
    wheel = make_wheel(tmp_path, "rec", tag=tag, data=data, scripts={"rec": "rec:main"})
    made = packed(wheel, tmp_path / "scratch")
    site = "site-packages" if tag.endswith("any") else "lib/python3.11/site-packages"
    files = {file.path: file for file in made.files}
    rows = list(csv.reader(io.StringIO(files[f"{site}/rec-1.0.dist-info/RECORD"].read().decode())))
    listed = {}
    for path, digest, size in rows:
        place = path.removeprefix("../../../").replace("bin/", "python-scripts/" if site == "site-packages" else "bin/")
        place = place if path.startswith("../../../") else f"{site}/{path}"
        listed[place] = digest
        if digest:
            sha256 = base64.urlsafe_b64encode(hashlib.sha256(files[place].read()).digest()).rstrip(b"=").decode()
            assert (digest, size) == (f"sha256={sha256}", str(len(files[place].read())))
    assert set(listed) == set(files)
    assert {path for path, digest in listed.items() if not digest} == {
        path for path, file in files.items() if file.prefix or path.endswith("/RECORD")
    }


def test_extras_markers_and_self_references_become_plain_requirements(tmp_path: Path) -> None:
    make_wheel(tmp_path, "lib", "2.0", requires=["base", "socks>=1; extra == 'net'", "deep; extra == 'more'"],
               extras=["net", "more"])  # fmt: skip
    app = make_wheel(
        tmp_path,
        "app",
        requires=[
            "Lib[net]>=2,<3",
            "win; sys_platform == 'win32'",
            "old; python_version < '3.8'",
            "opt; extra == 'x'",
            "app[x]; extra == 'all'",
            "unknown[y]",
        ],
        extras=["x", "all"],
    )
    catalogue = {wheel.name: wheel for wheel in (read_wheel(path) for path in tmp_path.glob("*.whl"))}
    requires = wheel_requirements(catalogue["app"], catalogue, python().environment)
    # the extra of lib is lib's, so what it needs becomes app's own need; lib itself stays as it is
    assert requires == ("lib <3.0a0,>=2", "socks >=1", "unknown")
    assert wheel_requirements(catalogue["lib"], catalogue, python().environment) == ("base",)
    assert app.is_file()


def test_an_extra_that_asks_for_other_extras_is_followed(tmp_path: Path) -> None:
    make_wheel(tmp_path, "lib", requires=["lib[a,b]; extra == 'all'", "x; extra == 'a'", "y; extra == 'b'"],
               extras=["a", "b", "all"])  # fmt: skip
    make_wheel(tmp_path, "app", requires=["lib[all]"])
    catalogue = {wheel.name: wheel for wheel in (read_wheel(path) for path in tmp_path.glob("*.whl"))}
    assert wheel_requirements(catalogue["app"], catalogue, python().environment) == ("lib", "x", "y")


@pytest.mark.parametrize(
    ("metadata", "expected"),
    [
        ("License-Expression: MIT OR Apache-2.0", "MIT OR Apache-2.0"),
        ("Classifier: License :: OSI Approved :: MIT License", "MIT License"),
        ("License: BSD", "BSD"),
        ("License: UNKNOWN", ""),
        ("", ""),
    ],
)
def test_the_licence_is_found(tmp_path: Path, metadata: str, expected: str) -> None:
    assert packed(make_wheel(tmp_path, "lic", metadata=metadata), tmp_path / "scratch").package.license == expected


def test_licence_texts_and_summary_are_kept(tmp_path: Path) -> None:
    files = {
        "lic.py": "",
        "lic-1.0.dist-info/licenses/sub/LICENSE": "new",
        "lic-1.0.dist-info/COPYING.txt": "old",
    }
    metadata = "Summary: does it\nProject-URL: Homepage, https://example.org/lic"
    made = packed(make_wheel(tmp_path, "lic", files=files, metadata=metadata), tmp_path / "scratch")
    assert {file.path: file.read() for file in made.licenses} == {
        "licenses/sub/LICENSE": b"new",
        "licenses/COPYING.txt": b"old",
    }
    assert made.package.about == {"summary": "does it", "home": "https://example.org/lic"}


@pytest.mark.parametrize(
    ("tag", "minor", "machine", "expected"),
    [
        ("py3-none-any", "3.11", "x86_64", True),
        ("py2.py3-none-any", "3.11", "x86_64", True),
        ("py2-none-any", "3.11", "x86_64", False),
        ("py312-none-any", "3.11", "x86_64", False),
        ("py310-none-any", "3.11", "x86_64", True),
        ("cp311-cp311-manylinux_2_28_x86_64", "3.11", "x86_64", True),
        ("cp311-cp311-manylinux_2_28_x86_64", "3.12", "x86_64", False),
        ("cp311-cp311-manylinux_2_28_aarch64", "3.11", "x86_64", False),
        ("cp311-cp311-manylinux_2_28_aarch64", "3.11", "aarch64", True),
        ("cp38-abi3-manylinux2014_x86_64", "3.11", "x86_64", True),
        ("cp312-abi3-manylinux2014_x86_64", "3.11", "x86_64", False),
        ("cp39-cp39-linux_x86_64", "3.11", "x86_64", False),
        ("cp311-cp311-musllinux_1_2_x86_64", "3.11", "x86_64", False),
        ("py3-none-manylinux1_x86_64", "3.11", "x86_64", True),
        ("py3-none-macosx_11_0_arm64", "3.11", "x86_64", False),
        ("cp311-cp311t-linux_x86_64", "3.11", "x86_64", False),
    ],
)
def test_tags_decide_whether_a_wheel_fits(tmp_path: Path, tag: str, minor: str, machine: str, expected: bool) -> None:
    assert fits(read_wheel(make_wheel(tmp_path, "t", tag=tag)), python(minor, machine)) is expected


@pytest.mark.parametrize("member", ["../out.py", "/abs.py", "a\\b.py", "x-1.0.data/scripts", "x-1.0.data/weird/a"])
def test_a_member_that_would_leave_its_folder_is_refused(tmp_path: Path, member: str) -> None:
    wheel = make_wheel(tmp_path, "x", files={member: "boom"})
    with pytest.raises(IntegrityError, match=r"x-1\.0-py3-none-any\.whl"):
        packed(wheel, tmp_path / "scratch")
    assert not (tmp_path.parent / "out.py").exists()


def test_two_members_for_one_place_are_refused(tmp_path: Path) -> None:
    wheel = make_wheel(tmp_path, "x", files={"a.py": "1"}, data={"purelib/a.py": "2"})
    with pytest.raises(IntegrityError, match=r"two files for site-packages/a\.py"):
        packed(wheel, tmp_path / "scratch")


def test_what_is_no_wheel_is_told(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="no such file"):
        read_wheel(tmp_path / "a-1.0-py3-none-any.whl")
    (tmp_path / "a.whl").write_bytes(b"")
    with pytest.raises(UsageError, match=r"a\.whl"):
        read_wheel(tmp_path / "a.whl")
    (tmp_path / "a-1.0-py3-none-any.whl").write_bytes(b"PK\3\4 and so on")
    with pytest.raises(IntegrityError, match="no zip, or damaged"):
        read_wheel(tmp_path / "a-1.0-py3-none-any.whl")
    with zipfile.ZipFile(tmp_path / "b-1.0-py3-none-any.whl", "w") as archive:
        archive.writestr("b.py", "")
    with pytest.raises(IntegrityError, match="METADATA"):
        read_wheel(tmp_path / "b-1.0-py3-none-any.whl")
    bad = make_wheel(tmp_path, "c", requires=["!!"])
    with pytest.raises(UsageError, match="METADATA"):
        read_wheel(bad)


def test_a_damaged_member_is_told(tmp_path: Path) -> None:
    wheel = make_wheel(tmp_path, "x", files={"x.py": "a" * 1000})
    data = bytearray(wheel.read_bytes())
    place = data.index(b"x.py") + 5
    data[place] ^= 0xFF
    wheel.write_bytes(data)
    with pytest.raises(IntegrityError, match=r"x\.py"):
        packed(wheel, tmp_path / "scratch")


@pytest.mark.parametrize("text", ["[console_scripts]\nx = nofunction\n", "no section\n", "[console_scripts\n"])
def test_bad_entry_points_are_told(tmp_path: Path, text: str) -> None:
    wheel = make_wheel(tmp_path, "x", files={"x.py": "", "x-1.0.dist-info/entry_points.txt": text})
    with pytest.raises(UsageError, match=r"x-1\.0-py3-none-any\.whl"):
        packed(wheel, tmp_path / "scratch")


@LINUX
def test_a_file_with_a_run_path_of_its_own_still_finds_the_channels_libraries(tmp_path: Path) -> None:
    """ld.so looks only at DT_RUNPATH where there is one, so the environment's lib has to stand in it."""
    maps = Path("/proc/self/maps").read_text().splitlines()
    source = next(Path(line.split(None, 5)[5]) for line in maps if "/libm" in line)
    library = tmp_path / "mod.so"
    shutil.copy(source, library)
    subprocess.run([patchelf(), "--add-needed", "libstdc++.so.6", library], check=True)
    untouched = library.read_bytes()
    set_run_path(library, "$ORIGIN/../x.libs")
    wheel = make_wheel(
        tmp_path, "x", tag="cp311-cp311-linux_x86_64", files={"x/mod.so": library.read_bytes(), "x/plain.so": untouched}
    )
    made = packed(wheel, tmp_path / "scratch")
    files = {file.path: file for file in made.files}
    changed = files["lib/python3.11/site-packages/x/mod.so"].content
    assert isinstance(changed, Path)
    elf = read_elf(changed)
    assert elf is not None
    assert elf.runpath == ("$ORIGIN/../x.libs", "$ORIGIN/../../..")
    assert files["lib/python3.11/site-packages/x/plain.so"].read() == untouched
    assert any(text.startswith("__glibc >=2.") for text in made.package.depends)
    assert made.direct >= {"libstdc++.so.6"}
