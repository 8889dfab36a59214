"""Tune's hooks, translated to the desk and back: the searcher, the scheduler, the stopper and the callback for losses."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ray import tune
from ray.tune.schedulers import FIFOScheduler
from ray.tune.search import Searcher

from mlray.tune.desk import Desk


class Proposer(Searcher):
    """Tune asks for a configuration."""

    def __init__(self, desk: Desk) -> None:
        super().__init__()
        self._desk = desk

    def suggest(self, trial_id: str) -> Any:
        trial = self._desk.propose()
        return Searcher.FINISHED if trial is None else {"trial": trial.id, "params": trial.params}

    def on_trial_complete(self, trial_id: str, result: Any = None, error: bool = False) -> None:
        """The desk has heard it from the scheduler."""

    def save(self, checkpoint_path: str) -> None:
        """Writes nothing: Tune would pickle the history to disk."""

    def restore(self, checkpoint_path: str) -> None:
        raise NotImplementedError("a search is not restored from Tune's folder")


class Judge(FIFOScheduler):
    """Tune has a result, and asks whether the trial goes on."""

    def __init__(self, desk: Desk) -> None:
        super().__init__()
        self._desk = desk

    def on_trial_result(self, tune_controller: Any, trial: Any, result: Mapping[str, Any]) -> str:
        return str(self.CONTINUE if self._desk.hear(trial.config["trial"], result) else self.STOP)


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
