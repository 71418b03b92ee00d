"""Manifests, indexes and configurations of strangers."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hermetic.errors import HermeticError, IntegrityError, UsageError
from hermetic.outputs.oci.manifests import Index, Manifest, read_config, read_document
from hermetic.outputs.oci.model import (
    CONFIG,
    DOCKER_INDEX,
    DOCKER_LAYER,
    DOCKER_MANIFEST,
    INDEX,
    LAYER_GZIP,
    LAYER_ZSTD,
    MANIFEST,
    Descriptor,
)

WHAT = "r.example.org/a:1"


def digest(digit: str = "a") -> str:
    return f"sha256:{digit * 64}"


def entry(kind: str, digit: str = "a", size: Any = 10, **more: Any) -> dict[str, Any]:
    return {"mediaType": kind, "digest": digest(digit), "size": size, **more}


def manifest(*layers: Any, **more: Any) -> dict[str, Any]:
    return {"schemaVersion": 2, "mediaType": MANIFEST, "config": entry(CONFIG, "c"), "layers": list(layers), **more}


def index(*platforms: tuple[str, ...], **more: Any) -> dict[str, Any]:
    entries = []
    for number, (os, architecture, *variant) in enumerate(platforms):
        platform = {"os": os, "architecture": architecture, **({"variant": variant[0]} if variant else {})}
        entries.append(entry(MANIFEST, f"{number:x}", platform=platform))
    return {"schemaVersion": 2, "mediaType": INDEX, "manifests": entries, **more}


def read(value: Any) -> Manifest | Index:
    return read_document(json.dumps(value).encode(), WHAT)


class TestManifests:
    def test_ours(self) -> None:
        found = read(manifest(entry(LAYER_GZIP, "1"), entry(LAYER_ZSTD, "2")))
        assert found == Manifest(
            Descriptor(CONFIG, digest("c"), 10),
            (Descriptor(LAYER_GZIP, digest("1"), 10), Descriptor(LAYER_ZSTD, digest("2"), 10)),
        )

    def test_dockers(self) -> None:
        value = manifest(entry(DOCKER_LAYER), mediaType=DOCKER_MANIFEST)
        value["config"]["mediaType"] = "application/vnd.docker.container.image.v1+json"
        found = read(value)
        assert isinstance(found, Manifest)
        assert found.layers[0].media_type == DOCKER_LAYER

    def test_the_media_type_may_be_missing(self) -> None:
        value = manifest()
        del value["mediaType"]
        assert isinstance(read(value), Manifest)

    @pytest.mark.parametrize(
        ("value", "kind", "reason"),
        [
            ({"schemaVersion": 1, "fsLayers": [], "history": []}, UsageError, "schema 1"),
            (manifest(manifests=[]), IntegrityError, "manifest and an index at once"),
            (index(layers=[]), IntegrityError, "manifest and an index at once"),
            (manifest(mediaType=INDEX), UsageError, "media type"),
            (index(mediaType=MANIFEST), UsageError, "media type"),
            ({}, IntegrityError, "neither"),
            (manifest(layers={}), IntegrityError, "neither"),
            ([], IntegrityError, "no JSON object"),
            (
                manifest(entry("application/vnd.oci.image.layer.nondistributable.v1.tar+gzip")),
                UsageError,
                "does not have",
            ),
            (manifest(entry("application/vnd.docker.image.rootfs.foreign.diff.tar.gzip")), UsageError, "does not have"),
            (manifest(entry(LAYER_GZIP, urls=["https://r.example.org/x"])), UsageError, "does not have"),
            (
                manifest(entry("application/x-thing\n\x1b[31m")),
                UsageError,
                r"unknown kind: application/x-thing\?\?\[31m",
            ),
            (manifest(*[entry(LAYER_GZIP)] * 126), UsageError, "126 layers"),
            (manifest(entry(LAYER_GZIP, size=-1)), IntegrityError, "a size that is none"),
            (manifest(entry(LAYER_GZIP, size=True)), IntegrityError, "a size that is none"),
            (manifest(entry(LAYER_GZIP, size=1 << 60)), IntegrityError, "a size that is none"),
            (manifest(entry(LAYER_GZIP, size="10")), IntegrityError, "a size that is none"),
            (manifest(entry(LAYER_GZIP, size=None)), IntegrityError, "without media type"),
            (manifest({"digest": digest()}), IntegrityError, "without media type"),
            (manifest("x"), IntegrityError, "without media type"),
            (manifest({**entry(LAYER_GZIP), "digest": "sha512:" + "a" * 128}), IntegrityError, "no sha256"),
            (manifest({**entry(LAYER_GZIP), "digest": "sha256:../../etc"}), IntegrityError, "no sha256"),
            (
                manifest(config=entry("application/vnd.example.chart.config+json")),
                UsageError,
                "no image that can be run",
            ),
        ],
    )
    def test_what_is_refused(self, value: Any, kind: type[HermeticError], reason: str) -> None:
        with pytest.raises(kind, match=reason) as caught:
            read(value)
        assert caught.value.message.startswith(WHAT)
        assert caught.value.remedy

    @pytest.mark.parametrize("data", [b"", b"<html>", b"[" * 200_000, b"\xff\xfe"])
    def test_what_is_no_json(self, data: bytes) -> None:
        with pytest.raises(IntegrityError, match="malformed"):
            read_document(data, WHAT)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(["manifests", "layers", "config", "mediaType", "digest", "size", "platform", "os", "x"]),
            inner,
        )
    ),
    max_leaves=12,
)


@given(JSON)
def test_any_json_is_read_or_refused(value: Any) -> None:
    try:
        read({"schemaVersion": 2, **value} if isinstance(value, dict) else value)
    except HermeticError:
        return


class TestIndexes:
    def test_platforms(self) -> None:
        found = read(index(("linux", "amd64"), ("linux", "arm64", "v8"), ("linux", "arm", "v7"), ("windows", "amd64")))
        assert isinstance(found, Index)
        assert {platform: d.digest for platform, d in found.manifests.items()} == {
            "linux-64": digest("0"),
            "linux-aarch64": digest("1"),
        }
        assert found.listed == ("linux/amd64", "linux/arm64/v8", "linux/arm/v7", "windows/amd64")

    @pytest.mark.parametrize("order", [1, -1])
    def test_the_variant_that_runs_everywhere_is_chosen(self, order: int) -> None:
        variants = [("linux", "amd64", "v3"), ("linux", "amd64"), ("linux", "amd64", "v2")][::order]
        found = read(index(*variants))
        assert isinstance(found, Index)
        assert found.manifests["linux-64"].platform == {"os": "linux", "architecture": "amd64"}

    def test_attestations_are_no_platforms(self) -> None:
        found = read(index(("unknown", "unknown"), ("linux", "s390x")))
        assert isinstance(found, Index)
        assert found.listed == ("linux/s390x",)
        assert list(found.manifests) == ["linux-s390x"]

    def test_dockers(self) -> None:
        value = index(("linux", "amd64"), mediaType=DOCKER_INDEX)
        value["manifests"][0]["mediaType"] = DOCKER_MANIFEST
        found = read(value)
        assert isinstance(found, Index)
        assert list(found.manifests) == ["linux-64"]


class TestConfigs:
    manifest = Manifest(Descriptor(CONFIG, digest("c"), 10), (Descriptor(LAYER_GZIP, digest("1"), 10),))

    def config(self, **more: Any) -> bytes:
        value = {"os": "linux", "architecture": "amd64", "rootfs": {"type": "layers", "diff_ids": [digest("d")]}}
        return json.dumps({**value, **more}).encode()

    def test_one_that_fits(self) -> None:
        found = read_config(self.config(config={"Env": ["A=1"]}), self.manifest, "linux-64", WHAT)
        assert found["config"] == {"Env": ["A=1"]}

    @pytest.mark.parametrize(
        ("more", "kind", "reason"),
        [
            ({"rootfs": {"diff_ids": []}}, IntegrityError, "1 layers and 0 diff IDs"),
            ({"rootfs": {"diff_ids": [digest()] * 2}}, IntegrityError, "1 layers and 2 diff IDs"),
            ({"rootfs": {"diff_ids": ["sha256:1"]}}, IntegrityError, "no diff IDs"),
            ({"rootfs": {"diff_ids": [7]}}, IntegrityError, "no diff IDs"),
            ({"rootfs": []}, IntegrityError, "no diff IDs"),
            ({"rootfs": None}, IntegrityError, "no diff IDs"),
            ({"config": []}, IntegrityError, "no object"),
            (
                {"architecture": "arm64", "variant": "v8"},
                UsageError,
                r"is for linux/arm64/v8, not for linux/amd64 \(",
            ),
            ({"os": "windows"}, UsageError, "is for windows/amd64"),
            ({"os": None, "architecture": None}, UsageError, "is for no platform"),
        ],
    )
    def test_one_that_does_not(self, more: dict[str, Any], kind: type[HermeticError], reason: str) -> None:
        with pytest.raises(kind, match=reason):
            read_config(self.config(**more), self.manifest, "linux-64", WHAT)
