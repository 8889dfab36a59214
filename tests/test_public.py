"""Tests the public nouns of `import mlray`."""

import ast
import inspect
from importlib import import_module

import pytest

import mlray


def test_what_is_public_is_said_alike_in_all_three_places():
    tree = ast.parse(inspect.getsource(mlray))
    typed = {
        name.name
        for node in ast.walk(tree)
        if isinstance(node, ast.ImportFrom) and str(node.module).startswith("mlray.")
        for name in node.names
    }
    assert sorted(mlray.PUBLIC) == sorted(mlray.__all__) == sorted(typed)


@pytest.mark.parametrize("name", mlray.__all__)
def test_each_noun_is_found(name: str):
    assert getattr(mlray, name) is getattr(import_module(mlray.PUBLIC[name]), name)


def test_a_noun_that_is_not_there_is_told_with_those_that_are():
    with pytest.raises(AttributeError, match="has no Manager; it has Client, Cluster"):
        _ = mlray.Manager


def test_verbs_stay_verbs_whatever_is_imported_first():
    import mlray.ingest.spec
    import mlray.tune.spec

    assert (mlray.ingest.__name__, mlray.tune.__name__) == ("ingest", "tune")
    assert callable(mlray.ingest) and callable(mlray.tune)
    assert import_module("mlray.ingest.spec").IngestJob is mlray.IngestJob
