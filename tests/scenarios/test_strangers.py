"""Whoever has no token is told nothing: by the endpoint, and by Ray's own ports."""

from __future__ import annotations

import json
import urllib.error
import urllib.request
from pathlib import Path

import pytest

from mlray.client import body
from mlray.launch.on_ray import clusters
from mlray.ledger.entry import Charge
from mlray.ledger.store import LedgerStore
from mlray.units import Money
from tests.clusters import eventually
from tests.conftest import ours
from tests.scenarios.conftest import ROW
from tests.scenarios.shell import Shell

pytestmark = [pytest.mark.ray, pytest.mark.timeout(600)]
WRONG = "mlr_" + "0" * 50


@pytest.mark.parametrize("token", ["", WRONG], ids=["none", "wrong"])
def test_the_endpoint_answers_401(token: str, cluster: dict[str, str]):
    url = cluster["endpoint"]
    assert asked(f"{url}/infer", token, json.dumps(body([ROW])).encode()) == 401
    assert asked(url, token) == 401


def test_a_wrong_token_is_said_by_the_command_line(shell: Shell, cluster: dict[str, str], flight: Path, tmp_path: Path):
    (tmp_path / "token").write_text(WRONG)
    said = shell.mlray("predict", cluster["endpoint"], str(flight), "--token-file", str(tmp_path / "token"))
    assert said.code == 1 and "refuses the token" in said.err and WRONG not in said.err


@pytest.mark.parametrize("path", ["/api/jobs/", "/api/version", "/nodes?view=summary", "/api/v0/actors", "/api/serve/applications/"])
def test_rays_dashboard_answers_401_without_and_403_with_a_wrong_token(path: str, cluster: dict[str, str]):
    dashboard = cluster["dashboard"]
    assert (asked(dashboard + path), asked(dashboard + path, "0" * 64)) == (401, 403)


def test_ray_takes_no_job_from_a_stranger(cluster: dict[str, str], tmp_path: Path):
    job = json.dumps({"entrypoint": f"touch {tmp_path}/taken"}).encode()
    url = cluster["dashboard"] + "/api/jobs/"
    assert (asked(url, sent=job), asked(url, "0" * 64, job)) == (401, 403)
    assert list(tmp_path.iterdir()) == []


def asked(url: str, token: str = "", sent: bytes | None = None) -> int:
    request = urllib.request.Request(url, sent, {"Authorization": f"Bearer {token}"} if token else {})
    try:
        with urllib.request.build_opener(urllib.request.ProxyHandler({})).open(request, timeout=10) as answer:
            return int(answer.status)
    except urllib.error.HTTPError as error:
        return error.code


def test_last_of_all_a_cluster_past_its_time_to_live_takes_itself_down_and_its_bill_adds_up(shell: Shell, cluster: dict[str, str]):
    """The last scenario, for it ends the cluster of all of them. Work on a node and the rest of it cost what the node cost."""
    brief = {"kind": "policy", "name": "brief", "governs": {"clusters": ["local"]}, "clusters": {"time_to_live": "10s"}}
    (shell.folder / "policies/brief.yaml").write_text(json.dumps(brief | {"budget": {"amount": "$100", "every": "1d"}}))
    assert shell.mlray("policy", "apply", "policies/brief.yaml", "--why", "the scenarios are over").code == 0
    assert eventually(lambda: clusters(shell.home) == (), 60)
    assert eventually(lambda: not [command for command in ours().values() if str(shell.temporary) in command])
    charges = [entry for entry in LedgerStore(shell.home.database).entries() if isinstance(entry, Charge) and entry.usage.node]
    taken_out = [one for one in charges if one.cause.item.endswith("/work")]
    work = [one for one in charges if one.cause.stage != "cluster"]
    assert {one.usage.node.split("/")[1] for one in charges} >= {"head", "spot-1", "on-demand-1"}
    assert work and sum((one.amount for one in (*work, *taken_out)), Money(0)) == Money(0)
