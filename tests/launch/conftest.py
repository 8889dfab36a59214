"""One cluster for the modules of tests/launch, with small object stores, so that objects spill, and nodes that go soon when idle."""

from __future__ import annotations

import pytest

from mlray.home import Home
from mlray.launch.on_ray import Connection
from tests import clusters
from tests.clusters import Shared

STORE_MB, IDLE_S = 80, 6
SMALL = ("--object-store-memory=300000000", f"--object-store-memory={STORE_MB}000000")
HASTY = ("idle_timeout_minutes: 1", f"idle_timeout_minutes: {IDLE_S / 60}")


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> Shared:
    return clusters.shared(tmp_path_factory.mktemp("small"), SMALL, HASTY)


@pytest.fixture(scope="module")
def cluster_home(small: Shared) -> Home:
    return small.home


@pytest.fixture(scope="module")
def cluster(small: Shared) -> Connection:
    return small.connection
