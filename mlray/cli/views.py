"""What people are shown of the results of work, where the result itself holds more than anybody reads."""

from __future__ import annotations

from typing import Any

from mlray.cli import show
from mlray.ingest.report import Ingested
from mlray.serve.deployed import Deployed
from mlray.tune.searched import Searched

Done = Ingested | Searched | Deployed
SHOWN = 5


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
    """The best few, best first, with what each cost; `--json` holds them all."""
    ranked = sorted(searched.trials, key=lambda trial: (-(trial.auc or 0.0), trial.spent, trial.id))[:SHOWN]
    names = list(dict.fromkeys(name for trial in ranked for name in trial.params))
    rows = [
        [
            trial.id,
            *(_number(trial.params.get(name)) for name in names),
            _number(trial.auc),
            str(trial.spent),
            str(trial.losses),
            str(trial.state),
        ]
        for trial in ranked
    ]
    heading = f"the best {len(ranked)} of {len(searched.trials)} trials:"
    return [heading, *show.columns([["trial", *names, "auc", "spent", "losses", "state"], *rows])]


def _number(value: Any) -> str:
    return "-" if value is None else f"{value:.4g}" if isinstance(value, float) else str(value)
