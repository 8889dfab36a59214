"""Checkpoint: how often to write one, and what work costs that is lost now and then.

J. W. Young, CACM 17(9) 1974, first order; J. T. Daly, Future Generation Computer Systems 22(3) 2006, higher order. Both take
losses to come at a constant rate. Writing and redoing are paid at the same price, so the cheapest interval is the quickest.
"""

from __future__ import annotations

from math import exp, expm1, inf, sqrt

from mlray.units import Money, Price

HOUR = 3600.0


def every(per_hour: float, write_s: float) -> float:
    """Seconds of work between two checkpoints that take `write_s` each. Infinite where nothing is lost.

    Daly 2006, equation 37: Young's sqrt(2 d M) and the next terms; where writing takes twice the mean time to a loss or
    longer, that mean time itself.
    """
    if per_hour <= 0:
        return inf
    mean_s = HOUR / per_hour
    if write_s >= 2 * mean_s:
        return mean_s
    part = write_s / (2 * mean_s)
    return max(0.0, sqrt(2 * write_s * mean_s) * (1 + sqrt(part) / 3 + part / 9) - write_s)


def rework(per_hour: float, every_s: float, restart_s: float = 0.0) -> float:
    """Seconds of work that one loss is expected to undo, restart included: a little less than half the interval."""
    if per_hour <= 0:
        return restart_s
    rate = per_hour / HOUR
    return 1 / rate - every_s / expm1(rate * every_s) + restart_s if rate * every_s > 1e-6 else every_s / 2 + restart_s


def hour_of_work(price: Price, per_hour: float, every_s: float, write_s: float, restart_s: float = 0.0) -> Money:
    """What an hour of work that counts is expected to cost, with its checkpoints, restarts and what is done twice.

    Daly 2006, equation 20: M exp(R / M) (exp((t + d) / M) - 1) / t seconds are paid for each second of work.
    """
    if per_hour <= 0:
        return price.per_hour * (1 + write_s / every_s)
    rate = per_hour / HOUR
    return price.per_hour * (exp(rate * restart_s) * expm1(rate * (every_s + write_s)) / (rate * every_s))
