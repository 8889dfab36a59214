"""Value per dollar: what a trial is expected to add to the best of the search for each dollar of its next reports.

Learning curves of boosting flatten roughly geometrically, so what comes is extrapolated as in Aitken's delta-squared (each
gain is the one before it times their last ratio). The value is then the expected improvement over the incumbent per
dollar, as in "Practical Bayesian Optimization of Machine Learning Algorithms" (Snoek, Larochelle and Adams, NIPS 2012,
section 3.2), over the horizon at which it is highest: a trial behind the incumbent needs several reports to pay at all.
"""

from __future__ import annotations

from itertools import accumulate, pairwise

from mlray.tune.trial import Trial
from mlray.units import ZERO, Money

CHANCE = 0.5  # the AUC of a model that knows nothing: where every curve begins
FADING = 0.5  # how fast gains fade while a single one is known
SLOWEST = 0.95  # a ratio of 1 would promise gains without end


def value_per_dollar(trial: Trial, rivals: tuple[Trial, ...]) -> float:
    """AUC above the incumbent, itself included, per dollar; 0.0 where no gain is expected or nothing is measured yet.

    A trial without a report has the least to lose: it is the first to be paused.
    """
    pace, left = _pace(trial), _reports_left(trial)
    if pace <= ZERO or not left:
        return 0.0
    behind = max(found.auc or 0.0 for found in (trial, *rivals)) - (trial.auc or 0.0)
    gained = enumerate(accumulate(_gains(trial, left)), 1)
    return max(0.0, *((gain - behind) / (pace.usd * count) for count, gain in gained))


def _gains(trial: Trial, count: int) -> tuple[float, ...]:
    """What each of the next reports is expected to add to the trial's best."""
    steps = [CHANCE, *accumulate((report.auc or 0.0 for report in trial.measured), max)]
    rises = [after - before for before, after in pairwise(steps)]
    last = max(0.0, rises[-1])
    ratio = FADING if len(rises) < 2 or rises[-2] <= 0 else min(SLOWEST, last / rises[-2])
    return tuple(last * ratio**ahead for ahead in range(1, count + 1))


def _reports_left(trial: Trial) -> int:
    """How many reports the rounds still to come are, at the spacing of those it made."""
    if not trial.measured:
        return 0
    done = trial.measured[-1].round
    return max(0, -(-(trial.rounds - done) * len(trial.measured) // done))


def _pace(trial: Trial) -> Money:
    """What its next measured report is expected to cost, beats on the way to it included: the mean of those before."""
    if not trial.measured:
        return ZERO
    return Money(sum(report.cost.micros for report in trial.reports) // len(trial.measured))
