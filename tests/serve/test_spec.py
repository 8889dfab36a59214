"""What a serve job may say."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from mlray import files
from mlray.serve.spec import Door, ServeJob

ROOT = Path(__file__).parents[2]
TLS = {"certificate": "door.crt", "key": "door.key"}


def test_the_flights_job_is_read():
    job = files.load(ROOT / "jobs/flights/serve.yaml", ServeJob)
    assert (job.deployment, job.model, job.replica.cpus, job.replica.per_node, job.door.port) == ("flights", "flights", 0.5, 1, 8000)


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "10.0.0.7"])
def test_a_door_to_the_network_needs_tls(host: str):
    with pytest.raises(ValidationError, match="tokens cross the network in the clear"):
        Door(host=host)
    assert Door.model_validate({"host": host, "tls": TLS}).host == host


@pytest.mark.parametrize("host", ["127.0.0.1", "127.0.9.1", "::1"])
def test_a_door_on_this_machine_alone_may_do_without(host: str):
    assert Door(host=host).tls is None


def test_a_host_is_an_address():
    with pytest.raises(ValidationError, match=r"write an IP address of the head, like 127\.0\.0\.1"):
        Door(host="localhost")


@pytest.mark.parametrize("field", [{"port": 0}, {"port": 70000}, {"most_rows": 0}, {"largest_body": 4194304}])
def test_limits_out_of_range_or_without_a_unit_are_refused(field: dict[str, Any]):
    with pytest.raises(ValidationError):
        Door.model_validate(field)
