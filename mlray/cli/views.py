"""What people are shown of the results of work, where the result itself holds more than anybody reads."""

from __future__ import annotations

from typing import Any

from mlray.cli import show
from mlray.ingest.report import Ingested
from mlray.serve.on_ray import Deployed
from mlray.tune.on_ray import Searched

Done = Ingested | Searched | Deployed


def done(results: tuple[Done, ...], as_json: bool) -> None:
    """One result as it is; the results of a pipeline's steps in order, under `steps`."""
    if as_json:
        show.result(results[0] if len(results) == 1 else {"steps": results}, as_json)
    else:
        print("\n\n".join("\n".join(lines(result)) for result in results))


def lines(result: Done) -> list[str]:
    match result:
        case Ingested():
            return show.text(result, hide=("usages",))
        case Searched():
            return [*show.text(result, hide=("trials", "best")), "", *trials(result)]
        case Deployed():
            return show.text(result)


def trials(searched: Searched) -> list[str]:
    """A line for each trial in the order of proposal, `*` before the best."""
    names = list(dict.fromkeys(name for trial in searched.trials for name in trial.params))
    heading = ["", "trial", *names, "auc", "spent", "losses", "state", "reason"]
    rows = [
        [
            "*" if searched.best and trial.id == searched.best.id else "",
            trial.id,
            *(_number(trial.params.get(name)) for name in names),
            _number(trial.auc),
            str(trial.spent),
            str(trial.losses),
            str(trial.state),
            trial.reason,
        ]
        for trial in searched.trials
    ]
    return show.columns([heading, *rows])


def _number(value: Any) -> str:
    return "-" if value is None else f"{value:.4g}" if isinstance(value, float) else str(value)
