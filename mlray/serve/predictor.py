"""Predictor: an opened model that answers rows. A plain class: it knows nothing of HTTP, of Ray, or of where bytes come from."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pyarrow as pa

from mlray.errors import WorkError
from mlray.features.booster import load_xgboost
from mlray.features.rows import InputColumn
from mlray.features.transform import Transform


class Predictor:
    """The booster, its transform and its card. Predicting is safe from several threads at once.

    One thread a prediction: a replica owns a share of a CPU, and a batch that borrows its neighbours' cores makes every
    other replica on the node late.
    """

    def __init__(self, booster: Any, transform: Transform, card: Mapping[str, Any]) -> None:
        self._booster, self._transform, self.card = booster, transform, card

    @classmethod
    def open(cls, files: Mapping[str, bytes]) -> Predictor:
        """From the files of a model version, whose signature has been checked: XGBoost's parser is not safe on others.

        Raises WorkError when they are not a model that this version of mlray can serve.
        """
        xgboost = load_xgboost()
        try:
            transform = Transform.from_json(files["transform.json"])
            card = json.loads(files["card.json"])
            booster = xgboost.Booster({"nthread": 1})
            booster.load_model(bytearray(files["model.json"]))
            booster.set_param({"nthread": 1})
        except (KeyError, ValueError, xgboost.core.XGBoostError) as error:
            raise WorkError(f"the model cannot be served: {error!s:.200}", hint="train it again with mlray tune") from error
        if booster.num_features() != len(transform.names):
            raise WorkError(f"the model takes {booster.num_features()} features, its transform makes {len(transform.names)}")
        return cls(booster, transform, card)

    @property
    def inputs(self) -> tuple[InputColumn, ...]:
        return self._transform.inputs

    @property
    def names(self) -> tuple[str, ...]:
        """The model's features, in the order in which it sees them."""
        return self._transform.names

    def features(self, table: pa.Table) -> np.ndarray:
        """What the model sees of raw rows: float32 of shape (rows, features)."""
        return self._transform.apply(table)

    def predict(self, columns: Mapping[str, Sequence[Any]]) -> np.ndarray:
        """Probabilities of JSON columns, float32 of shape (rows,). Raises ValueError naming the column at fault."""
        return self.predict_table(self._transform.table(columns))

    def predict_table(self, table: pa.Table) -> np.ndarray:
        """Probabilities of raw rows, float32 of shape (rows,): the same bits as `predict` gives for the same values."""
        answer: np.ndarray = self._booster.inplace_predict(self.features(table), validate_features=False)
        return answer
