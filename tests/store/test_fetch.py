from __future__ import annotations

import hashlib
import os
import resource
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from store_samples import Good, names_in
from support.faulty import FaultyServer, body, cut, faulty, flipped, hang, status
from support.faulty_server import chunked, redirect, trickle, whole, wrong_range
from support.needs import require

from hermetic.digest import sha256_bytes
from hermetic.errors import CredentialsError, IntegrityError, MachineError, NetworkError, OfflineError, UsageError
from hermetic.events import Silent
from hermetic.store import Store
from hermetic.store.fetch import Artifact, fetch
from hermetic.store.http import Client, NotFoundError, Policy


def partials(store: Store) -> list[str]:
    folder = store.root / "partial"
    return names_in(folder) if folder.exists() else []


class TestGood:
    def test_files_come_side_by_side(self, store: Store, goods: list[Good], client: Client) -> None:
        fetch(store, [good.artifact() for good in goods], client=client)
        for good in goods:
            assert store.blob_path(good.sha256).read_bytes() == good.data
        assert partials(store) == []

    def test_what_is_there_is_not_asked_for(
        self, store: Store, good: Good, server: FaultyServer, client: Client
    ) -> None:
        fetch(store, [good.artifact()], client=client)
        fetch(store, [good.artifact()], client=client)
        assert len(server.asked) == 1

    def test_one_file_wanted_twice_comes_once(
        self, store: Store, good: Good, server: FaultyServer, client: Client
    ) -> None:
        fetch(store, [good.artifact(), good.artifact()], client=client)
        assert len(server.asked) == 1

    def test_a_blob_that_somebody_edited_is_fetched_again(self, store: Store, good: Good, client: Client) -> None:
        fetch(store, [good.artifact()], client=client)
        path = store.blob_path(good.sha256)
        path.chmod(0o644)
        path.write_bytes(b"edited")
        fetch(store, [good.artifact()], client=client)
        assert path.read_bytes() == good.data

    def test_without_a_size(self, store: Store, good: Good, client: Client) -> None:
        fetch(store, [good.artifact(size=None)], client=client)
        assert store.has_blob(good.sha256)

    def test_in_chunks_of_unknown_length(self, store: Store, good: Good, server: FaultyServer, client: Client) -> None:
        server.fault(good.name, chunked())
        fetch(store, [good.artifact(size=None)], client=client)
        assert store.has_blob(good.sha256)

    def test_an_empty_file(self, store: Store, server: FaultyServer, client: Client, tmp_path: Path) -> None:
        (tmp_path / "served" / "empty").write_bytes(b"")
        fetch(store, [Artifact("empty", (f"{server.url}/empty",), sha256_bytes(b""), 0)], client=client)
        assert store.has_blob(sha256_bytes(b""))

    def test_the_second_address_serves_where_the_first_has_nothing(
        self, store: Store, good: Good, server: FaultyServer, client: Client
    ) -> None:
        fetch(store, [good.artifact(f"{server.url}/gone", f"{server.url}/{good.name}")], client=client)
        assert store.has_blob(good.sha256)

    def test_the_second_address_serves_where_the_first_has_wrong_bytes(
        self, store: Store, good: Good, goods: list[Good], server: FaultyServer, client: Client
    ) -> None:
        fetch(store, [good.artifact(f"{server.url}/{goods[1].name}", f"{server.url}/{good.name}")], client=client)
        assert store.blob_path(good.sha256).read_bytes() == good.data

    def test_addresses_are_looked_for_only_when_the_known_ones_have_nothing(
        self, store: Store, goods: list[Good], server: FaultyServer, client: Client
    ) -> None:
        asked = []

        def find(good: Good) -> list[str]:
            asked.append(good.name)
            return [f"{server.url}/{good.name}"]

        one, two, three = goods
        fetch(
            store,
            [
                Artifact(one.name, (f"{server.url}/{one.name}",), one.sha256, find=lambda: find(one)),
                Artifact(two.name, (f"{server.url}/moved",), two.sha256, find=lambda: find(two)),
                Artifact(three.name, (), three.sha256, find=lambda: find(three)),
            ],
            client=client,
        )
        assert sorted(asked) == [three.name, two.name]
        assert all(store.has_blob(good.sha256) for good in goods)

    def test_progress_adds_up(self, store: Store, goods: list[Good], client: Client) -> None:
        class Counting(Silent):
            total: int | None = 0
            done = 0
            note = ""

            def start(self, task: str, label: str, total: int | None = None, unit: str = "") -> None:
                self.total = total

            def advance(self, task: str, amount: int = 1) -> None:
                self.done += amount

            def finish(self, task: str, note: str = "") -> None:
                self.note = note

        reporter = Counting()
        fetch(store, [good.artifact() for good in goods], client=client, reporter=reporter)
        assert reporter.done == reporter.total == 900_000
        assert reporter.note == "3 files"


class TestLocalFiles:
    @pytest.mark.parametrize("form", ["url", "path"])
    def test_a_file_is_copied_in(self, store: Store, good: Good, form: str, tmp_path: Path) -> None:
        path = tmp_path / "served" / good.name
        fetch(store, [good.artifact(path.as_uri() if form == "url" else str(path))])
        assert store.blob_path(good.sha256).read_bytes() == good.data

    @pytest.mark.parametrize("form", ["url", "path"])
    def test_wrong_bytes_are_refused(
        self, store: Store, good: Good, goods: list[Good], form: str, tmp_path: Path
    ) -> None:
        path = tmp_path / "served" / goods[1].name
        with pytest.raises(IntegrityError) as caught:
            fetch(store, [good.artifact(path.as_uri() if form == "url" else str(path))])
        assert goods[1].sha256 in caught.value.message
        assert good.sha256 in caught.value.message
        assert not store.has_blob(good.sha256)
        assert not store.has_blob(goods[1].sha256)
        assert partials(store) == []

    def test_a_missing_file(self, store: Store, good: Good, tmp_path: Path) -> None:
        with pytest.raises(NotFoundError, match=r"one\.conda: no file"):
            fetch(store, [good.artifact(str(tmp_path / "gone"))])

    def test_a_name_with_spaces_and_percents(self, store: Store, tmp_path: Path) -> None:
        path = tmp_path / "a b%20ü.whl"
        path.write_bytes(b"data")
        fetch(store, [Artifact("it", (path.as_uri(),), sha256_bytes(b"data"))])
        assert store.has_blob(sha256_bytes(b"data"))

    def test_offline_does_not_matter(self, store: Store, good: Good, tmp_path: Path) -> None:
        fetch(store, [good.artifact(str(tmp_path / "served" / good.name))], offline=True)
        assert store.has_blob(good.sha256)


class TestOffline:
    def test_all_that_is_missing_is_named_at_once(
        self, store: Store, goods: list[Good], server: FaultyServer, client: Client
    ) -> None:
        fetch(store, [goods[0].artifact()], client=client)
        server.mend()
        with pytest.raises(OfflineError) as caught:
            fetch(store, [good.artifact() for good in goods], offline=True, client=client)
        assert "three.whl, two.conda" in caught.value.message
        assert "one.conda" not in caught.value.message
        assert "0.6 MB" in caught.value.message
        assert server.asked == []

    def test_nothing_missing_is_no_error(self, store: Store, good: Good, client: Client) -> None:
        fetch(store, [good.artifact()], client=client)
        fetch(store, [good.artifact()], offline=True)


class TestWrongBytes:
    def test_other_bytes_of_the_same_size(self, store: Store, good: Good, server: FaultyServer, client: Client) -> None:
        server.fault(good.name, flipped)
        with pytest.raises(IntegrityError) as caught:
            fetch(store, [good.artifact()], client=client)
        assert caught.value.exit_status == 5
        assert good.sha256 in caught.value.message
        assert "one.conda" in caught.value.message
        assert caught.value.remedy
        assert not store.has_blob(good.sha256)
        assert partials(store) == []
        assert len(server.asked) == 1  # the same bytes would come again

    def test_more_bytes_are_not_read_to_their_end(
        self, store: Store, good: Good, server: FaultyServer, client: Client
    ) -> None:
        server.fault(good.name, body(b"x" * 50_000_000))
        with pytest.raises(IntegrityError, match="more than 300000 bytes"):
            fetch(store, [good.artifact()], client=client)
        assert partials(store) == []

    def test_a_page_instead_of_a_file(self, store: Store, good: Good, server: FaultyServer, client: Client) -> None:
        server.fault(good.name, body(b"\n<!DOCTYPE html><html>Sign in", "text/html"))
        with pytest.raises(IntegrityError, match="HTML page"):
            fetch(store, [good.artifact(size=None)], client=client)

    def test_a_stale_half_is_thrown_away_and_the_whole_fetched(
        self, store: Store, good: Good, server: FaultyServer, client: Client
    ) -> None:
        """What an earlier try left may be of another file: the digest says so, and a clean try follows."""
        folder = store.root / "partial"
        folder.mkdir()
        (folder / good.sha256).write_bytes(b"?" * 100_000)
        fetch(store, [good.artifact()], client=client)
        assert [asked.range for asked in server.asked] == ["bytes=100000-", ""]
        assert store.blob_path(good.sha256).read_bytes() == good.data

    def test_a_half_that_is_longer_than_the_whole_is_thrown_away(
        self, store: Store, good: Good, server: FaultyServer, client: Client
    ) -> None:
        (store.root / "partial").mkdir()
        (store.root / "partial" / good.sha256).write_bytes(b"?" * 400_000)
        fetch(store, [good.artifact()], client=client)
        assert [asked.range for asked in server.asked] == [""]

    def test_a_whole_one_that_was_not_given_its_name_is_not_asked_for(
        self, store: Store, good: Good, server: FaultyServer, client: Client
    ) -> None:
        (store.root / "partial").mkdir()
        (store.root / "partial" / good.sha256).write_bytes(good.data)
        fetch(store, [good.artifact()], client=client)
        assert server.asked == []
        assert store.blob_path(good.sha256).read_bytes() == good.data

    def test_a_whole_one_of_unknown_size(self, store: Store, good: Good, server: FaultyServer, client: Client) -> None:
        (store.root / "partial").mkdir()
        (store.root / "partial" / good.sha256).write_bytes(good.data)
        fetch(store, [good.artifact(size=None)], client=client)  # the server says 416
        assert store.blob_path(good.sha256).read_bytes() == good.data

    def test_a_sha256_that_is_none(self, store: Store, client: Client) -> None:
        with pytest.raises(UsageError, match="sha256"):
            fetch(store, [Artifact("x", ("http://127.0.0.1:1/",), "abc")], client=client)


class TestBrokenLines:
    @pytest.mark.parametrize("announced", [True, False])
    @pytest.mark.parametrize("reset", [True, False])
    def test_a_dropped_connection_is_resumed(
        self, store: Store, good: Good, server: FaultyServer, client: Client, announced: bool, reset: bool
    ) -> None:
        server.fault(good.name, cut(0.4, announced=announced, reset=reset), times=1)
        fetch(store, [good.artifact()], client=client)
        assert store.blob_path(good.sha256).read_bytes() == good.data
        assert len(server.asked) == 2
        if not reset:
            assert server.asked[1].range == "bytes=120000-"

    def test_a_chunked_answer_cut_short_is_resumed(
        self, store: Store, good: Good, server: FaultyServer, client: Client
    ) -> None:
        server.fault(good.name, chunked(0.5), times=1)
        fetch(store, [good.artifact(size=None)], client=client)
        assert store.blob_path(good.sha256).read_bytes() == good.data

    def test_cut_short_with_unknown_length_and_size_is_fetched_again_as_a_whole(
        self, store: Store, good: Good, server: FaultyServer, client: Client
    ) -> None:
        server.fault(good.name, cut(0.5, announced=False), times=1)
        fetch(store, [good.artifact(size=None)], client=client)
        assert store.blob_path(good.sha256).read_bytes() == good.data

    def test_a_server_without_ranges_sends_all_again(
        self, store: Store, good: Good, server: FaultyServer, client: Client
    ) -> None:
        server.fault(good.name, cut(0.4), times=1)
        server.fault(good.name, whole)
        fetch(store, [good.artifact()], client=client)
        assert store.blob_path(good.sha256).read_bytes() == good.data

    def test_a_server_that_continues_at_the_wrong_place(
        self, store: Store, good: Good, server: FaultyServer, client: Client
    ) -> None:
        server.fault(good.name, cut(0.4), times=1)
        server.fault(good.name, wrong_range)
        fetch(store, [good.artifact()], client=client)
        assert store.blob_path(good.sha256).read_bytes() == good.data

    def test_progress_keeps_patience(self, store: Store, good: Good, server: FaultyServer) -> None:
        """Each try brings a quarter of what is left, and one try without progress is allowed: so it gets there."""
        server.fault(good.name, cut(0.25), times=4)
        fetch(store, [good.artifact()], client=Client(Policy(timeout=5, retries=1, backoff=0.001)))
        assert store.has_blob(good.sha256)

    def test_a_server_that_always_drops_is_given_up(
        self, store: Store, good: Good, server: FaultyServer, client: Client
    ) -> None:
        server.fault(good.name, cut(0.0))
        with pytest.raises(NetworkError, match=r"(dropped|connection).*\(3 tries\)"):
            fetch(store, [good.artifact()], client=client)
        assert len(server.asked) == 3

    def test_what_came_is_kept_for_the_next_time(
        self, store: Store, good: Good, server: FaultyServer, client: Client
    ) -> None:
        server.fault(good.name, cut(0.4), times=1)
        server.fault(good.name, status(500))
        with pytest.raises(NetworkError, match="500"):
            fetch(store, [good.artifact()], client=client)
        assert (store.root / "partial" / good.sha256).stat().st_size == 120_000
        server.mend()
        fetch(store, [good.artifact()], client=client)
        assert [asked.range for asked in server.asked] == ["bytes=120000-"]

    @given(cuts=st.lists(st.floats(0.1, 0.95), max_size=5))
    @settings(max_examples=15, deadline=None)
    def test_any_sequence_of_cuts(self, tmp_path_factory: pytest.TempPathFactory, cuts: list[float]) -> None:
        folder = tmp_path_factory.mktemp("cuts")
        data = bytes(range(256)) * 800
        (folder / "file").write_bytes(data)
        store = Store.open(folder / "store")
        with faulty(folder) as server:
            for share in cuts:
                server.fault("file", cut(share), times=1)
            policy = Policy(timeout=5, retries=6, backoff=0.0001)
            fetch(store, [Artifact("file", (f"{server.url}/file",), sha256_bytes(data))], client=Client(policy))
        assert store.blob_path(sha256_bytes(data)).read_bytes() == data


def test_a_half_that_nobody_went_on_with_is_swept(store: Store, good: Good, client: Client) -> None:
    (store.root / "partial").mkdir()
    old, new = store.root / "partial" / ("0" * 64), store.root / "partial" / ("1" * 64)
    old.write_bytes(b"old")
    new.write_bytes(b"new")
    os.utime(old, (1, 1))
    fetch(store, [good.artifact()], client=client)
    assert partials(store) == [new.name]


class TestRefusals:
    @pytest.mark.parametrize("code", [429, 500, 502, 503, 504, 408])
    def test_a_server_in_trouble_is_asked_again(
        self, store: Store, good: Good, server: FaultyServer, client: Client, code: int
    ) -> None:
        server.fault(good.name, status(code, {"Retry-After": "0"}), times=2)
        fetch(store, [good.artifact()], client=client)
        assert len(server.asked) == 3

    def test_it_is_given_up_after_the_last_try(
        self, store: Store, good: Good, server: FaultyServer, client: Client
    ) -> None:
        server.fault(good.name, status(503))
        with pytest.raises(NetworkError) as caught:
            fetch(store, [good.artifact()], client=client)
        assert caught.value.message == f"one.conda from {server.url}/one.conda: the server answers 503 (3 tries)"
        assert len(server.asked) == 3

    def test_a_server_that_wants_a_day_of_peace_gets_it(
        self, store: Store, good: Good, server: FaultyServer, client: Client
    ) -> None:
        server.fault(good.name, status(429, {"Retry-After": "86400"}))
        with pytest.raises(NetworkError, match="86400 seconds"):
            fetch(store, [good.artifact()], client=client)
        assert len(server.asked) == 1

    @pytest.mark.parametrize(("code", "kind"), [(404, NotFoundError), (410, NotFoundError), (400, NetworkError)])
    def test_no_is_no(
        self, store: Store, good: Good, server: FaultyServer, client: Client, code: int, kind: type[Exception]
    ) -> None:
        server.fault(good.name, status(code))
        with pytest.raises(kind, match=str(code)):
            fetch(store, [good.artifact()], client=client)
        assert len(server.asked) == 1

    @pytest.mark.parametrize("code", [401, 403])
    def test_credentials(self, store: Store, good: Good, server: FaultyServer, client: Client, code: int) -> None:
        server.fault(good.name, status(code))
        with pytest.raises(CredentialsError) as caught:
            fetch(store, [good.artifact()], client=client)
        assert str(code) in caught.value.message
        assert "HERMETIC_AUTH_127_0_0_1" in (caught.value.remedy or "")
        assert caught.value.exit_status == 4

    @pytest.mark.parametrize("after", [None, 0.5])
    def test_a_server_that_hangs(self, store: Store, good: Good, server: FaultyServer, after: float | None) -> None:
        server.fault(good.name, hang(after))
        with pytest.raises(NetworkError, match=r"did not answer in time \(\d tries\)"):
            fetch(store, [good.artifact()], client=Client(Policy(timeout=0.2, retries=1, backoff=0.001)))

    def test_a_server_that_trickles(self, store: Store, good: Good, server: FaultyServer) -> None:
        server.fault(good.name, trickle)
        with pytest.raises(NetworkError, match=r"only \d+ bytes came in 0.3 seconds"):
            fetch(store, [good.artifact()], client=Client(Policy(timeout=0.3, retries=1, backoff=0.001)))

    def test_nobody_listens(self, store: Store, good: Good, client: Client) -> None:
        with pytest.raises(NetworkError, match=r"no connection \(Connection refused\) \(3 tries\)"):
            fetch(store, [good.artifact("http://127.0.0.1:1/one.conda")], client=client)

    def test_no_address_at_all(self, store: Store, good: Good, client: Client) -> None:
        with pytest.raises(NetworkError, match="no address is known"):
            fetch(store, [Artifact("x", (), good.sha256)], client=client)

    @pytest.mark.parametrize(
        "url", ["http://", "http://[", "http://a b/", "ftp://example.org/x", "http://127.0.0.1:x/"]
    )
    def test_an_address_that_is_none(self, store: Store, good: Good, client: Client, url: str) -> None:
        with pytest.raises(NetworkError):
            fetch(store, [good.artifact(url)], client=client)

    def test_one_that_fails_stops_the_others_and_is_the_error(
        self, store: Store, goods: list[Good], server: FaultyServer, client: Client
    ) -> None:
        server.fault(goods[0].name, hang(0.5))
        server.fault(goods[1].name, flipped)
        with pytest.raises(IntegrityError, match=r"two\.conda"):
            fetch(store, [good.artifact() for good in goods[:2]], client=Client(Policy(timeout=1, retries=0)))

    def test_an_error_does_not_wait_for_a_server_that_hangs(
        self, store: Store, goods: list[Good], server: FaultyServer
    ) -> None:
        """The silent one would be waited for an hour; the test itself would not end."""
        server.fault(goods[0].name, hang())
        server.fault(goods[1].name, flipped)
        with pytest.raises(IntegrityError, match=r"two\.conda"):
            fetch(store, [good.artifact() for good in goods], client=Client(Policy(timeout=3600, retries=0)))

    def test_redirects_are_followed(self, store: Store, good: Good, server: FaultyServer, client: Client) -> None:
        server.fault("/old", redirect(f"/{good.name}"))
        fetch(store, [good.artifact(f"{server.url}/old")], client=client)
        assert store.has_blob(good.sha256)

    def test_redirects_in_a_circle(self, store: Store, good: Good, server: FaultyServer, client: Client) -> None:
        server.fault("/old", redirect("/old"))
        with pytest.raises(NetworkError, match="more than 10 redirects"):
            fetch(store, [good.artifact(f"{server.url}/old")], client=client)

    def test_a_redirect_to_a_file_of_this_machine(
        self, store: Store, good: Good, server: FaultyServer, client: Client
    ) -> None:
        server.fault("/old", redirect("file:///etc/passwd"))
        with pytest.raises(NetworkError, match="not followed"):
            fetch(store, [good.artifact(f"{server.url}/old")], client=client)


IN_LITTLE_ROOM = """
import sys, pathlib
from hermetic.errors import HermeticError
from hermetic.store import Store
from hermetic.store.fetch import Artifact, fetch
root, url, sha256, size = sys.argv[1:]
store = Store.open(pathlib.Path(root))
try:
    fetch(store, [Artifact("big.conda", (url,), sha256, int(size) or None)])
except HermeticError as error:
    print(error)
    print("left:", sorted(p.name for p in store.root.rglob("*") if p.is_file() and p.name != "CACHEDIR.TAG"))
    sys.exit(error.exit_status)
"""


class TestFullDisk:
    """A real small disk: a tmpfs of one megabyte in a mount namespace of its own."""

    @pytest.mark.parametrize("size", [0, 3_000_000])
    @pytest.mark.parametrize("scheme", ["http", "file"])
    def test_it_says_how_much_and_where_and_leaves_nothing(
        self, server: FaultyServer, tmp_path: Path, size: int, scheme: str
    ) -> None:
        disk = tmp_path / "disk"
        disk.mkdir()
        mount = ["unshare", "-Urm", "sh", "-c", f'mount -t tmpfs -o size=1m none "{disk}" && exec "$@"', "sh"]
        probe = subprocess.run([*mount, "true"], capture_output=True, check=False)
        require(probe.returncode == 0, "this machine lets nobody mount a small disk")
        data = os.urandom(3_000_000)
        (tmp_path / "served" / "big").write_bytes(data)
        url = f"{server.url}/big" if scheme == "http" else (tmp_path / "served" / "big").as_uri()
        run = subprocess.run(
            [*mount, sys.executable, "-c", IN_LITTLE_ROOM, str(disk / "store"), url, sha256_bytes(data), str(size)],
            capture_output=True,
            text=True,
            check=False,
        )
        assert run.returncode == MachineError.exit_status, run.stderr
        assert "cannot download big.conda: No space left on device" in run.stdout
        assert f"free in {disk / 'store'}" in run.stdout
        assert "HERMETIC_STORE" in run.stdout
        assert "left: []" in run.stdout
        if size:
            assert "3.0 MB needed" in run.stdout
            assert server.asked == []

    def test_a_limit_of_file_sizes(self, store: Store, good: Good, client: Client) -> None:
        before = resource.getrlimit(resource.RLIMIT_FSIZE)
        resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, before[1]))
        try:
            with pytest.raises(MachineError, match=r"one\.conda: File too large"):
                fetch(store, [good.artifact()], client=client)
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, before)
        assert partials(store) == []
        fetch(store, [good.artifact()], client=client)
        assert store.has_blob(good.sha256)


def test_the_digest_is_that_of_the_bytes_on_disk(store: Store, goods: list[Good], client: Client) -> None:
    fetch(store, [good.artifact() for good in goods], client=client, jobs=1)
    for good in goods:
        assert hashlib.sha256(store.blob_path(good.sha256).read_bytes()).hexdigest() == good.sha256
