"""Packages that only some sources need."""

from __future__ import annotations

import importlib
from typing import Any

from mlray.errors import SpecError


def needed(module: str, extra: str) -> Any:
    """The module. Raises SpecError with what to install."""
    try:
        return importlib.import_module(module)
    except ImportError as missing:
        raise SpecError(f"this source needs the package {missing.name or module}", hint=f"pip install 'mlray[{extra}]'") from missing
