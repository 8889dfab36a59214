"""Service: how ready replicas answer requests, as a fluid. What is kept of it and what is left out stands in docs/simulate.md.

Below capacity every request is answered in `service_s`, and as many are in progress as Little's law says (rate x time in the
system; Little, Operations Research 9(3), 1961). Above it requests queue first come, first served, and one that would wait
longer than `timeout_s` is refused. Chance makes no queue here: below capacity none is ever formed.
"""

from __future__ import annotations

from typing import NamedTuple


class Service(NamedTuple):
    """One replica's work, in seconds: `at_once` requests in `service_s` each.

    A request is good when it is answered without an error within `objective_s`; one that would wait longer than `timeout_s` is an error.
    """

    service_s: float = 0.1
    at_once: float = 4.0
    objective_s: float = 1.0
    timeout_s: float = 10.0

    @property
    def per_second(self) -> float:
        """Requests a second that one replica answers."""
        return self.at_once / self.service_s


class Answered(NamedTuple):
    """One tick: requests that came, by what became of them, and those that wait (`queue`) or are in progress at its end."""

    good: float
    late: float
    failed: float
    queue: float
    ongoing: float


def answer(service: Service, queue: float, rate: float, seconds: float, replicas: int) -> Answered:
    """A tick in which `rate` requests a second come to `replicas` that are ready.

    A request is counted when it is answered or refused; whether it was answered in time is judged by the queue that there is then.
    """
    capacity = replicas * service.per_second
    if queue <= 0 and rate <= capacity:  # the ordinary tick
        return Answered(rate * seconds, 0.0, 0.0, 0.0, rate * service.service_s)
    if capacity <= 0:
        waiting = min(queue + rate * seconds, rate * service.timeout_s)
        return Answered(0.0, 0.0, queue + rate * seconds - waiting, waiting, waiting)
    return _queued(service, queue, rate, seconds, capacity)


def _queued(service: Service, queue: float, rate: float, seconds: float, capacity: float) -> Answered:
    """The queue is what one that comes last would wait for, `timeout_s` at most; it moves by what comes less what is answered."""
    longest = capacity * service.timeout_s
    begin, slope = min(queue, longest), rate - capacity
    end = min(longest, max(0.0, begin + slope * seconds))
    full = max(0.0, seconds - (longest - begin) / slope) if slope > 0 else 0.0
    failed = queue - begin + full * slope
    answered = queue + rate * seconds - failed - end
    in_time = _time_below(capacity * max(0.0, service.objective_s - service.service_s), begin, slope, longest, seconds)
    late = min(answered, capacity * (seconds - in_time))
    return Answered(answered - late, late, failed, end, end + (rate if end <= 0 else capacity) * service.service_s)


def _time_below(least: float, begin: float, slope: float, longest: float, seconds: float) -> float:
    """Seconds of a tick during which the queue is at most `least`; it starts at `begin` and moves by `slope`, within 0..longest."""
    if longest <= least:
        return seconds
    if begin <= least:
        return seconds if slope <= 0 else min(seconds, (least - begin) / slope)
    return 0.0 if slope >= 0 else max(0.0, seconds - (begin - least) / -slope)
