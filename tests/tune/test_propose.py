from __future__ import annotations

import math

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from mlray.tune.propose import Exhausted, propose
from mlray.tune.space import Space, params, start
from mlray.tune.spec import Real, Whole
from mlray.tune.trial import Proposal, Report, State, Trial
from mlray.units import Money

SPACE: Space = {
    "rounds": Whole(low=20, high=400, log=True, start=20),
    "depth": Whole(low=2, high=10, start=2),
    "eta": Real(low=0.01, high=1.0, log=True, start=0.5),
}
RICH = Money.parse("$10.00")


def rng(number=0) -> np.random.Generator:
    return np.random.default_rng([7, number])


def proposed(space: Space, trials: tuple[Trial, ...], left: Money, generator: np.random.Generator) -> Proposal:
    found = propose(space, trials, left, generator)
    assert isinstance(found, Proposal), found
    return found


def over(proposal: Proposal, auc: float | None, cost="$0.01", number=1, state=State.DONE) -> Trial:
    reports = () if auc is None else (Report(20, auc, Money.parse(cost)),)
    return Trial(f"t{number}", proposal, state, reports=reports, spent=Money.parse(cost))


def search(value, cost, count, seed=0, left=RICH) -> tuple[Trial, ...]:
    """A sequential search on a function of the parameters, each trial paid from what is left."""
    trials: tuple[Trial, ...] = ()
    for number in range(count):
        found = propose(SPACE, trials, left, np.random.default_rng([seed, number]))
        if isinstance(found, Exhausted):
            break
        due = Money.dollars(round(cost(dict(found.params)), 6))
        trials, left = (*trials, over(found, value(dict(found.params)), str(due), number)), left - due
    return trials


def hill(at: dict[str, float]) -> float:
    """Best at 150 rounds, depth 6, eta 0.1."""
    return 0.9 - sum(
        weight * math.log(at[name] / best) ** 2 for name, best, weight in (("rounds", 150, 0.02), ("depth", 6, 0.02), ("eta", 0.1, 0.01))
    )


def price(at: dict[str, float]) -> float:
    return 0.0001 * at["rounds"] * at["depth"]


def test_the_first_proposal_is_the_cheap_start():
    assert dict(proposed(SPACE, (), RICH, rng()).params) == {"rounds": 20, "depth": 2, "eta": 0.5}


def test_the_same_history_and_seed_give_the_same_proposal():
    trials = (over(proposed(SPACE, (), RICH, rng()), 0.7),)
    assert proposed(SPACE, trials, RICH, rng(1)) == proposed(SPACE, trials, RICH, rng(1))
    assert proposed(SPACE, trials, RICH, rng(1)) != proposed(SPACE, trials, RICH, rng(2))


def test_after_a_miss_the_opposite_direction_is_tried():
    point = (0.5, 0.5, 0.5)
    first = over(Proposal(params(SPACE, point), point), 0.7, number=1)
    move = proposed(SPACE, (first,), RICH, rng(1))
    missed = over(move, 0.6, number=2)
    back = proposed(SPACE, (first, missed), RICH, rng(2))
    assert back.base == "t1"
    assert back.direction == tuple(-along for along in move.direction)


def test_after_a_hit_the_next_move_leaves_from_there():
    first = over(proposed(SPACE, (), RICH, rng()), 0.7, number=1)
    hit = over(proposed(SPACE, (first,), RICH, rng(1)), 0.8, number=2)
    assert proposed(SPACE, (first, hit), RICH, rng(2)).base == "t2"


def test_while_the_start_still_runs_a_second_trial_moves_from_it():
    running = Trial("t1", proposed(SPACE, (), RICH, rng()), State.RUNNING)
    assert proposed(SPACE, (running,), RICH, rng(1)).base == "t1"


def test_no_configuration_is_proposed_twice():
    trials = search(hill, price, 60)
    assert len({trial.proposal.params for trial in trials}) == len(trials) == 60


def test_nothing_is_proposed_that_does_not_fit_into_what_is_left():
    trials = search(hill, price, 10)
    assert propose(SPACE, trials, Money.parse("$0.0001"), rng(99)) == Exhausted("no further trial fits into the $0.0001 that is free")


def test_a_space_of_two_points_is_exhausted_after_two_trials():
    two: Space = {"rounds": Whole(low=20, high=21)}
    first = over(proposed(two, (), RICH, rng()), 0.7)
    second = over(proposed(two, (first,), RICH, rng(1)), 0.8, number=2)
    assert propose(two, (first, second), RICH, rng(2)) == Exhausted("every configuration near the best was tried")


def test_a_running_trial_keeps_what_it_still_needs():
    trials = (over(proposed(SPACE, (), RICH, rng()), 0.7, "$0.01", 1),)
    move = proposed(SPACE, trials, RICH, rng(1))
    running = Trial("t2", move, State.RUNNING)
    assert isinstance(propose(SPACE, (*trials, running), Money.parse("$0.019"), rng(2)), Exhausted)
    assert isinstance(propose(SPACE, (*trials, running), Money.parse("$0.021"), rng(2)), Proposal)


def test_failed_trials_are_no_place_to_go_on_from():
    failed = over(proposed(SPACE, (), RICH, rng()), None, state=State.FAILED)
    found = proposed(SPACE, (failed,), RICH, rng(1))
    assert isinstance(found, Proposal) and found.params != failed.proposal.params


def test_it_finds_the_top_of_a_hill_for_half_of_what_random_points_cost():
    """Dollars until within 0.005 of the best value, the mean of twenty seeds."""

    def until(trials, goal=0.895) -> float:
        paid = 0.0
        for trial in trials:
            paid += trial.spent.usd
            if (trial.auc or 0) >= goal:
                return float(paid)
        return paid

    def randomly(seed) -> tuple[Trial, ...]:
        points = np.random.default_rng(seed).random((200, 3))
        found = [Proposal(params(SPACE, tuple(point)), tuple(point)) for point in points]
        return tuple(over(p, hill(dict(p.params)), f"${price(dict(p.params)):.6f}", i) for i, p in enumerate(found))

    ours = np.mean([until(search(hill, price, 120, seed)) for seed in range(20)])
    random = np.mean([until(randomly(seed)) for seed in range(20)])
    assert ours < 0.5 * random, (ours, random)


def test_when_steps_become_too_fine_it_starts_again_elsewhere():
    trials = search(lambda at: 0.9 - abs(at["eta"] - 0.5), lambda at: 0.000001, 200)
    starts = [trial.proposal for trial in trials if not trial.proposal.base]
    assert len(starts) > 1
    assert starts[1].restart == 1 and starts[1].point != start(SPACE)


@settings(max_examples=30, deadline=None)
@given(st.lists(st.one_of(st.none(), st.floats(0, 1)), min_size=1, max_size=15), st.integers(0, 1000))
def test_any_history_gives_a_proposal_inside_the_space(values, seed):
    trials: tuple[Trial, ...] = ()
    for number, value in enumerate(values):
        found = propose(SPACE, trials, RICH, np.random.default_rng([seed, number]))
        assert isinstance(found, Proposal) and all(0 <= at <= 1 for at in found.point)
        state = State.FAILED if value is None else State.DONE
        trials = (*trials, over(found, value, number=number, state=state))
