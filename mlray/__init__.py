"""mlray: governed data, search and serving on Ray. Importing it starts nothing and reads nothing."""

from __future__ import annotations

import sys
from importlib import import_module
from types import ModuleType
from typing import TYPE_CHECKING, Any

__version__ = "0.1.0"

# Each public name and the module it lives in, imported when it is first asked for.
PUBLIC = {
    "deploy": "mlray.jobs.run",
    "ingest": "mlray.jobs.run",
    "tune": "mlray.jobs.run",
    "up": "mlray.launch.on_ray",
    "connect": "mlray.launch.on_ray",
    "down": "mlray.jobs.run",
    "run": "mlray.jobs.run",
    "submit": "mlray.jobs.run",
    "Client": "mlray.client",
    "Cluster": "mlray.market.spec",
    "Home": "mlray.home",
    "IngestJob": "mlray.ingest.spec",
    "MlrayError": "mlray.errors",
    "Money": "mlray.units",
    "Policy": "mlray.policy.spec",
    "ServeJob": "mlray.serve.spec",
    "TuneJob": "mlray.tune.spec",
}
__all__ = [
    "Client",
    "Cluster",
    "Home",
    "IngestJob",
    "MlrayError",
    "Money",
    "Policy",
    "ServeJob",
    "TuneJob",
    "connect",
    "deploy",
    "down",
    "ingest",
    "run",
    "submit",
    "tune",
    "up",
]

if TYPE_CHECKING:
    from mlray.client import Client
    from mlray.errors import MlrayError
    from mlray.home import Home
    from mlray.ingest.spec import IngestJob
    from mlray.jobs.run import deploy, down, ingest, run, submit, tune
    from mlray.launch.on_ray import connect, up
    from mlray.market.spec import Cluster
    from mlray.policy.spec import Policy
    from mlray.serve.spec import ServeJob
    from mlray.tune.spec import TuneJob
    from mlray.units import Money


class _Verbs(ModuleType):
    """`ingest` and `tune` are verbs here and folders below; importing a folder would put the module in the verb's place.

    `from mlray.ingest.spec import IngestJob` works all the same: imports do not look here.
    """

    @property
    def ingest(self) -> Any:
        return _public("ingest")

    @ingest.setter
    def ingest(self, folder: ModuleType) -> None:
        """The import system's doing; the verb stays."""

    @property
    def tune(self) -> Any:
        return _public("tune")

    @tune.setter
    def tune(self, folder: ModuleType) -> None:
        """The import system's doing; the verb stays."""


def _public(name: str) -> Any:
    return getattr(import_module(PUBLIC[name]), name)


def __getattr__(name: str) -> Any:
    if name not in PUBLIC:
        raise AttributeError(f"mlray has no {name}; it has {', '.join(__all__)}")
    return _public(name)


def __dir__() -> list[str]:
    return [*__all__, "__version__"]


sys.modules[__name__].__class__ = _Verbs
