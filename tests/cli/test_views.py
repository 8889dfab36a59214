"""Tests what people are shown of the results of work."""

from dataclasses import replace

from mlray.cli.views import trials
from mlray.tune.searched import Searched
from mlray.tune.trial import Proposal, Report, State, Trial
from mlray.units import ZERO, Money


def trial(number: int, auc: float) -> Trial:
    proposal = Proposal((("rounds", 20), ("eta", 0.123456)), (0.0, 0.5))
    return Trial(f"t{number:03d}", proposal, State.DONE, "done", (Report(20, auc, Money(500)),), Money(1_500))


def test_the_best_five_of_seven_trials_are_shown_best_first():
    found = tuple(trial(number, 0.7 + number / 1000) for number in range(1, 8))
    shown = trials(Searched(None, found, Money(10_500), ZERO, None, 0.7, 0.7, "all trials ended"))
    assert shown[0] == "the best 5 of 7 trials:"
    assert shown[1].split() == ["trial", "rounds", "eta", "auc", "spent", "losses", "state"]
    assert [line.split()[0] for line in shown[2:]] == ["t007", "t006", "t005", "t004", "t003"]
    assert shown[2].split() == ["t007", "20", "0.1235", "0.707", "$0.0015", "0", "done"]


def test_a_trial_that_never_reported_comes_last():
    never = replace(trial(1, 0.0), reports=())
    shown = trials(Searched(None, (never, trial(2, 0.6)), ZERO, ZERO, None, 0.6, 0.6, ""))
    assert [line.split()[0] for line in shown[2:]] == ["t002", "t001"]
