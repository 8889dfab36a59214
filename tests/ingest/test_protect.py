"""Sensitive columns leave as pseudonyms, masks, or not at all."""

from __future__ import annotations

import hashlib
import hmac

import pyarrow as pa
from hypothesis import given
from hypothesis import strategies as st

from mlray.ingest.protect import mask, protect, pseudonyms
from mlray.ingest.spec import Protection
from mlray.vault.keyring import DataKey

KEY, OTHER = DataKey(b"k" * 32), DataKey(b"o" * 32)


def test_a_pseudonym_is_an_hmac_of_the_value_in_32_hex_characters():
    column = pa.chunked_array([["N14228", None], ["N24211", "N14228"]])
    expected = hmac.new(b"k" * 32, b"N14228", hashlib.sha256).hexdigest()[:32]
    names = pseudonyms(column, KEY).to_pylist()
    assert names[0] == names[3] == expected and names[1] is None and names[2] != expected


@given(st.lists(st.one_of(st.none(), st.text(max_size=5)), max_size=30))
def test_equal_values_stay_equal_and_others_stay_apart(values: list[str | None]):
    names = pseudonyms(pa.chunked_array([pa.array(values, pa.string())]), KEY).to_pylist()
    assert [name is None for name in names] == [value is None for value in values]
    assert len(set(names)) == len(set(values))


def test_another_key_gives_other_pseudonyms():
    column = pa.chunked_array([["N14228"]])
    assert pseudonyms(column, KEY).to_pylist() != pseudonyms(column, OTHER).to_pylist()


def test_numbers_can_be_pseudonymised_too():
    assert pseudonyms(pa.chunked_array([[1545]]), KEY).equals(pseudonyms(pa.chunked_array([["1545"]]), KEY))


def test_a_mask_says_only_whether_there_was_a_value():
    assert mask(pa.chunked_array([["secret", None]])).to_pylist() == ["***", None]


def test_each_column_is_protected_as_declared_and_the_order_stays():
    table = pa.table({"a": ["x"], "b": ["y"], "c": ["z"], "d": [1]})
    done = protect(table, {"a": Protection.MASK, "b": Protection.DROP, "c": Protection.PSEUDONYMISE}, {"c": KEY})
    assert done.column_names == ["a", "c", "d"]
    assert done["a"].to_pylist() == ["***"] and len(done["c"].to_pylist()[0]) == 32 and done["d"].to_pylist() == [1]
