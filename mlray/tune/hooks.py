"""Tune's hooks, translated to the desk and back: the searcher, the scheduler, the stopper and the callback for losses."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ray import tune
from ray.tune.schedulers import FIFOScheduler
from ray.tune.search import Searcher

from mlray.tune.desk import Desk
from mlray.tune.trial import State


class Proposer(Searcher):
    """Tune asks for a configuration."""

    def __init__(self, desk: Desk) -> None:
        super().__init__()
        self._desk = desk

    def suggest(self, trial_id: str) -> Any:
        trial = self._desk.propose()
        if trial is None:
            return Searcher.FINISHED if self._desk.search.ended else None
        return {"trial": trial.id, "params": trial.params}

    def on_trial_complete(self, trial_id: str, result: Any = None, error: bool = False) -> None:
        """The desk has heard it from the scheduler."""

    def save(self, checkpoint_path: str) -> None:
        """Writes nothing: Tune would pickle the history to disk."""

    def restore(self, checkpoint_path: str) -> None:
        raise NotImplementedError("a search is not restored from Tune's folder")


class Judge(FIFOScheduler):
    """Tune has a result, and asks what becomes of the trial; and which of those that wait is to run."""

    def __init__(self, desk: Desk) -> None:
        super().__init__()
        self._desk = desk

    def on_trial_result(self, tune_controller: Any, trial: Any, result: Mapping[str, Any]) -> str:
        match self._desk.hear(trial.config["trial"], result):
            case State.RUNNING:
                return str(self.CONTINUE)
            case State.PAUSED:
                return str(self.PAUSE)
        return str(self.STOP)

    def choose_trial_to_run(self, tune_controller: Any) -> Any:
        """New trials start by themselves; of those that Tune has paused, the first that is held no longer."""
        if self._desk.search.rests:
            _free(tune_controller)
        trials = tune_controller.get_trials()
        waiting = (held for held in trials if held.status == held.PAUSED and self._desk.may_run(held.config["trial"]))
        return next((held for held in trials if held.status == held.PENDING), next(waiting, None))


def _free(tune_controller: Any) -> None:
    """Lets go of the workers that Tune keeps for the next trial: each holds its CPUs, and with them a node that is paid for.

    Tune 2.60 keeps one however long nothing runs, and has no public way to say so.
    """
    tune_controller._tune_controller._cleanup_cached_actors(force_all=True)


class Losses(tune.Callback):
    """Tune lost a worker: its trial begins again elsewhere, or is given up."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk

    def on_trial_recover(self, iteration: int, trials: Any, trial: Any, **info: Any) -> None:
        self._desk.lose(trial.config["trial"], final=False)

    def on_trial_error(self, iteration: int, trials: Any, trial: Any, **info: Any) -> None:
        self._desk.lose(trial.config["trial"], final=True)


class Watch(tune.Stopper):
    """Tune asks several times a second whether to end it all."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk

    def __call__(self, trial_id: str, result: Mapping[str, Any]) -> bool:
        return False

    def stop_all(self) -> bool:
        return self._desk.over()
