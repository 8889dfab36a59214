"""Rules that cannot work are refused while the job is read."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import TypeAdapter, ValidationError

from mlray.ingest.rules import Check, by_row, by_version, fraction, misfit
from mlray.units import Percent

CHECK: TypeAdapter[Check] = TypeAdapter(Check)
TYPES = {"n": "int", "x": "float", "t": "text", "at": "timestamp", "b": "bool"}


def rule(**fields: Any) -> Check:
    return CHECK.validate_python({"reason": "r"} | fields if fields["rule"] in ("not_null", "between", "one_of", "matches") else fields)


@pytest.mark.parametrize(
    "fields, why",
    [
        ({"rule": "between", "column": "n"}, "write low, high, or both"),
        ({"rule": "between", "column": "n", "low": 1, "high": "2013-01-01"}, "both be numbers or both be moments"),
        ({"rule": "matches", "column": "t", "pattern": "(?=x)"}, "is no RE2 expression"),
        ({"rule": "one_of", "column": "t", "values": []}, "at least 1"),
        ({"rule": "drift", "column": "n", "most": 0}, "greater than 0"),
        ({"rule": "null_share", "column": "n", "most": 0.1, "on_fail": "reject"}, "'refuse' or 'warn'"),
    ],
)
def test_a_rule_that_says_nothing_is_refused(fields: dict[str, Any], why: str):
    with pytest.raises(ValidationError, match=why):
        rule(**fields)


@pytest.mark.parametrize(
    "fields, why",
    [
        ({"rule": "between", "column": "t", "low": 1}, "neither a number nor a timestamp: t"),
        ({"rule": "between", "column": "at", "low": 1}, "must be moments, like 2013-09-01"),
        ({"rule": "between", "column": "x", "low": "2013-01-01"}, "must be numbers: it is float"),
        ({"rule": "one_of", "column": "x", "values": [1]}, "neither text nor whole numbers: x"),
        ({"rule": "one_of", "column": "n", "values": ["1"]}, "must be whole numbers: it is int"),
        ({"rule": "one_of", "column": "t", "values": [1]}, "must be texts: it is text"),
        ({"rule": "matches", "column": "n", "pattern": "1"}, "not text: n"),
        ({"rule": "fresh", "column": "n", "within": "1h"}, "not a timestamp: n"),
        ({"rule": "between", "column": "n", "low": 1}, ""),
        ({"rule": "between", "column": "at", "low": "2013-01-01"}, ""),
        ({"rule": "unique", "columns": ["n", "t"]}, ""),
        ({"rule": "row_count"}, ""),
    ],
)
def test_a_rule_must_fit_its_column(fields: dict[str, Any], why: str):
    said = misfit(rule(**fields), TYPES)
    assert why in said if why else not said


def test_rules_on_rows_and_on_versions_are_told_apart():
    checks = (rule(rule="not_null", column="n"), rule(rule="row_count"), rule(rule="unique", columns=["n"]))
    assert (by_row(checks), by_version(checks)) == (checks[:1], checks[1:])


def test_a_share_is_written_as_percentage_or_fraction():
    assert fraction(Percent.parse("5%")) == fraction(0.05) == 0.05
    assert misfit(rule(rule="null_share", column="n", most="5%"), TYPES) == ""
