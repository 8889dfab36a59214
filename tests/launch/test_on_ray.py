"""Clusters on this machine: up, connected to, killed, grown, shrunk and down."""

from __future__ import annotations

import pytest
import ray

from mlray.home import Home
from mlray.launch.on_ray import Connection
from tests.clusters import running_cluster

pytestmark = pytest.mark.ray


@pytest.fixture(scope="module")
def cluster(tmp_path_factory):
    with running_cluster(Home.at(tmp_path_factory.mktemp("home"))) as connection:
        yield connection


def test_work_goes_to_the_market_it_asks_for(cluster: Connection):
    @ray.remote(num_cpus=1)
    def where():
        import os

        return os.environ["MLRAY_NODE"]

    spot = where.options(label_selector={"ray.io/market-type": "spot"}).remote()
    on_demand = where.options(label_selector={"ray.io/market-type": "on-demand"}).remote()
    assert ray.get([spot, on_demand], timeout=60) == ["spot-1", "on-demand-1"]
