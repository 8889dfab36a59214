"""XGBoost without scikit-learn, which it would load, with all of SciPy, merely because it is installed.

That costs 130 MB and more than a second in every trial and every replica, for wrappers that nothing here uses. Whoever
needs scikit-learn beside it may still import it.
"""

from __future__ import annotations

import sys
from importlib import import_module
from typing import Any


def load_xgboost() -> Any:
    """The module. Where scikit-learn or XGBoost has been imported before, nothing is to be saved."""
    modules: dict[str, Any] = sys.modules
    if "sklearn" in modules or "xgboost" in modules:
        return import_module("xgboost")
    modules["sklearn"] = None  # importing it fails, as if it were not installed
    try:
        return import_module("xgboost")
    finally:
        del modules["sklearn"]
