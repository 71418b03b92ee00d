"""What every object store is held to; a module of tests names its store and takes these by import."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from hermetic.digest import sha256_bytes
from hermetic.errors import IntegrityError, UsageError
from hermetic.store.objects import MissingObjectError, ObjectStore

WHEEL = "wheels/" + "ab" * 32 + "/demo-1.0+cu121-py3-none-any.whl"
BAD_KEYS = (
    "", "/", "a/", "/a", "a//b", ".", "..", "a/../b", "a/.hidden", "a/..", "a b", "a\\b", "a\0b", "a\nb", "a?b", "a#b",
    "a%2fb", "wheels/é", "-a", "a/" + "x" * 1100,
)  # fmt: skip


class Counted:
    """A reporter that adds up."""

    def __init__(self) -> None:
        self.tasks: dict[str, list[int]] = {}
        self.ended: list[str] = []

    def start(self, task: str, label: str, total: int | None = None, unit: str = "") -> None:
        self.tasks[task] = [total or 0, 0]

    def advance(self, task: str, amount: int = 1) -> None:
        self.tasks.get(task, [0, 0])[1] += amount

    def finish(self, task: str, note: str = "") -> None:
        self.ended.append(task)

    def say(self, message: str) -> None: ...

    def warn(self, message: str) -> None: ...


def written(folder: Path, data: bytes) -> tuple[Path, str]:
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / hashlib.md5(data).hexdigest()
    path.write_bytes(data)
    return path, sha256_bytes(data)


class Contract:
    """``objects`` is a fresh, empty store; ``read`` gets a signed URL's bytes as another client would."""

    @pytest.fixture
    def objects(self) -> Iterator[ObjectStore]:
        raise NotImplementedError

    @pytest.fixture
    def read(self) -> Callable[[str], bytes]:
        raise NotImplementedError

    @pytest.fixture
    def large(self) -> int:
        """Bytes of a file that the store sends in parts."""
        return 3 << 20

    def test_a_file_goes_in_once(self, objects: ObjectStore, tmp_path: Path) -> None:
        path, digest = written(tmp_path, b"a wheel's bytes")
        assert objects.size(WHEEL) is None
        assert objects.put(WHEEL, path, sha256=digest) is True
        assert objects.put(WHEEL, path, sha256=digest) is False
        assert objects.size(WHEEL) == 15
        assert objects.get_bytes(WHEEL) == b"a wheel's bytes"

    def test_an_empty_file_is_a_file(self, objects: ObjectStore, tmp_path: Path) -> None:
        path, digest = written(tmp_path, b"")
        assert objects.put("empty", path, sha256=digest)
        assert objects.size("empty") == 0
        assert objects.get_bytes("empty") == b""

    def test_a_large_file_goes_in_whole(
        self, objects: ObjectStore, tmp_path: Path, large: int, read: Callable[[str], bytes]
    ) -> None:
        data = b"".join(hashlib.sha256(number.to_bytes(4, "big")).digest() for number in range(large // 32)) + b"!"
        path, digest = written(tmp_path, data)
        told = Counted()
        assert objects.put(WHEEL, path, sha256=digest, reporter=told)
        assert list(told.tasks.values()) == [[len(data), len(data)]]
        assert told.ended == list(told.tasks)
        assert objects.size(WHEEL) == len(data)
        assert sha256_bytes(read(objects.signed_url(WHEEL, expires=60))) == digest
        assert not objects.put(WHEEL, path, sha256=digest)

    @pytest.mark.parametrize("size", ["small", "large"])
    def test_a_file_with_another_digest_never_arrives(
        self, objects: ObjectStore, tmp_path: Path, large: int, size: str
    ) -> None:
        path, _ = written(tmp_path, b"x" * (100 if size == "small" else large))
        with pytest.raises(IntegrityError, match="sha256") as caught:
            objects.put(WHEEL, path, sha256="0" * 64)
        assert caught.value.place
        assert objects.size(WHEEL) is None
        assert list(objects.keys("")) == []

    def test_another_file_of_the_key_is_told_and_the_first_stays(self, objects: ObjectStore, tmp_path: Path) -> None:
        first, digest = written(tmp_path, b"first")
        objects.put(WHEEL, first, sha256=digest)
        other, digest = written(tmp_path, b"second one")
        with pytest.raises(IntegrityError, match="5 bytes"):
            objects.put(WHEEL, other, sha256=digest)
        assert objects.get_bytes(WHEEL) == b"first"

    def test_a_file_that_is_not_there(self, objects: ObjectStore, tmp_path: Path) -> None:
        with pytest.raises(UsageError, match="no such file"):
            objects.put(WHEEL, tmp_path / "none", sha256="0" * 64)

    def test_documents_are_written_once(self, objects: ObjectStore) -> None:
        assert objects.put_bytes("records/a.json", b"{}") is True
        assert objects.put_bytes("records/a.json", b"[]") is False
        assert objects.get_bytes("records/a.json") == b"{}"

    def test_of_many_writers_one_is_told_true(self, objects: ObjectStore) -> None:
        with ThreadPoolExecutor(8) as pool:
            won = list(pool.map(lambda n: objects.put_bytes("records/first.json", b"%d" % n), range(8)))
        assert won.count(True) == 1
        assert objects.get_bytes("records/first.json") == b"%d" % won.index(True)

    def test_keys_are_listed_by_prefix_and_sorted(self, objects: ObjectStore) -> None:
        names = ["a/1", "a/10", "a/2", "ab/1", "b/c/d/e", "b/c/d-e", "b/c/d.e"]
        for name in reversed(names):
            objects.put_bytes(name, name.encode())
        assert list(objects.keys("")) == sorted(names)
        assert list(objects.keys("a/")) == ["a/1", "a/10", "a/2"]
        assert list(objects.keys("a")) == ["a/1", "a/10", "a/2", "ab/1"]
        assert list(objects.keys("a/1")) == ["a/1", "a/10"]
        assert list(objects.keys("b/c/d")) == ["b/c/d-e", "b/c/d.e", "b/c/d/e"]
        assert list(objects.keys("none/")) == []

    def test_more_keys_than_one_answer_holds(self, objects: ObjectStore, many: int) -> None:
        names = [f"many/{number:05}" for number in range(many)]
        with ThreadPoolExecutor(8) as pool:
            assert all(pool.map(lambda name: objects.put_bytes(name, b""), names))
        assert list(objects.keys("many/")) == names

    @pytest.fixture
    def many(self) -> int:
        return 30

    def test_what_is_deleted_is_gone(self, objects: ObjectStore) -> None:
        objects.put_bytes("a", b"1")
        objects.delete("a")
        objects.delete("a")
        assert objects.size("a") is None
        with pytest.raises(MissingObjectError, match="no a") as caught:
            objects.get_bytes("a")
        assert objects.where in str(caught.value)
        assert objects.put_bytes("a", b"2")
        assert objects.get_bytes("a") == b"2"

    def test_a_signed_url_reads(self, objects: ObjectStore, read: Callable[[str], bytes]) -> None:
        objects.put_bytes(WHEEL, b"signed for")
        assert read(objects.signed_url(WHEEL, expires=60)) == b"signed for"

    def test_a_signed_url_ends_in_the_file_name(self, objects: ObjectStore) -> None:
        path = urlsplit(objects.signed_url(WHEEL, expires=60)).path
        assert re.search(r"/wheels/(ab){32}/demo-1\.0(\+|%2B)cu121-py3-none-any\.whl\Z", path)

    @pytest.mark.parametrize("expires", [0, -1, 604801])
    def test_times_that_no_store_signs(self, objects: ObjectStore, expires: int) -> None:
        with pytest.raises(UsageError, match="seconds"):
            objects.signed_url(WHEEL, expires=expires)

    def test_keys_that_are_none(self, objects: ObjectStore, tmp_path: Path) -> None:
        path, digest = written(tmp_path, b"x")
        acts: list[Callable[[str], object]] = [
            lambda key: objects.put(key, path, sha256=digest),
            lambda key: objects.put_bytes(key, b""),
            objects.get_bytes,
            objects.size,
            objects.delete,
            lambda key: objects.signed_url(key, expires=60),
        ]
        for key in BAD_KEYS:
            for act in acts:
                with pytest.raises(UsageError, match="no key"):
                    act(key)
