"""A node that is taken away in the middle of a search, under a deployment that is asked all the while."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from mlray.client import Client
from mlray.clock import SystemClock
from mlray.jobs.endpoints import find, own_token
from mlray.launch.on_ray import kill_node
from tests.scenarios.conftest import ROW, long
from tests.scenarios.shell import Shell, follow

pytestmark = [pytest.mark.ray, pytest.mark.timeout(600)]


def test_a_search_whose_spot_nodes_die_ends_like_any_other_and_clients_see_nothing(shell: Shell, cluster: dict[str, str]):
    shell.write("jobs/flights/long.yaml", "jobs/flights/tune.yaml", **long(120))
    spot = [node["id"] for node in shell.json("status")["cluster"]["nodes"] if node["type"] == "spot" and node["state"] == "ready"]
    with constant_requests(shell) as answers:
        running = shell.start("tune", "jobs/flights/long.yaml", "--json")
        follow(running, "round 40/")
        for node in spot:
            kill_node(shell.home, "local", node)
        out, err = running.communicate(timeout=280)
    found = json.loads(out)
    assert running.returncode == 0 and "goes on from its last checkpoint" in err, err
    (trial,) = found["trials"]
    assert trial["losses"] == 1 and trial["state"] == "done" and 0.6 < found["metric_test"] < 1
    assert found["model"].startswith("flights@") and len(answers) > 20
    assert set(answers) == {"ok"}, [answer for answer in answers if answer != "ok"]


@contextmanager
def constant_requests(shell: Shell) -> Iterator[list[str]]:
    """A caller who asks again and again, and once more where an answer does not come: what each request came to."""
    endpoint, token = find(shell.home, "flights").url, own_token(shell.home, SystemClock())
    over, answers = threading.Event(), list[str]()

    def call() -> None:
        with Client(endpoint, token) as client:
            while not over.wait(0.05):
                try:
                    answers.append("ok" if 0 < client.predict([ROW])[0] < 1 else "no probability")
                except Exception as error:
                    answers.append(repr(error))

    caller = threading.Thread(target=call)
    caller.start()
    try:
        yield answers
    finally:
        over.set()
        caller.join()
