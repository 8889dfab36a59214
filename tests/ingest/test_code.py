"""The code that makes rows has one name."""

from __future__ import annotations

from mlray.ingest.code import code_digest


def test_the_code_has_one_digest():
    assert code_digest() == code_digest() and len(code_digest()) == 64
