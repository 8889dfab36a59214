"""Tests that what is installed is what was tested: every dependency is pinned, and the pins are plain names and versions."""

import ast
import re
import sys
import tomllib
from importlib.metadata import packages_distributions, requires, version
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).parents[1]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
LINES = (ROOT / "constraints.txt").read_text().splitlines()
PINS = {canonicalize_name(line.partition("==")[0]): line.partition("==")[2] for line in LINES}
WANTED = [Requirement(text) for text in sum(PROJECT["optional-dependencies"].values(), PROJECT["dependencies"])]


def test_a_pin_is_a_name_and_a_version_and_nothing_else():
    assert [line for line in LINES if not re.fullmatch(r"[A-Za-z0-9._-]+==[0-9][A-Za-z0-9.!+]*", line)] == []


def test_every_dependency_is_pinned_within_its_bounds():
    wrong = [str(need) for need in WANTED if not need.specifier.contains(PINS.get(canonicalize_name(need.name), "0"))]
    assert wrong == []


def test_the_pins_are_what_runs_here():
    differ = {need.name: (PINS[canonicalize_name(need.name)], version(need.name)) for need in WANTED}
    assert {name: pair for name, pair in differ.items() if pair[0] != pair[1]} == {}


def test_the_test_environment_holds_every_extra():
    installed = re.search(r"--editable '\.\[([a-z,]+)\]'", (ROOT / ".ci" / "venv").read_text())
    assert installed and sorted(installed[1].split(",")) == sorted(PROJECT["optional-dependencies"])


def test_every_package_that_is_imported_is_declared_or_required_by_one_that_is():
    declared = {canonicalize_name(need.name) for need in WANTED} | {"mlray"}
    declared |= {canonicalize_name(Requirement(text).name) for need in WANTED for text in requires(need.name) or ()}
    provided = packages_distributions()
    files = [file for folder in ("mlray", "tests", "benchmarks") for file in (ROOT / folder).rglob("*.py")]
    strange: dict[str, set[str]] = {}
    for file in files:
        for name in imported(ast.parse(file.read_text())) - sys.stdlib_module_names - {"tests", "benchmarks", "mlray"}:
            if not declared & {canonicalize_name(found) for found in provided.get(name, [])}:
                strange.setdefault(name, set()).add(str(file.relative_to(ROOT)))
    assert strange == {}


def imported(tree: ast.AST) -> set[str]:
    """The first word of every import, those inside functions as well."""
    nodes = list(ast.walk(tree))
    whole = [name.name for node in nodes if isinstance(node, ast.Import) for name in node.names]
    parts = [node.module or "" for node in nodes if isinstance(node, ast.ImportFrom)]
    return {name.partition(".")[0] for name in (*whole, *parts)}
