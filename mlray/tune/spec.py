"""TuneJob: what to train on, what to search over, and how far the money and the time reach."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, model_validator

from mlray.features.spec import Features, Imbalance
from mlray.policy.job import NAME, JobSpec
from mlray.spec import Spec
from mlray.units import Duration

# Set by mlray: what is learnt, how it is measured, and what makes a resumed training equal an undisturbed one.
RESERVED = frozenset(
    {"objective", "eval_metric", "tree_method", "nthread", "n_jobs", "seed", "random_state", "booster", "process_type", "updater", "device"}
)


class Whole(Spec):
    """A whole number between two bounds."""

    kind: Literal["int"] = Field("int", description="Always `int`.")
    low: int = Field(description="Smallest value.")
    high: int = Field(description="Largest value.")
    log: bool = Field(False, description="Searched on a logarithmic scale.")
    start: int | None = Field(None, description="Where the search begins; a cheap value saves dollars. Default: low.")

    @model_validator(mode="after")
    def _rules(self) -> Whole:
        _check_axis(self)
        return self


class Real(Spec):
    """A real number between two bounds."""

    kind: Literal["float"] = Field("float", description="Always `float`.")
    low: float = Field(description="Smallest value.")
    high: float = Field(description="Largest value.")
    log: bool = Field(False, description="Searched on a logarithmic scale.")
    start: float | None = Field(None, description="Where the search begins. Default: low.")

    @model_validator(mode="after")
    def _rules(self) -> Real:
        _check_axis(self)
        return self


def _check_axis(axis: Whole | Real) -> None:
    if axis.low >= axis.high:
        raise ValueError(f"low ({axis.low}) must be below high ({axis.high}); a value that does not vary belongs under fixed")
    if axis.log and axis.low <= 0:
        raise ValueError(f"log needs low ({axis.low}) above 0")
    if axis.start is not None and not axis.low <= axis.start <= axis.high:
        raise ValueError(f"start ({axis.start}) is outside {axis.low}..{axis.high}")


Parameter = Annotated[Whole | Real, Field(discriminator="kind")]


class Trials(Spec):
    """How trials run."""

    most: int = Field(50, ge=1, description="Trials at most.")
    parallel: int = Field(2, ge=1, description="Trials at the same time, at most.")
    cpus: int = Field(1, ge=1, description="CPUs of one trial; XGBoost uses as many threads.")
    market: Literal["spot", "on-demand", "any"] = Field("spot", description="Where trials run.")
    report_every: int = Field(20, ge=1, description="Boosting rounds between two reports; each is a checkpoint and a charge.")
    losses: int = Field(5, ge=0, description="How often one trial may lose its worker before it counts as failed.")
    patience: int = Field(3, ge=1, description="Reports without improvement after which a trial ends.")


class Splits(Spec):
    """Which splits of the dataset play which part; several are read one after the other."""

    train: tuple[str, ...] = Field(("train",), min_length=1, description="What is trained on, like [fold-1, fold-2].")
    validation: tuple[str, ...] = Field(("validation",), min_length=1, description="What the search compares trials by.")
    test: tuple[str, ...] = Field(("test",), min_length=1, description="What the best model is measured on, once.")

    @model_validator(mode="after")
    def _apart(self) -> Splits:
        if twice := sorted({name for name in self.all if self.all.count(name) > 1}):
            raise ValueError(f"{', '.join(twice)} is named twice: rows that are trained on measure nothing")
        return self

    @property
    def all(self) -> tuple[str, ...]:
        return (*self.train, *self.validation, *self.test)


class TuneJob(JobSpec):
    """A search for the best XGBoost model of a dataset, under a budget and a deadline."""

    kind: Literal["tune"] = Field(description="Always `tune`.")
    dataset: str = Field(pattern=NAME, description="Name of the dataset; `@version` is the latest unless given.")
    version: str = Field("latest", description="Digest of the dataset version, or its first characters.")
    model: str = Field(pattern=NAME, description="Name of the model that comes out.")
    label: str = Field(description="The column to predict: 0 or 1.")
    features: Features = Field(description="What the model sees.")
    splits: Splits = Field(Splits(), description="Which splits are trained on and measured on; folds are splits, too.")
    imbalance: Imbalance | None = Field(None, description="How training makes up for a label that is rare.")
    space: dict[str, Parameter] = Field(min_length=1, description="XGBoost parameters to search; `rounds` is the number of trees.")
    fixed: dict[str, str | int | float] = Field({}, description="XGBoost parameters held fixed.")
    metric: Literal["auc"] = Field("auc", description="What is maximised on the validation split.")
    trials: Trials = Field(Trials(), description="How trials run.")
    within: Duration | None = Field(None, description="The search ends after this long, with its best so far.")
    seed: int = Field(7, description="Same seed, same proposals.")

    @model_validator(mode="after")
    def _rules(self) -> TuneJob:
        if self.label in self.features.columns:
            raise ValueError(f"features hold the label {self.label!r}: remove it, or the model predicts its own answer")
        if "rounds" not in self.space:
            raise ValueError("space has no `rounds`: add it, like rounds: {kind: int, low: 20, high: 400, log: true, start: 20}")
        if not isinstance(self.space["rounds"], Whole) or self.space["rounds"].low < 1:
            raise ValueError("space.rounds must be whole numbers from 1 on, like {kind: int, low: 20, high: 400, log: true, start: 20}")
        taken = sorted(RESERVED & (self.space.keys() | self.fixed.keys()))
        if taken:
            raise ValueError(f"{', '.join(taken)} is set by mlray: remove it from space and fixed")
        twice = sorted(self.space.keys() & self.fixed.keys())
        if twice:
            raise ValueError(f"{', '.join(twice)} is both searched and fixed: keep one")
        if self.imbalance and self.imbalance.weights and "scale_pos_weight" in self.space.keys() | self.fixed.keys():
            raise ValueError("imbalance.weights and scale_pos_weight both weigh label 1: keep one")
        if self.budget is None:
            raise ValueError("a search needs a budget, like budget: $0.25")
        return self
