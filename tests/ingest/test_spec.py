"""An ingest job that cannot work is refused while it is read, with the field and what to write."""

from __future__ import annotations

from pathlib import Path

import pytest

from mlray.errors import SpecError
from mlray.files import load, parse, validate
from mlray.ingest.spec import IngestJob

FLIGHTS = Path(__file__).parents[2] / "jobs" / "flights" / "ingest.yaml"


def test_the_job_of_the_repository_is_read():
    job = load(FLIGHTS, IngestJob)
    assert (job.dataset, job.main, len(job.sources), len(job.joins)) == ("flights", "flights", 5, 4)
    assert job.joins[0].keys == {"origin": "origin", "time_hour": "time_hour"}
    assert job.joins[2].keys == {"faa": "dest"}
    assert (job.columns["plane_year"], job.columns["temp"], job.columns["airline"]) == ("int", "float", "text")


@pytest.mark.parametrize(
    "old, new, why",
    [
        ("main: flights", "main: fights", "main 'fights' is none of the sources"),
        ("source: planes", "source: plains", "'plains' is no other source"),
        ("on: [tailnum]", "on: [tail]", "planes does not declare tail"),
        ("{faa: dest}", "{faa: goal}", "airports is joined before there is goal"),
        ("{name: airline}", "{name: carrier}", "airlines would overwrite carrier"),
        ("on: [origin, time_hour]", "on: {origin: origin, time_hour: hour}", "weather has another type of time_hour"),
        ("column: dep_time, reason: cancelled", "column: dep_tim, reason: cancelled", "no source brings the column dep_tim"),
        ("column: time_hour, validation_from", "column: month, validation_from", "split.column 'month' is int, not timestamp"),
        ("outcome: [dep_time", "outcome: [time_hour", "split.column 'time_hour' is an outcome or protected"),
        ("name: late, column: arr_delay", "name: month, column: arr_delay", "label: 'month' must be a new name"),
        ("name: late, column: arr_delay", "name: late, column: carrier", "'carrier' a number"),
        ("column: distance, low", "column: carrier, low", "checks: neither a number nor a timestamp: carrier"),
        ("one_of, column: origin", "one_of, column: month", "checks: values of month must be whole numbers: it is int"),
        ("{tailnum: pseudonymise}", "{arr_delay: mask}", "outcome columns are never sealed, so need no protection: arr_delay"),
        ("test_from: 2013-11-01", "test_from: 2013-08-01", "must be before test_from"),
        ("      month: int", "      _month: int", "names that begin with _ are mlray's own: _month"),
        ("format", "formats", ""),
    ],
)
def test_a_mistake_is_said_with_its_value(old: str, new: str, why: str):
    text = FLIGHTS.read_text()
    if old not in text:
        text, new = text.replace("    nulls", "    formats: csv\n    nulls", 1), ""
        why = "no such field; did you mean format?"
    with pytest.raises(SpecError) as refused:
        validate(parse(FLIGHTS, text.replace(old, new, 1) if new else text), IngestJob)
    assert why in str(refused.value)


@pytest.mark.parametrize(
    "old, new, why",
    [
        (
            "{tailnum: pseudonymise}",
            "{tailnum: hash}",
            "protect.tailnum: 'hash': input should be 'encrypt', 'pseudonymise', 'mask' or 'drop'",
        ),
        ("{tailnum: pseudonymise}", "{tailnum: {how: blur}}", "write encrypt, pseudonymise, mask or drop, or {how: ...}"),
        ("{tailnum: pseudonymise}", "{tailnum: {how: mask, kept: 4}}", "protect.tailnum.kept: 4: no such field; did you mean keep?"),
        ("{tailnum: pseudonymise}", "{tailnum: {how: generalise}}", "write exactly one of step, bins, to and prefix"),
        (
            "{tailnum: pseudonymise}",
            "{tailnum: {how: generalise, step: 2}}",
            "protect.tailnum: it is text, and this generalises int or float",
        ),
        ("{tailnum: pseudonymise}", "{distance: {how: generalise, bins: [2, 1]}}", "bins must rise, not 2, 1"),
        ("{tailnum: pseudonymise}", "{distance: {how: generalise, step: 0.5}}", "step of whole numbers must be whole, not 0.5"),
        ("protect:", "classes: {tail: personal}\nprotect:", "no source brings the column tail"),
        ("protect:", "classes: {tailnum: private}\nprotect:", "classes.tailnum: 'private'"),
        ("protect:", "classes: {time_hour: secret}\nprotect:", "split.column 'time_hour' is an outcome or protected"),
        ("protect:", "subject: carrier\nprotect:", "subject 'carrier' names people, so it must be encrypted, pseudonymised or dropped"),
        ("protect:", "subject: tailnum\nprotect:", "subject: no column is encrypted, so an erasure would destroy nothing"),
        (
            "{name: airline}",
            "{name: surname}",
            "columns that look personal are neither classified nor protected: surname; write what they are",
        ),
        (
            "{rule: not_null, column: dep_time, reason: cancelled}",
            "{rule: drift, column: tailnum, most: 0.2}",
            "drift needs a column sealed as it is, not tailnum",
        ),
        (
            "{rule: not_null, column: dep_time, reason: cancelled}",
            "{rule: drift, column: arr_delay, most: 1}",
            "sealed as it is, not arr_delay",
        ),
        (
            "{rule: not_null, column: dep_time, reason: cancelled}",
            "{rule: fresh, column: month, within: 1d}",
            "checks: not a timestamp: month",
        ),
        (
            "{rule: not_null, column: dep_time, reason: cancelled}",
            "{rule: unique, columns: [flight, day_of]}",
            "no source brings the column day_of",
        ),
        ("split: {by: time", "leakage: {key: [tail]}\nsplit: {by: time", "no source brings the column tail"),
        (
            "by: time, column: time_hour, validation_from: 2013-09-01, test_from: 2013-11-01",
            "by: group, key: temp",
            "'temp' is float, which is no key",
        ),
        (
            "by: time, column: time_hour, validation_from: 2013-09-01, test_from: 2013-11-01",
            "by: chance",
            "split.by: 'chance': input should be 'time'",
        ),
    ],
)
def test_a_mistake_in_checks_protection_or_split_is_said_too(old: str, new: str, why: str):
    text = FLIGHTS.read_text()
    assert old in text
    with pytest.raises(SpecError) as refused:
        validate(parse(FLIGHTS, text.replace(old, new, 1)), IngestJob)
    assert why in str(refused.value)


@pytest.mark.parametrize(
    "split",
    [
        "by: group, key: tailnum",
        "by: hash, stratify: late",
        "by: folds, count: 5, key: [tailnum], test: 20%",
        "by: none",
        "by: hash, seed: 3",
    ],
)
def test_any_split_takes_the_place_of_another(split: str):
    text = FLIGHTS.read_text()
    other = text[: text.rindex("split:")] + f"split: {{{split}}}\n"
    assert validate(parse(FLIGHTS, other), IngestJob).split.by in split


def test_classes_settle_what_looks_personal_and_what_is_encrypted():
    text = FLIGHTS.read_text().replace("{name: airline}", "{name: surname}").replace("protect:", "classes: {surname: personal}\nprotect:")
    job = validate(parse(FLIGHTS, text), IngestJob)
    assert (job.protection["surname"].how, job.protection["tailnum"].how, job.sealed["late"]) == ("encrypt", "pseudonymise", "bool")
