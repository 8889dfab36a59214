"""Columns that look as if they told about people, by name and by value."""

from __future__ import annotations

import time

import pyarrow as pa
import pytest

from mlray.files import load
from mlray.ingest.personal import by_name, by_value
from mlray.ingest.spec import IngestJob
from tests.ingest.test_spec import FLIGHTS

LOOK = (
    "email E-Mail customer_email phone_number firstName first_name surname dob DOB dateOfBirth home_address zip card_number iban ssn ip "
    "customer_name postcode"
)
DO_NOT = "carrier airline manufacturer name tailnum origin product_name shipment class engine"


@pytest.mark.parametrize("name", LOOK.split())
def test_these_names_look_personal(name: str):
    assert by_name(name, "text")


@pytest.mark.parametrize("name", DO_NOT.split())
def test_these_do_not(name: str):
    assert not by_name(name, "text")


@pytest.mark.parametrize(
    "name, kind, looks",
    [
        ("birthday", "timestamp", True), ("date_of_birth", "timestamp", True), ("phone", "int", True), ("ssn", "int", True),
        ("email_count", "int", False), ("address_age", "float", False), ("time_hour", "timestamp", False), ("ip_ttl", "int", False),
    ],
)  # fmt: skip
def test_of_numbers_only_whole_names_count(name: str, kind: str, looks: bool):
    assert by_name(name, kind) == looks


@pytest.mark.parametrize(
    "values, what",
    [
        (["ann@example.com", None, "n/a"], "e-mail addresses"),
        (["192.168.0.1", "10.0.0.255"], "IP addresses"),
        (["2001:db8::1"], "IP addresses"),
        (["078-05-1120"], "social security numbers"),
        (["GB82 WEST 1234 5698 7654 32"], "bank account numbers"),
        (["4111 1111 1111 1111", "5500-0000-0000-0004"], "card numbers"),
        (["+41 44 668 18 00", "(044) 668-1800", "044 668 18 00"], "phone numbers"),
    ],
)
def test_these_values_look_personal(values: list[str | None], what: str):
    assert by_value(pa.chunked_array([values])) == what


@pytest.mark.parametrize(
    "values",
    [
        ["N14228", "UA", "EWR"], ["2013-01-01", "01.02.2013"], ["2013-01-01 10:00"], ["10:15:30"], ["1.2.3"], ["4111111111111112"],
        ["0000000000000000"], ["GB82WEST12345698765433"], ["12-345"], ["Fixed wing multi engine"], [], [None, ""],
        ["ann@example.com", *["fine"] * 40],
    ],
)  # fmt: skip
def test_these_do_not_either(values: list[str | None]):
    assert by_value(pa.chunked_array([pa.array(values, pa.string())])) == ""


def test_long_texts_take_no_longer_than_short_ones():
    """Expressions that try every way to match took seconds for a page of text."""
    begun = time.perf_counter()
    by_value(pa.chunked_array([["a.b" * 160 + "1", "1 " * 240, ":" * 480, "(" * 480, "A" * 480] * 40]))
    assert time.perf_counter() - begun < 1


def test_the_job_of_the_repository_is_not_complained_about():
    job = load(FLIGHTS, IngestJob)
    assert not [column for column in job.unclear if by_name(column, job.columns[column])]
