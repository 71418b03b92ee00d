"""Keys and addresses of object stores, on any text."""

from __future__ import annotations

import posixpath
from pathlib import Path, PurePosixPath
from urllib.parse import quote

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from hermetic.errors import UsageError
from hermetic.store.objects.bucket import read_bucket
from hermetic.store.objects.model import check_key, hidden, is_key
from hermetic.store.objects.opening import open_objects
from hermetic.workspace_config import WorkspaceAddress

PARTS = st.text(st.sampled_from("aZ09._+!~-/\\%?#:@ \0\néà"), max_size=30)


@given(st.one_of(st.text(max_size=40), PARTS))
@example("..")
@example("a/../../b")
@example("a\n")
def test_a_key_stays_where_it_belongs(text: str) -> None:
    if not is_key(text):
        with pytest.raises(UsageError):
            check_key(text)
        return
    assert posixpath.normpath(f"/root/{text}") == f"/root/{text}"  # one name, below the root
    assert not any(part.startswith(".") for part in PurePosixPath(text).parts)
    assert quote(text, safe="/+!~") == text  # and the same in every URL
    assert text.isascii()
    assert text.isprintable()


@given(PARTS, PARTS)
@example("bucket", "\n")
def test_an_address_is_read_as_it_is_written_or_refused(bucket: str, prefix: str) -> None:
    try:
        found = read_bucket(f"s3://{bucket}/{prefix}")
    except UsageError:
        return
    assert found.where.rstrip("/") == f"s3://{bucket}/{prefix}".rstrip("/")
    key = "wheels/a.whl"
    assert found.key(found.object_name(key)) == key
    assert found.object_name(key).startswith(found.beginning("wheels/"))


def test_what_consoles_make_for_folders_is_no_object() -> None:
    found = read_bucket("s3://bucket/prefix")
    assert found.key("prefix/") is None
    assert found.key("prefix/wheels/") is None
    assert found.key("prefix/wheels/.DS_Store") is None


@pytest.mark.parametrize("address", ["ftp://example.org/x", "s3:/x//y://", "file:///x"])
def test_other_schemes_are_refused_with_what_there_is(address: str) -> None:
    with pytest.raises(UsageError, match="no store of artefacts") as caught:
        open_objects(WorkspaceAddress("team", Path("/x"), artefacts=address))
    assert "s3://bucket" in str(caught.value)


def test_a_variable_that_is_not_set_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("NO_SUCH_BUCKET", raising=False)
    with pytest.raises(UsageError, match="NO_SUCH_BUCKET"):
        open_objects(WorkspaceAddress("team", Path("/x"), artefacts="s3://${NO_SUCH_BUCKET}/x"))


def test_signatures_of_every_kind_are_hidden() -> None:
    from hermetic.secrets import redact

    for name in ("sig", "X-Amz-Signature", "X-Goog-Signature", "X-Amz-Security-Token"):
        value = f"s3cr3t-{name}/="
        assert hidden(f"https://example.org/x?a=b&{name}={quote(value, safe='')}")
        assert value not in redact(f"told: {value}")
        assert quote(value, safe="") not in redact(f"told: {quote(value, safe='')}")
