"""Tests the public nouns of `import mlray`."""

import ast
import inspect
from importlib import import_module
from pathlib import Path

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


def test_no_noun_is_also_a_folder_which_python_would_put_in_its_place():
    folders = {path.name for path in Path(inspect.getfile(mlray)).parent.iterdir()}
    assert not set(mlray.__all__) & {folder.removesuffix(".py") for folder in folders}
