"""What a replica opens, without a cluster around it."""

from __future__ import annotations

import asyncio
import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from mlray import client
from mlray.access.spec import Role
from mlray.access.store import TokenStore
from mlray.errors import KeyringError, TamperError
from mlray.home import Home
from mlray.serve.door import Opening
from mlray.serve.gate import Limits
from mlray.serve.predictor import Predictor
from mlray.serve.replica import Offer, Replica
from mlray.units import Duration, Memory
from mlray.vault.store import VaultAddress
from tests.serve.models import ROW, model_files


@pytest.fixture
def offer(home: Home) -> Offer:
    vault = VaultAddress(home.prepare().store, str(home.keyring))
    model = vault.open().commit_model("flights", model_files(), {})
    limits = Limits(Memory(1 << 20), 100)
    return Offer("flights", "flights", model.digest, vault, home.database, limits, Opening("flights", "127.0.0.1", 8000))


def ask(replica: Replica, token: str) -> tuple[int, Any]:
    out: list[Any] = []

    async def receive() -> dict[str, Any]:
        return {"type": "http.request", "body": json.dumps(client.body([ROW])).encode(), "more_body": False}

    async def send(message: Any) -> None:
        out.append(message)

    scope = {
        "type": "http",
        "method": "POST",
        "path": "/v2/models/flights/infer",
        "headers": [(b"authorization", f"Bearer {token}".encode())],
    }

    async def run() -> None:
        await replica.__serve_build_asgi_app__()(scope, receive, send)

    asyncio.run(run())
    return out[0]["status"], json.loads(out[1]["body"])


def test_a_replica_answers_with_the_model_that_was_committed(offer: Offer):
    token, _ = TokenStore(offer.database).issue(Role.VIEWER, "ada", Duration(60), datetime.now(UTC))
    status, told = ask(Replica(offer), token)
    expected = Predictor.open(model_files()).predict({name: [value] for name, value in ROW.items()}).tolist()
    assert (status, told["outputs"][0]["data"]) == (200, expected)
    assert told["model_version"] == f"flights@{offer.digest[:12]}"


def test_a_replica_never_parses_a_model_that_was_changed(offer: Offer, home: Home, monkeypatch: pytest.MonkeyPatch):
    opened: list[object] = []
    monkeypatch.setattr(Predictor, "open", opened.append)
    sealed = [path for path in (home.root / "store").rglob("*") if path.is_file() and path.stat().st_size > 5000]
    for path in sealed:
        held = bytearray(path.read_bytes())
        held[len(held) // 2] ^= 1
        path.write_bytes(held)
    assert sealed
    with pytest.raises(TamperError):
        Replica(offer)
    assert not opened


def test_a_replica_without_the_keyring_does_not_start(offer: Offer, home: Home):
    Path(home.keyring).unlink()
    with pytest.raises(KeyringError):
        Replica(offer)


def test_nothing_secret_travels_with_an_offer(offer: Offer, home: Home):
    import pickle

    carried = pickle.dumps(offer)
    held = json.loads(home.keyring.read_text())
    secrets = [text for text in _texts(held) if len(text) > 40]
    assert secrets and not [text for text in secrets if text.encode() in carried]


def _texts(value: Any) -> list[str]:
    if isinstance(value, dict):
        return [text for inner in value.values() for text in _texts(inner)]
    if isinstance(value, list):
        return [text for inner in value for text in _texts(inner)]
    return [value] if isinstance(value, str) else []
