"""What becomes of versions: a promise to keep something no longer wins over every use of it."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from mlray.jobs.retention import Standing, judge
from mlray.vault.version import Manifest

NOON = datetime(2026, 11, 22, 12, tzinfo=UTC)


def standing(days: float, keep: str | None = None, tags: tuple[str, ...] = (), models: tuple[str, ...] = ()) -> Standing:
    made = NOON - timedelta(days=days)
    return Standing(Manifest("dataset", "flights", "ab" * 32, made, (), (), (), (), {"keep": keep}), tags, models)


def fate(found: Standing, unused: bool = False) -> str:
    (one,) = judge([found], NOON, unused)
    return str(one).removeprefix("flights@abababababab ")


def test_a_version_past_its_time_is_destroyed_to_the_second():
    assert fate(standing(90, "90d")) == "is destroyed: it was to be kept 90d and is 90.0 days old"
    assert fate(standing(90 - 1e-5, "90d")) == "stays: it is kept 90d"
    assert fate(standing(0.5, "6h")) == "is destroyed: it was to be kept 6h and is 12.0 hours old"


def test_retention_wins_over_tags_and_models_and_says_what_it_broke():
    said = fate(standing(91, "90d", ("latest", "good"), ("late@3f2a9c01d2e4",)))
    assert said.endswith("breaks latest, tag good, model late@3f2a9c01d2e4")


def test_without_a_promise_a_version_stays_as_long_as_nobody_asks():
    assert fate(standing(9999)) == "stays: nothing says how long it is kept"


def test_what_nothing_uses_goes_when_asked_for():
    assert fate(standing(1), unused=True) == "is destroyed: nothing uses it"
    assert fate(standing(1, "90d"), unused=True) == "is destroyed: nothing uses it"
    assert fate(standing(1, tags=("latest",)), unused=True) == "stays: it is used by latest"
    assert fate(standing(1, models=("late@3f",)), unused=True) == "stays: it is used by model late@3f"
