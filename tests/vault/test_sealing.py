"""Sealed bytes open in their own place alone, or not at all."""

from __future__ import annotations

import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mlray.errors import TamperError
from mlray.vault.keyring import DataKey
from mlray.vault.sealing import MAGIC, SEGMENT, TAG, open_bytes, open_key, seal_bytes, seal_key

KEY, OTHER = DataKey(b"k" * 32), DataKey(b"o" * 32)


@pytest.mark.parametrize("size", [0, 1, SEGMENT - 1, SEGMENT, SEGMENT + 1, 3 * SEGMENT, 3 * SEGMENT + 5])
def test_bytes_of_every_length_come_back(size: int):
    data = random.Random(size).randbytes(size)
    sealed = seal_bytes(KEY, data, "model a")
    assert open_bytes(KEY, sealed, "model a") == data
    assert len(sealed) == len(MAGIC) + 32 + size + TAG * max(1, -(-size // SEGMENT))


@settings(max_examples=60, deadline=None)
@given(st.binary(max_size=300), st.data())
def test_no_changed_byte_is_accepted(data: bytes, draw: st.DataObject):
    sealed = bytearray(seal_bytes(KEY, data, "a"))
    at = draw.draw(st.integers(0, len(sealed) - 1))
    sealed[at] ^= draw.draw(st.integers(1, 255))
    with pytest.raises(TamperError, match=r"^a: "):
        open_bytes(KEY, bytes(sealed), "a")


@settings(max_examples=60, deadline=None)
@given(st.binary(max_size=300), st.data())
def test_no_truncation_and_no_addition_is_accepted(data: bytes, draw: st.DataObject):
    sealed = seal_bytes(KEY, data, "a")
    cut = draw.draw(st.integers(0, len(sealed) - 1))
    for bent in (sealed[:cut], sealed + sealed[cut:]):
        with pytest.raises(TamperError):
            open_bytes(KEY, bent, "a")


def test_segments_cannot_be_dropped_swapped_or_repeated():
    sealed = seal_bytes(KEY, bytes(SEGMENT) + b"1" * SEGMENT + b"2" * SEGMENT, "a")
    start, step = len(MAGIC) + 32, SEGMENT + TAG
    head, (one, two, three) = sealed[:start], [sealed[start + i * step : start + (i + 1) * step] for i in range(3)]
    for body in ((one, two), (two, one, three), (one, three), (one, two, two, three), (three,), ()):
        with pytest.raises(TamperError):
            open_bytes(KEY, b"".join((head, *body)), "a")


def test_another_key_or_another_place_does_not_open():
    sealed = seal_bytes(KEY, b"trees", "model a: part model.json")
    for key, place in ((OTHER, "model a: part model.json"), (KEY, "model b: part model.json")):
        with pytest.raises(TamperError):
            open_bytes(key, sealed, place)


def test_sealing_twice_gives_the_same_bytes_and_another_place_other_bytes():
    assert seal_bytes(KEY, b"trees", "a") == seal_bytes(KEY, b"trees", "a")
    assert seal_bytes(KEY, b"trees", "a")[len(MAGIC) :] != seal_bytes(KEY, b"trees", "b")[len(MAGIC) :]


def test_a_files_key_opens_in_its_place_under_its_versions_key_alone():
    file = DataKey(b"f" * 32)
    sealed = seal_key(KEY, file, "dataset a: x")
    assert open_key(KEY, sealed, "part 1", "dataset a: x").secret() == file.secret()
    assert file.secret().hex() not in sealed
    for key, data, place in (
        (OTHER, sealed, "dataset a: x"),
        (KEY, sealed, "dataset a: y"),
        (KEY, sealed[:-2] + "00", "dataset a: x"),
        (KEY, "zz", ""),
    ):
        with pytest.raises(TamperError, match=r"^part 1: "):
            open_key(key, data, "part 1", place)
