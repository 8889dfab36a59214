"""One cluster for each module of tests/launch, with small object stores, so that objects spill, and nodes that go soon when idle."""

from __future__ import annotations

import pytest

from mlray.home import Home
from tests.clusters import running_cluster, variant

STORE_MB, IDLE_S = 80, 6


@pytest.fixture(scope="module")
def cluster_home(tmp_path_factory):
    return Home.at(tmp_path_factory.mktemp("cluster-home"))


@pytest.fixture(scope="module")
def cluster(cluster_home, tmp_path_factory):
    small = ("--object-store-memory=300000000", f"--object-store-memory={STORE_MB}000000")
    hasty = ("idle_timeout_minutes: 1", f"idle_timeout_minutes: {IDLE_S / 60}")
    with running_cluster(cluster_home, variant(tmp_path_factory.mktemp("file"), small, hasty)) as connection:
        yield connection
