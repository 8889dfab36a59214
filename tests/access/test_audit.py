"""A chain that was bent says where."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mlray.access.audit import START, Deed, Entry, Head, follow, verify
from mlray.errors import TamperError

NOON = datetime(2026, 11, 22, 12, 0, 0, 123456, tzinfo=UTC)


def record(count: int) -> list[Entry]:
    entries: list[Entry] = []
    for number in range(count):
        deed = Deed("ada", "erase", f"flights-{number}", {"subject": "9c41", "versions": [1, 2]})
        entries.append(follow(entries[-1].head if entries else START, deed, NOON))
    return entries


def test_a_whole_record_has_a_head():
    entries = record(5)
    assert verify(entries) == entries[-1].head and verify([]) == START
    assert verify(entries, entries[2].head) == entries[-1].head
    assert entries[1].deed == Deed("ada", "erase", "flights-1", {"subject": "9c41", "versions": [1, 2]}) and entries[1].at == NOON


@given(st.integers(0, 7), st.sampled_from(["change", "drop", "swap", "renumber", "redigest", "insert"]))
def test_every_bent_record_is_found_at_its_first_wrong_entry(at: int, how: str):
    entries = record(9)
    entry = entries[at]
    match how:
        case "change":
            entries[at] = replace(entry, body=entry.body.replace("ada", "eve"))
        case "drop":
            del entries[at]
        case "swap":
            entries[at], entries[at + 1] = entries[at + 1], entries[at]
        case "renumber":
            entries[at] = replace(entry, number=entry.number + 1)
        case "redigest":
            forged = follow(entries[at - 1].head if at else START, replace(entry.deed, who="eve"), NOON)
            entries[at] = forged  # whole in itself, so the one after it no longer follows
            at += 1
        case "insert":
            entries.insert(at, entry)
            at += 1
    with pytest.raises(TamperError, match=rf"audit entry {at + 1} "):
        verify(entries)


def test_a_record_rewritten_from_some_entry_on_is_found_by_a_head_handed_out_before():
    honest, forged = record(5), record(2)
    forged += [follow(forged[-1].head, Deed("eve", "nothing", "", {}), NOON)]
    verify(forged)
    with pytest.raises(TamperError, match="audit entry 3 is not the one whose head was handed out"):
        verify(forged, honest[2].head)
    with pytest.raises(TamperError, match="audit entry 4 is gone: the record ends before entry 5"):
        verify(honest[:3], honest[-1].head)


def test_a_head_is_read_as_it_was_printed():
    head = record(3)[-1].head
    assert Head.parse(f" {head}\n") == head
    for wrong in ("", "3", "3:abc", "x:" + "0" * 64, "3:" + "g" * 64):
        with pytest.raises(ValueError):
            Head.parse(wrong)
