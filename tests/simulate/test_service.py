"""What replicas answer, against sums done by hand."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mlray.simulate.service import Service, answer

# One replica answers 10 requests a second; a queue of 9 s of work is still in time, one of 20 s is refused.
ONE = Service(service_s=1.0, at_once=10.0, objective_s=10.0, timeout_s=20.0)


def test_below_capacity_every_request_is_good_and_littles_law_says_how_many_are_in_progress():
    got = answer(ONE, 0.0, 8.0, 60.0, 1)
    assert got == (480.0, 0.0, 0.0, 0.0, 8.0)


def test_a_queue_grows_above_capacity_and_what_waits_too_long_is_late_then_refused():
    # 12 a second against 10: the queue grows by 2 a second; it is in time up to 90 (45 s) and full at 200 (100 s).
    first = answer(ONE, 0.0, 12.0, 60.0, 1)
    assert (first.good, first.late, first.failed, first.queue) == pytest.approx((450, 150, 0, 120))
    second = answer(ONE, first.queue, 12.0, 60.0, 1)
    # 40 s until it is full, then 20 s in which two of twelve are refused
    assert (second.good, second.late, second.failed, second.queue) == pytest.approx((0, 600, 40, 200))


def test_a_queue_that_shrinks_answers_in_time_again_once_it_is_short_enough():
    got = answer(ONE, 120.0, 7.0, 60.0, 1)  # 3 a second less: in time after 10 s, empty after 40 s
    assert (got.good, got.late, got.failed, got.queue) == pytest.approx((30 * 10 + 20 * 7, 10 * 10, 0, 0))
    assert got.ongoing == pytest.approx(7.0)


def test_without_a_replica_only_the_last_requests_still_wait():
    got = answer(ONE, 0.0, 5.0, 60.0, 0)
    assert got == pytest.approx((0, 0, 200, 100, 100))


def test_requests_that_fewer_replicas_cannot_answer_in_time_fail():
    got = answer(ONE, 400.0, 10.0, 60.0, 1)  # 400 waited before two replicas; one holds 200
    assert (got.good, got.late, got.failed, got.queue) == pytest.approx((0, 600, 200, 200))


def test_a_queue_that_is_always_in_time_is_good():
    patient = Service(service_s=1.0, at_once=10.0, objective_s=30.0, timeout_s=20.0)
    got = answer(patient, 200.0, 12.0, 60.0, 1)
    assert (got.good, got.late, got.failed) == pytest.approx((600, 0, 120))


AMOUNT = st.floats(0, 500)


@given(AMOUNT, st.floats(0, 100), st.integers(0, 12), st.floats(1, 300), st.floats(0.05, 3), st.floats(0.1, 20), st.floats(0.1, 30))
def test_every_request_is_counted_once(
    queue: float, rate: float, replicas: int, seconds: float, service_s: float, objective: float, timeout: float
):
    got = answer(Service(service_s, 4.0, objective, timeout), queue, rate, seconds, replicas)
    assert got.good + got.late + got.failed + got.queue == pytest.approx(queue + rate * seconds, abs=1e-6)
    assert min(got) >= -1e-6
