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
        ("column: distance, low", "column: carrier, low", "checks: not a number: carrier"),
        ("one_of, column: origin", "one_of, column: month", "checks: not text: month"),
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
