"""Text is cut into the same rows however its bytes arrive."""

from __future__ import annotations

import csv
import io
from functools import partial

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mlray.sources.lines import cut, recoded


@given(st.lists(st.binary(max_size=6).filter(lambda b: b"\n" not in b), max_size=40), st.integers(1, 9), st.integers(1, 20), st.booleans())
def test_blocks_hold_all_lines_in_order_however_the_bytes_arrive(lines: list[bytes], size: int, step: int, ended: bool):
    text = b"\n".join(lines) + (b"\n" if ended and lines else b"")
    chunks = [text[i : i + step] for i in range(0, len(text), step)]
    found = list(cut(chunks, size, lambda number: True))
    assert b"".join(block for _, _, block in found) == text
    assert [number for number, _, _ in found] == list(range(len(found)))
    assert all(block.count(b"\n") == rows == size for _, rows, block in found[:-1])
    assert sum(rows for _, rows, _ in found) == len(text.splitlines()) or b"\r" in text or not text.isascii() or b"\x0b" in text


@given(st.integers(0, 60), st.integers(1, 7), st.integers(1, 5))
def test_tasks_that_take_every_nth_block_take_each_block_once(rows: int, size: int, tasks: int):
    text = b"".join(b"%d\n" % row for row in range(rows))
    whole = {number: block for number, _, block in cut([text], size, lambda number: True)}
    every = [partial(lambda task, number: number % tasks == task, task) for task in range(tasks)]
    dealt = [(number, block) for mine in every for number, _, block in cut([text[:11], text[11:]], size, mine)]
    assert dict(dealt) == whole and len(dealt) == len(whole)


def test_an_empty_table_of_lines_is_no_block():
    assert list(cut([], 3, lambda number: True)) == []


CELL = st.text(alphabet='a",\n', max_size=4)


@given(st.lists(st.lists(CELL, min_size=2, max_size=2), max_size=20), st.integers(1, 5), st.integers(1, 7))
def test_quoted_line_breaks_end_no_row(rows: list[list[str]], size: int, step: int):
    out = io.StringIO()
    csv.writer(out, lineterminator="\n", quoting=csv.QUOTE_ALL).writerows(rows)
    text = out.getvalue().encode()
    chunks = [text[i : i + step] for i in range(0, len(text), step)]
    found = list(cut(chunks, size, lambda number: True, quote='"'))
    assert b"".join(block for _, _, block in found) == text
    assert [row for _, _, block in found for row in csv.reader(io.StringIO(block.decode()))] == rows
    assert [count for _, count, _ in found] == [min(size, len(rows) - start) for start in range(0, len(rows), size)]


@given(st.text(max_size=30), st.integers(1, 5))
def test_utf_16_becomes_utf_8_wherever_it_is_torn(text: str, step: int):
    raw = text.encode("utf-16")
    assert b"".join(recoded([raw[i : i + step] for i in range(0, len(raw), step)], "utf-16")).decode() == text


def test_half_a_sign_of_utf_16_is_refused():
    with pytest.raises(UnicodeError):
        list(recoded(["a".encode("utf-16")[:-1]], "utf-16"))
