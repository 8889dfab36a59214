"""The same rows give the same bits, however they come in; and what is no model is not served."""

from __future__ import annotations

import json
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
import xgboost

from mlray import client
from mlray.errors import WorkError
from mlray.serve import protocol
from mlray.serve.predictor import Predictor
from mlray.serve.protocol import InferRequest
from tests.serve.models import json_columns, json_rows, model_files, raw


def test_rows_sent_as_json_predict_the_same_bits_as_the_sealed_table():
    predictor = Predictor.open(model_files())
    request = protocol.read_request(json.dumps(client.body(json_rows(raw()))).encode())
    assert isinstance(request, InferRequest)
    sent, sealed = predictor.predict(request.columns), predictor.predict_table(raw())
    assert sent.tobytes() == sealed.tobytes()
    answered = json.loads(protocol.response("flights", "v", "", sent.tolist()))["outputs"][0]["data"]
    assert np.asarray(answered, dtype=np.float32).tobytes() == sealed.tobytes()


def test_one_row_at_a_time_predicts_the_same_bits_as_all_together():
    predictor = Predictor.open(model_files())
    together = predictor.predict(json_columns(raw(300)))
    alone = [predictor.predict(json_columns(raw(300).slice(i, 1)))[0] for i in range(50)]
    assert alone == together[:50].tolist()


def test_the_predictor_agrees_with_training_bit_for_bit():
    predictor, booster = Predictor.open(model_files()), xgboost.Booster()
    booster.load_model(bytearray(model_files()["model.json"]))
    names = list(predictor.names)
    trained = booster.predict(xgboost.DMatrix(predictor.features(raw()), feature_names=names))
    assert predictor.predict_table(raw()).tobytes() == trained.tobytes()


def test_eight_threads_at_once_get_the_same_answers():
    predictor = Predictor.open(model_files())
    expected = predictor.predict_table(raw()).tobytes()
    with ThreadPoolExecutor(8) as threads:
        answers = list(threads.map(lambda _: predictor.predict_table(raw()).tobytes(), range(64)))
    assert set(answers) == {expected}


@pytest.mark.parametrize(
    ("file", "content"),
    [("model.json", b"{}"), ("model.json", b"\x80\x04cos\nsystem\n"), ("transform.json", b'{"format": 99}'), ("card.json", b"no json")],
)
def test_files_that_are_no_model_are_refused(file: str, content: bytes):
    with pytest.raises(WorkError, match="the model cannot be served"):
        Predictor.open(model_files() | {file: content})


def test_a_model_without_its_transform_is_refused():
    with pytest.raises(WorkError, match=r"transform\.json"):
        Predictor.open({"model.json": model_files()["model.json"]})


def test_a_transform_of_another_model_is_refused():
    fewer = json.loads(model_files()["transform.json"])
    fewer["inputs"] = fewer["inputs"][:2]
    with pytest.raises(WorkError, match="the model takes 5 features, its transform makes 2"):
        Predictor.open(model_files() | {"transform.json": json.dumps(fewer).encode()})
