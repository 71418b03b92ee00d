"""Environments in a workspace, on SQLite and PostgreSQL alike."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from lock_samples import LOCK, platform_lock
from lock_samples import wheel as wheel_sample
from sqlalchemy import Engine, event, text
from sqlalchemy.exc import IntegrityError as ConstraintError
from workspace_samples import definition

from hermetic.digest import sha256_bytes
from hermetic.errors import HermeticError, IntegrityError, LockFileError, MissingError, UsageError
from hermetic.lock.file import format_lock, parse_lock
from hermetic.lock.model import Base, ImagePlan
from hermetic.workspace.kept_locks import keep_lock, kept_lock
from hermetic.workspace.model import Definition, EnvironmentVersion, ImageRecord
from hermetic.workspace.workspace import Workspace


class TestRegister:
    def test_versions_count_from_one(self, workspace: Workspace) -> None:
        numbers = [workspace.environments.register(definition(content=text)).version for text in ("a", "b", "c")]
        assert numbers == [1, 2, 3]

    def test_the_same_definition_keeps_its_version(self, workspace: Workspace) -> None:
        first = workspace.environments.register(definition())
        assert workspace.environments.register(definition()) == first

    def test_the_same_definition_later_is_its_old_version_and_the_latest_again(self, workspace: Workspace) -> None:
        environments = workspace.environments
        for content in ("a", "b", "a"):
            last = environments.register(definition(content=content))
        assert (last.version, last.labels) == (1, ("latest",))
        assert environments.get("train").version == 1
        assert environments.register(definition(content="c")).version == 3

    def test_it_is_found_as_it_was_registered(self, workspace: Workspace) -> None:
        given = Definition(
            "train",
            "0" * 64,
            {"conda_dependencies.yml": "- ünïcode 🐍\n\ttab\r\n", "BaseDockerfile": "\0 and \udce4" + "x" * 2_000_000},
            "1" * 64,
            ("python >=3.11", "größe"),
            "/home/\udce4/environment.yml",
        )
        found = workspace.environments.register(given)
        assert found.definition == given
        assert found.definition.files == given.files
        assert workspace.environments.get("train", 1) == found

    def test_who_and_when_are_told(self, workspace: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("LOGNAME", "ada")
        found = workspace.environments.register(definition())
        assert found.created_by == "ada"
        assert found.created_at.endswith("Z")
        monkeypatch.setenv("LOGNAME", "bob")
        assert workspace.environments.register(definition()).created_by == "ada"

    def test_environments_number_apart(self, workspace: Workspace) -> None:
        environments = workspace.environments
        environments.register(definition("a", "x"))
        assert environments.register(definition("b", "x")).version == 1
        assert environments.register(definition("a", "y")).version == 2

    def test_names_differ_by_case(self, workspace: Workspace) -> None:
        workspace.environments.register(definition("Train"))
        with pytest.raises(MissingError, match="no environment 'train'") as caught:
            workspace.environments.get("train")
        assert "did you mean 'Train'?" in (caught.value.remedy or "")

    @pytest.mark.parametrize("name", ["Hermetic-Mine", "AzureML-x", "AzureMLx", "Microsoft.x"])
    def test_reserved_names_are_refused_with_the_reason(self, workspace: Workspace, name: str) -> None:
        with pytest.raises(UsageError, match="curated"):
            workspace.environments.register(definition(name))

    @pytest.mark.parametrize("name", ["", "a b", "../x", "-x", "x" * 256, "é"])
    def test_names_that_are_none_are_refused(self, workspace: Workspace, name: str) -> None:
        with pytest.raises(UsageError, match="no name of an environment"):
            workspace.environments.register(definition(name))
        assert workspace.environments.names() == []

    @pytest.mark.parametrize(
        "change",
        ["UPDATE versions SET digest = 'x'", "UPDATE versions SET files = '{}'", "UPDATE versions SET version = 7",
         "UPDATE versions SET packages = '[]', lock = 'x'", "DELETE FROM versions"],
    )  # fmt: skip
    def test_the_database_itself_keeps_what_is_registered(self, workspace: Workspace, change: str) -> None:
        before = workspace.environments.register(definition())
        with pytest.raises((ConstraintError, IntegrityError), match="never changes"), workspace.database.write() as one:
            one.execute(text(change))
        assert workspace.environments.get("train") == before


class TestGet:
    @pytest.fixture(autouse=True)
    def three(self, workspace: Workspace) -> None:
        for content in ("a", "b", "c"):
            workspace.environments.register(definition(content=content))

    @pytest.mark.parametrize("version", [2, "2", "02"])
    def test_a_version_is_a_number_or_its_text(self, workspace: Workspace, version: int | str) -> None:
        assert workspace.environments.get("train", version).definition == definition(content="b")

    def test_without_a_version_it_is_the_latest(self, workspace: Workspace) -> None:
        assert workspace.environments.get("train").version == 3
        assert workspace.environments.get("train", label="latest").version == 3

    def test_a_version_and_a_label_are_too_much(self, workspace: Workspace) -> None:
        with pytest.raises(UsageError, match="either is enough"):
            workspace.environments.get("train", 1, "latest")

    @pytest.mark.parametrize("version", ["x", "1.0", "-1", 0, -1, True, 2**31, "9" * 30, "", " 1", "²", 1.0])
    def test_what_is_no_version_is_refused(self, workspace: Workspace, version: object) -> None:
        with pytest.raises(UsageError, match="is no version"):
            workspace.environments.get("train", version)  # type: ignore[arg-type]

    def test_errors_tell_what_there_is(self, workspace: Workspace) -> None:
        environments = workspace.environments
        environments.label("train", 1, ["prod"])
        with pytest.raises(MissingError, match="has no version 4") as caught:
            environments.get("train", 4)
        assert caught.value.remedy == "it has versions 1 to 3"
        with pytest.raises(MissingError, match="has the label 'dev'") as caught:
            environments.get("train", label="dev")
        assert caught.value.remedy == "its labels are: latest, prod"
        with pytest.raises(MissingError, match="no environment 'trian'") as caught:
            environments.get("trian", 1)
        assert "'train'" in (caught.value.remedy or "")

    def test_a_name_is_a_value_not_a_statement(self, workspace: Workspace) -> None:
        with pytest.raises(MissingError):
            workspace.environments.get("x'; DROP TABLE versions; --")
        assert workspace.environments.get("train").version == 3


class TestLists:
    def test_names_are_sorted_as_python_sorts(self, workspace: Workspace) -> None:
        names = ["b", "B", "a-b", "a_b", "a", "ab", "a.b", "Z9", "0"]
        for name in names:
            workspace.environments.register(definition(name))
        assert workspace.environments.names() == sorted(names)
        assert [one.name for one in workspace.environments.list()] == sorted(names)

    def test_a_line_tells_the_latest_version(self, workspace: Workspace) -> None:
        for content in ("a", "b", "a"):
            latest = workspace.environments.register(definition(content=content))
        (line,) = workspace.environments.list()
        assert (line.name, line.latest, line.versions, line.archived) == ("train", 1, 2, False)
        assert (line.created_at, line.created_by) == (latest.created_at, latest.created_by)
        assert workspace.environments.find("train") == line
        assert workspace.environments.find("other") is None

    def test_all_versions_in_order(self, workspace: Workspace) -> None:
        registered = [workspace.environments.register(definition(content=text)) for text in "abc"]
        workspace.environments.label("train", 2, ["x", "a"])
        found = list(workspace.environments.versions("train"))
        assert [one.definition for one in found] == [one.definition for one in registered]
        assert [one.labels for one in found] == [(), ("a", "x"), ("latest",)]

    def test_versions_of_what_is_not_there(self, workspace: Workspace) -> None:
        with pytest.raises(MissingError, match="no environment"):
            workspace.environments.versions("train")

    def test_many_latest_ones(self, workspace: Workspace) -> None:
        expected = [workspace.environments.register(definition(name)) for name in ("c", "a", "b")]
        workspace.environments.archive("b")
        assert list(workspace.environments.latest_many(["c", "none", "a", "b"])) == expected[:2]

    def test_a_list_is_one_statement_however_long(self, workspace: Workspace) -> None:
        environments = workspace.environments
        for number in range(30):
            environments.register(definition(f"e{number % 3}", str(number)))
        for look in (
            environments.list,
            environments.names,
            lambda: environments.versions("e1"),
            lambda: list(environments.latest_many(["e0", "e1", "e2"])),
            lambda: environments.get("e1", label="latest"),
        ):
            with statements() as seen:
                look()
            assert len([one for one in seen if "FROM" in one]) == 1, seen


class TestLabels:
    def test_a_label_moves(self, workspace: Workspace) -> None:
        environments = workspace.environments
        for content in "ab":
            environments.register(definition(content=content))
        environments.label("train", 1, ["prod", "prod", "eu"])
        environments.label("train", "2", ["prod"])
        assert environments.get("train", label="prod").version == 2
        assert environments.get("train", label="eu").version == 1
        assert environments.get("train", 2).labels == ("latest", "prod")

    def test_a_label_goes(self, workspace: Workspace) -> None:
        environments = workspace.environments
        environments.register(definition())
        environments.label("train", 1, ["a", "b"])
        environments.unlabel("train", ["a", "none"])
        assert environments.get("train").labels == ("latest", "b")

    def test_labels_belong_to_one_environment(self, workspace: Workspace) -> None:
        environments = workspace.environments
        for name in "ab":
            environments.register(definition(name))
            environments.label(name, 1, ["prod"])
        environments.unlabel("a", ["prod"])
        assert environments.get("b", label="prod").version == 1

    @pytest.mark.parametrize("label", ["latest", "LATEST", "", "a b", "a,b", None, "x" * 256])
    def test_labels_that_are_none(self, workspace: Workspace, label: object) -> None:
        workspace.environments.register(definition())
        with pytest.raises(UsageError, match="label"):
            workspace.environments.label("train", 1, ["good", label])  # type: ignore[list-item]
        assert workspace.environments.get("train").labels == ("latest",)

    def test_a_version_that_is_not_there(self, workspace: Workspace) -> None:
        workspace.environments.register(definition())
        with pytest.raises(MissingError, match="has no version 2"):
            workspace.environments.label("train", 2, ["prod"])
        with pytest.raises(MissingError, match="no environment"):
            workspace.environments.unlabel("other", ["prod"])


class TestArchive:
    def test_an_archived_environment_is_not_listed_and_still_found_by_version(self, workspace: Workspace) -> None:
        environments = workspace.environments
        environments.register(definition())
        environments.archive("train")
        assert environments.names() == []
        assert environments.list() == []
        assert [one.archived for one in environments.list(archived=True)] == [True]
        assert environments.names(archived=True) == ["train"]
        assert environments.get("train", 1).archived
        with pytest.raises(MissingError, match="is archived") as caught:
            environments.get("train")
        assert "restore" in (caught.value.remedy or "")
        environments.archive("train", restore=True)
        assert not environments.get("train").archived

    def test_an_archived_version_is_not_the_latest(self, workspace: Workspace) -> None:
        environments = workspace.environments
        for content in "abc":
            environments.register(definition(content=content))
        environments.archive("train", 3)
        assert environments.get("train").version == 2
        assert environments.get("train", 3).archived
        environments.archive("train", "3", restore=True)
        assert environments.get("train").version == 3

    def test_an_environment_whose_versions_are_all_archived_is_too(self, workspace: Workspace) -> None:
        environments = workspace.environments
        environments.register(definition())
        environments.archive("train", 1)
        assert environments.names() == []
        environments.archive("train", restore=True)
        assert environments.get("train").version == 1

    def test_registering_restores(self, workspace: Workspace) -> None:
        environments = workspace.environments
        for content in "ab":
            environments.register(definition(content=content))
        environments.archive("train", 1)
        environments.archive("train")
        assert environments.register(definition(content="a")).archived is False
        assert environments.names() == ["train"]
        assert environments.get("train").version == 1

    def test_what_is_not_there(self, workspace: Workspace) -> None:
        with pytest.raises(MissingError, match="no environment"):
            workspace.environments.archive("train")


class TestLocks:
    DATA = format_lock(LOCK).encode()

    def test_a_version_has_none_at_first(self, workspace: Workspace) -> None:
        assert workspace.environments.register(definition()).lock == ""
        assert workspace.environments.lock_bytes("train", 1) is None

    def test_who_is_first_decides(self, workspace: Workspace) -> None:
        environments = workspace.environments
        environments.register(definition())
        mine, other = self.DATA, format_lock(replace(LOCK, exclude_newer="2026-01-01T00:00:00Z")).encode()
        assert environments.attach_lock("train", 1, mine, expected="") == sha256_bytes(mine)
        assert environments.attach_lock("train", 1, other, expected="") == sha256_bytes(mine)
        assert environments.lock_bytes("train", 1) == mine
        assert environments.get("train").lock == sha256_bytes(mine)

    def test_a_new_version_may_bring_its_lock(self, workspace: Workspace) -> None:
        environments = workspace.environments
        found = environments.register(definition(), lock=self.DATA)
        assert found.lock == sha256_bytes(self.DATA)
        other = format_lock(replace(LOCK, exclude_newer="2026-01-01T00:00:00Z")).encode()
        assert environments.register(definition(), lock=other) == found
        assert environments.register(definition(content="x")).lock == ""
        assert environments.register(definition(content="x"), lock=other).lock == sha256_bytes(other)

    def test_a_lock_only_grows(self, workspace: Workspace) -> None:
        environments = workspace.environments
        environments.register(definition())
        small = replace(LOCK, platforms={"linux-64": replace(LOCK.platforms["linux-64"], image=None)})
        first = environments.attach_lock("train", 1, format_lock(small).encode(), expected="")
        with_image = replace(small.platforms["linux-64"], image=ImagePlan(Base("scratch")))
        second = format_lock(replace(LOCK, platforms={**LOCK.platforms, "linux-64": with_image})).encode()
        assert environments.attach_lock("train", 1, second, expected=first) == sha256_bytes(second)
        for change, reason in (
            ({"linux-64": with_image}, "osx-arm64 is no longer in it"),
            (
                {**LOCK.platforms, "linux-64": platform_lock("linux-64", wheel_sample("tiny", "9"))},
                "linux-64 would get other packages",
            ),
            ({**LOCK.platforms, "linux-64": small.platforms["linux-64"]}, "linux-64 would get another image"),
        ):
            data = format_lock(replace(LOCK, platforms=change)).encode()
            with pytest.raises(UsageError, match=reason):
                environments.attach_lock("train", 1, data, expected=sha256_bytes(second))
        assert environments.lock_bytes("train", 1) == second

    def test_keeping_adds_to_what_is_kept(self, workspace: Workspace) -> None:
        environments = workspace.environments
        environments.register(definition())
        assert kept_lock(environments, "train", 1) == (None, "")
        linux = LOCK.platforms["linux-64"]
        one, first = keep_lock(environments, "train", 1, replace(LOCK, platforms={"linux-64": linux}))
        both, second = keep_lock(environments, "train", 1, LOCK)
        other = platform_lock("linux-64", wheel_sample("tiny", "9"))
        again, third = keep_lock(environments, "train", 1, replace(LOCK, platforms={"linux-64": other}))
        assert (set(one.platforms), both, again) == ({"linux-64"}, LOCK, LOCK)
        assert first != second == third
        assert kept_lock(environments, "train", 1) == (LOCK, second)

    def test_what_is_no_lock_is_refused(self, workspace: Workspace) -> None:
        with pytest.raises(LockFileError):
            workspace.environments.register(definition(), lock=b"{}")
        assert workspace.environments.names() == []
        workspace.environments.register(definition())
        with pytest.raises(LockFileError):
            workspace.environments.attach_lock("train", 1, b"", expected="")
        assert workspace.environments.get("train").lock == ""

    def test_other_bytes_than_were_kept_are_refused(self, workspace: Workspace) -> None:
        found = workspace.environments.register(definition(), lock=self.DATA)
        (kept,) = (workspace.address.folder / "artefacts").rglob("*.lock.json")
        assert kept.name == f"{found.lock}.lock.json"
        kept.chmod(0o644)
        kept.write_bytes(self.DATA.replace(b"numpy", b"NumPy"))
        with pytest.raises(IntegrityError, match="the lock of train:1"):
            workspace.environments.lock_bytes("train", 1)

    def test_the_kept_lock_is_a_lock(self, workspace: Workspace) -> None:
        workspace.environments.register(definition(), lock=self.DATA)
        assert parse_lock(workspace.environments.lock_bytes("train", 1) or b"") == LOCK


class TestImages:
    IMAGE = ImageRecord(
        "train", 1, "linux-64", "registry.example.org/team/train:1", "sha256:" + "a" * 64, False, "", ""
    )

    def test_images_of_a_version_the_newest_first(self, workspace: Workspace) -> None:
        environments = workspace.environments
        environments.register(definition(content="a"))
        environments.register(definition(content="b"))
        other = replace(self.IMAGE, version=2, created_at="2026-01-01T00:00:00.000000Z", created_by="ada")
        environments.add_image(self.IMAGE)
        environments.add_image(other)
        newest, oldest = environments.images("train")
        assert newest == other
        assert replace(oldest, created_at="", created_by="") == self.IMAGE
        assert oldest.created_at
        assert environments.images("train", "1") == [oldest]
        assert environments.images("train", 2) == [newest]

    def test_the_same_image_again_is_one(self, workspace: Workspace) -> None:
        environments = workspace.environments
        environments.register(definition())
        for pushed in (False, True, False):
            environments.add_image(replace(self.IMAGE, pushed=pushed))
        (found,) = environments.images("train")
        assert found.pushed

    def test_of_what_is_not_there(self, workspace: Workspace) -> None:
        with pytest.raises(MissingError, match="no environment"):
            workspace.environments.add_image(self.IMAGE)
        workspace.environments.register(definition())
        assert workspace.environments.images("train") == []
        with pytest.raises(MissingError, match="no version 2"):
            workspace.environments.images("train", 2)


Step = tuple[str, int]
steps = st.lists(
    st.tuples(
        st.sampled_from(["register", "register", "label", "unlabel", "archive", "restore", "hide", "show"]),
        st.integers(0, 3),
    ),
    max_size=25,
)


@settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
@given(steps)
def test_any_history_is_as_a_few_lists_tell_it(workspace: Workspace, steps: list[Step]) -> None:
    """Whatever is done in whatever order: the workspace tells what a plain model of it tells."""
    name = f"e{len(workspace.environments.names(archived=True))}"
    if workspace.environments.find(name):  # an example that registered nothing has left no environment
        return
    model = Model()
    for word, number in steps:
        try:
            model.do(workspace, name, word, number)
        except HermeticError:
            assert number > len(model.contents) or number == 0
    found = list(workspace.environments.versions(name)) if model.contents else []
    assert [one.definition for one in found] == [definition(name, content) for content in model.contents]
    assert [one.archived for one in found] == [model.hidden or n in model.archived for n in model.numbers]
    assert [[x for x in one.labels if x != "latest"] for one in found] == [
        ["prod"] if model.labelled == n else [] for n in model.numbers
    ]
    assert (name in workspace.environments.names()) == bool(model.listed)
    if model.listed:
        assert workspace.environments.get(name).version == model.latest


class Model:
    """What a workspace should know of one environment."""

    def __init__(self) -> None:
        self.contents: list[str] = []
        self.order: list[int] = []  # registrations, the last one last
        self.archived: set[int] = set()
        self.hidden = False
        self.labelled = 0

    @property
    def numbers(self) -> range:
        return range(1, len(self.contents) + 1)

    @property
    def listed(self) -> bool:
        return not self.hidden and bool(set(self.numbers) - self.archived)

    @property
    def latest(self) -> int:
        return next(n for n in reversed(self.order) if n not in self.archived)

    def do(self, workspace: Workspace, name: str, word: str, number: int) -> None:
        environments = workspace.environments
        if word == "register":
            content = f"content {number}"
            found = environments.register(definition(name, content))
            if content not in self.contents:
                self.contents.append(content)
            self.order.append(self.contents.index(content) + 1)
            self.archived.discard(self.order[-1])
            self.hidden = False
            assert found.version == self.order[-1]
        elif word == "label":
            environments.label(name, number, ["prod"])
            self.labelled = number
        elif word == "unlabel":
            environments.unlabel(name, ["prod"])
            self.labelled = 0
        elif word in {"archive", "restore"}:
            environments.archive(name, number, restore=word == "restore")
            (self.archived.add if word == "archive" else self.archived.discard)(number)
        else:
            if not self.contents:
                return
            environments.archive(name, restore=word == "show")
            self.hidden = word == "hide"
            if word == "show" and not set(self.numbers) - self.archived:
                self.archived.clear()


@contextmanager
def statements() -> Iterator[list[str]]:
    """Give the statements that are sent to any database in the block."""
    seen: list[str] = []

    def note(_: object, __: object, statement: str, *___: object) -> None:
        seen.append(statement)

    event.listen(Engine, "before_cursor_execute", note)
    try:
        yield seen
    finally:
        event.remove(Engine, "before_cursor_execute", note)


def test_two_openings_of_one_workspace_see_the_same(workspace: Workspace, tmp_path: Path) -> None:
    other = Workspace.open(workspace.address)
    registered: EnvironmentVersion = other.environments.register(definition())
    assert workspace.environments.get("train") == registered
    other.close()
    assert other.environments.get("train") == registered  # closed is not gone
    other.close()
