"""mlray: governed data, search and serving on Ray. Importing it starts nothing and reads nothing."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

__version__ = "0.1.0"

# Each public noun and the module it lives in, imported when it is first asked for. `ingest` and `tune` are folders, so those
# verbs are in `mlray.jobs.run`; `run` does any kind of job.
PUBLIC = {
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
    "down",
    "run",
    "submit",
    "up",
]

if TYPE_CHECKING:
    from mlray.client import Client
    from mlray.errors import MlrayError
    from mlray.home import Home
    from mlray.ingest.spec import IngestJob
    from mlray.jobs.run import down, run, submit
    from mlray.launch.on_ray import connect, up
    from mlray.market.spec import Cluster
    from mlray.policy.spec import Policy
    from mlray.serve.spec import ServeJob
    from mlray.tune.spec import TuneJob
    from mlray.units import Money


def __getattr__(name: str) -> Any:
    if name not in PUBLIC:
        raise AttributeError(f"mlray has no {name}; it has {', '.join(__all__)}")
    return getattr(import_module(PUBLIC[name]), name)


def __dir__() -> list[str]:
    return [*__all__, "__version__"]
