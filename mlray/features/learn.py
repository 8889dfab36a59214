"""The libraries that fit: loaded when something is fitted, never to serve what was fitted before."""

from __future__ import annotations

from importlib import import_module
from typing import Any

from mlray.errors import SpecError


def learn(module: str, wanted_by: str) -> Any:
    """A module of scikit-learn or imbalanced-learn. Raises SpecError that says what to install."""
    try:
        return import_module(module)
    except ImportError as missing:
        needed = "imbalanced-learn" if module.startswith("imblearn") else "scikit-learn"
        raise SpecError(f"{wanted_by} needs {needed}, which is not installed", hint="pip install 'mlray[learn]'") from missing
