"""What the processes of a node find in their environment."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

from mlray.launch.environment import driver_environment, node_environment, spill_config
from mlray.launch.record import new_node, new_record

RECORD = new_record("local", "home", Path("/tmp/mlray-0/abcd1234"), 0.0, lambda port: True)
NODE = new_node(RECORD, "spot", False, {}, 0.0)
FOLDER = Path("/home/ana/.mlray/clusters/local")


def environment(given: dict[str, str] | None = None) -> dict[str, str]:
    return node_environment(RECORD, NODE, FOLDER, {"MLRAY_HOME": "/home/ana/.mlray"}, given or {}, ("/code",), "/venv/bin")


def test_the_token_is_named_by_its_file_and_not_told():
    made = environment()
    assert made["RAY_AUTH_MODE"] == "token"
    assert made["RAY_AUTH_TOKEN_PATH"] == f"{FOLDER}/token"
    assert "RAY_AUTH_TOKEN" not in made


def test_settings_of_another_ray_do_not_reach_the_node_and_everything_else_does():
    made = environment({"RAY_ADDRESS": "x", "RAY_object_spilling_directory": "/clear", "RAY_AUTH_TOKEN": "x", "AWS_PROFILE": "team"})
    assert not {"RAY_ADDRESS", "RAY_object_spilling_directory", "RAY_AUTH_TOKEN"} & made.keys()
    assert made["AWS_PROFILE"] == "team"


def test_the_shim_comes_first_and_the_same_path_only_once():
    made = environment({"PYTHONPATH": "/code:/own", "PATH": "/usr/bin"})
    first, *rest = made["PYTHONPATH"].split(":")
    assert first.endswith("/mlray/launch/shim") and rest == ["/code", "/own"]
    assert made["PATH"] == "/venv/bin:/usr/bin"


def test_objects_are_spilled_by_parameters_that_rays_own_class_does_not_know():
    config = json.loads(environment()["RAY_object_spilling_config"])
    assert config["type"] == "smart_open"
    assert config["params"] == {"sealed_in": f"{RECORD.scratch}/spill", "key_file": f"{FOLDER}/spill.key"}


def test_a_file_may_say_that_objects_are_spilled_in_rays_own_way():
    config = json.loads(spill_config(replace(RECORD, seals=False), FOLDER))
    assert config == {"type": "filesystem", "params": {"directory_path": f"{RECORD.scratch}/spill"}}


def test_every_file_of_haproxy_is_in_the_nodes_own_folder():
    files = {key: value for key, value in environment().items() if key.startswith("RAY_SERVE_HAPROXY") and "/" in value}
    assert len(files) == 6 and all(value.startswith((NODE.folder, str(FOLDER))) for value in files.values())


def test_drivers_and_nodes_agree_on_how_serve_works():
    node, driver = environment(), driver_environment(RECORD, FOLDER / "token")
    assert driver.items() <= node.items() and "RAY_SERVE_ENABLE_HA_PROXY" in driver
