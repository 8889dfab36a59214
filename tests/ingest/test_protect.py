"""Sensitive columns leave as pseudonyms, masks, coarser values, or not at all."""

from __future__ import annotations

import hashlib
import hmac
from datetime import UTC, datetime

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mlray.ingest.protect import generalise, mask, protect, pseudonyms, scopes, sealed_columns, type_of
from mlray.ingest.protection import Drop, Encrypt, Generalise, Mask, Protection, Pseudonymise
from mlray.vault.keyring import DataKey
from tests.ingest.test_refine import job

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
    assert all((names[i] == names[j]) == (values[i] == values[j]) for i in range(len(values)) for j in range(i))


def test_another_key_gives_other_pseudonyms():
    column = pa.chunked_array([["N14228"]])
    assert pseudonyms(column, KEY).to_pylist() != pseudonyms(column, OTHER).to_pylist()


def test_numbers_can_be_pseudonymised_too():
    assert pseudonyms(pa.chunked_array([[1545]]), KEY).equals(pseudonyms(pa.chunked_array([["1545"]]), KEY))


def test_a_mask_says_only_whether_there_was_a_value():
    assert mask(pa.chunked_array([["secret", None]])).to_pylist() == ["***", None]


def test_a_mask_may_keep_the_end_of_values_that_are_long_enough():
    column = pa.chunked_array([["4111111111111111", "11112222", "1234", None, "Zürich-Oerlikön"]])
    assert mask(column, 4).to_pylist() == ["***1111", "***", "***", None, "***ikön"]
    assert mask(pa.chunked_array([[123456789, None]]), 2).to_pylist() == ["***89", None]


@pytest.mark.parametrize(
    "how, values, coarser",
    [
        (Generalise(step=10), pa.array([17, -3, None, 20]), [10, -10, None, 20]),
        (Generalise(step=0.5), pa.array([1.7, -0.2, None]), [1.5, -0.5, None]),
        (Generalise(step=10), pa.array([9_007_199_254_740_993]), [9_007_199_254_740_990]),
        (
            Generalise(bins=(0, 10, 50)),
            pa.array([-1, 0, 9, 10, 50, None]),
            ["below 0", "0 to 10", "0 to 10", "10 to 50", "50 and above", None],
        ),
        (Generalise(bins=(0,)), pa.array([float("nan"), 1.0]), [None, "0 and above"]),
        (Generalise(prefix=2), pa.array(["Zürich", "Z", None]), ["Zü", "Z", None]),
    ],
)
def test_values_become_coarser(how: Generalise, values: pa.Array, coarser: list[object]):
    assert generalise(pa.chunked_array([values]), how).to_pylist() == coarser


def test_times_go_back_to_the_begin_of_their_period():
    moment = pa.chunked_array([pa.array([datetime(2013, 5, 17, 13, 45, tzinfo=UTC), None], pa.timestamp("us", tz="UTC"))])
    begins = {to: generalise(moment, Generalise(to=to)) for to in ("hour", "day", "month", "year")}
    assert [begins[to][0].as_py() for to in ("hour", "day", "month", "year")] == [
        datetime(2013, 5, 17, 13, tzinfo=UTC),
        datetime(2013, 5, 17, tzinfo=UTC),
        datetime(2013, 5, 1, tzinfo=UTC),
        datetime(2013, 1, 1, tzinfo=UTC),
    ]
    assert begins["hour"].type == moment.type and begins["hour"][1].as_py() is None


def test_each_column_is_protected_as_declared_and_the_order_stays():
    table = pa.table({"a": ["x"], "b": ["y"], "c": ["z"], "d": [1], "e": ["kept"]})
    done = protect(table, {"a": Mask(), "b": Drop(), "c": Pseudonymise(), "d": Generalise(step=2), "e": Encrypt()}, {"c": KEY})
    assert done.column_names == ["a", "c", "d", "e"]
    assert [done[name].to_pylist()[0] for name in ("a", "d", "e")] == ["***", 0, "kept"] and len(done["c"].to_pylist()[0]) == 32


@pytest.mark.parametrize("how", [Mask(keep=2), Pseudonymise(), Generalise(bins=(0, 5)), Generalise(step=2), Encrypt(), None])
def test_the_type_is_known_before_any_value(how: Protection | None):
    table = pa.table({"n": pa.array([1, None, 12345])})
    assert protect(table, {"n": how} if how else {}, {"n": KEY})["n"].type == type_of("int", how)


def test_classes_decide_and_what_is_declared_decides_over_them():
    classed = job(classes={"tailnum": "personal", "plane_year": "secret", "at": "public"}, protect={})
    assert sealed_columns(classed) == {"tailnum": "personal", "plane_year": "secret"}
    both = job(classes={"tailnum": "secret"}, protect={"tailnum": "encrypt"})
    assert sealed_columns(both) == {"tailnum": "secret"}, "encrypted under the key of its class"
    assert sealed_columns(job(classes={"tailnum": "personal"}, protect={"tailnum": "drop"})) == {}
    assert sealed_columns(job(classes={"arr_delay": "personal"}, protect={})) == {}, "an outcome is never sealed"


def test_a_scope_makes_columns_of_several_datasets_joinable():
    shared = {"how": "pseudonymise", "scope": "aircraft"}
    assert scopes(job(protect={"tailnum": shared})) == scopes(job(dataset="other", protect={"tailnum": shared})) == {"tailnum": "aircraft"}
    assert scopes(job()) == {"tailnum": "mini/tailnum"} != scopes(job(dataset="other"))
    assert "_sketches" in scopes(job(checks=[{"rule": "unique", "columns": ["tailnum"]}]))
