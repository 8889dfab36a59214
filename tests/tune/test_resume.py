from __future__ import annotations

from mlray.tune.resume import Kept, Resume, best_kept, best_within, checkpoint_name, context, held, resume
from mlray.tune.trial import Proposal, Report, Trial
from mlray.units import ZERO


def trial(*told: tuple[int, float], id: str = "t1") -> Trial:
    return Trial(id, Proposal((("rounds", 60),), (0.0,)), reports=tuple(Report(at, auc, ZERO) for at, auc in told))


def test_a_trial_goes_on_from_the_checkpoint_with_the_most_rounds():
    assert resume([checkpoint_name(20), checkpoint_name(140), checkpoint_name(80)]) == Resume("booster-000140.sealed", 140)


def test_without_a_checkpoint_it_begins_at_round_0():
    assert resume(["booster-000020.sealed.part", ".metadata.json"]) == Resume("", 0)


def test_a_checkpoint_is_bound_to_its_run_trial_and_round():
    assert len({context("r", "t1", 20), context("r", "t2", 20), context("r", "t1", 40), context("s", "t1", 20)}) == 4


def test_the_best_report_counts_only_if_its_trees_were_kept():
    told = trial((20, 0.70), (40, 0.72), (60, 0.75))
    assert best_within(told, Resume("x", 60)) == told.reports[2]
    assert best_within(told, Resume("x", 40)) == told.reports[1]
    assert best_within(told, Resume("", 0)) is None


def test_a_checkpoint_that_was_never_reported_is_not_trusted():
    assert held(trial((20, 0.7)), [checkpoint_name(20), checkpoint_name(40)]) == Resume("booster-000020.sealed", 20)


def test_the_best_trial_without_a_checkpoint_gives_way_to_the_next_best():
    best, second, third = (trial((20, auc), id=id) for id, auc in (("t1", 0.8), ("t2", 0.7), ("t3", 0.6)))
    names = {"t2": [checkpoint_name(20)], "t3": [checkpoint_name(20)]}
    assert best_kept(names, (best, second, third)) == Kept(second, second.reports[0], Resume("booster-000020.sealed", 20))
    assert best_kept({}, (best, second, third)) is None
