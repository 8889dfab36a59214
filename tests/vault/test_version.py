"""Versions are named by what they are made of, and manifests survive their round trip."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from mlray.errors import TamperError
from mlray.vault.keyring import KeyId, Signature, WrappedKey
from mlray.vault.version import (
    DatasetVersion,
    Manifest,
    Part,
    VersionKeys,
    dataset_digest,
    decode,
    decode_keys,
    encode,
    encode_keys,
    join_signature,
    model_digest,
    split_signature,
)

LINEAGE = (("code", "c1"), ("source:flights", "f1"), ("spec", "s1"))
MANIFEST = Manifest(
    kind="dataset",
    name="flights",
    digest="3f2a9c01d2e4" + "0" * 52,
    created=datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC),
    parts=(
        Part("train-00001", "d/parts/x", "train", 7, 99, "e" * 64, (("data", "ab"), ("personal", "cd")), "w1"),
        Part("train-00000", "d/parts/y", "train", 5, 98, "f" * 64),
    ),
    schema=(("late", "int8"),),
    rejected=(("cancelled", 3),),
    lineage=LINEAGE,
    about={"rows_read": 15, "label": None},
)


def test_a_version_prints_its_name_and_twelve_characters():
    assert str(DatasetVersion("flights", MANIFEST.digest, MANIFEST)) == "flights@3f2a9c01d2e4"


def test_the_same_origin_is_the_same_version_in_any_order():
    assert dataset_digest("flights", LINEAGE) == dataset_digest("flights", LINEAGE[::-1])


@pytest.mark.parametrize("other", [("code", "c2"), ("spec", "s2"), ("source:flights", "f2"), ("source:planes", "p1")])
def test_any_other_origin_is_another_version(other: tuple[str, str]):
    assert dataset_digest("flights", LINEAGE) != dataset_digest("flights", tuple((dict(LINEAGE) | dict([other])).items()))
    assert dataset_digest("flights", LINEAGE) != dataset_digest("trains", LINEAGE)


def test_a_model_is_named_by_its_content():
    files = {"model.json": b"{}", "card.json": b"[]"}
    assert model_digest("late", files) == model_digest("late", dict(reversed(files.items())))
    assert model_digest("late", files) != model_digest("late", {"model.json": b"[]", "card.json": b"{}"})
    assert model_digest("late", files) != model_digest("early", files)


def test_a_manifest_survives_its_file():
    line, signature = encode(MANIFEST), Signature(KeyId("k"), b"s" * 64)
    assert b"\n" not in line and decode(line) == MANIFEST
    assert split_signature(join_signature(line, signature), "flights") == (line, signature)


def test_keys_survive_their_file_and_say_whose_they_are():
    keys: VersionKeys = {"data": WrappedKey(KeyId("k"), b"c"), "secret": WrappedKey(KeyId("s"), b"d", b"n", "secret")}
    assert decode_keys(encode_keys("dataset", "flights", "ab", keys)) == (("dataset", "flights", "ab"), keys)


def test_rows_are_summed_over_parts_in_order():
    assert [part.name for part in MANIFEST.of("train")] == ["train-00000", "train-00001"]
    assert (MANIFEST.rows("train"), MANIFEST.rows("test"), MANIFEST.splits) == (12, 0, ("train",))


@pytest.mark.parametrize("data", [b"", b"{}", b"{}\n{}\n", b"{}\n[]\n", b"a\nb\nc\nd", b'{}\n{"key": "k", "signature": "zz"}\n'])
def test_a_file_that_is_no_signed_manifest_is_refused(data: bytes):
    with pytest.raises(TamperError, match="flights is not a signed line"):
        split_signature(data, "flights")
