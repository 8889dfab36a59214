"""The line of folders, over the syntax tree: imports run left, and only edges touch the world."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
LINE = (
    "errors units spec progress clock home files database < vault < market < ledger < policy < access < features < sources"
    " < ingest | tune | serve | watch < govern < simulate < launch client < jobs < console < cli"
)
ORDER = {name: place for place, group in enumerate(LINE.split("<")) for name in group.replace("|", " ").split()}
APART = {"ingest", "tune", "serve", "watch"}

# Edges: by the name of the file in any folder, by folder and file, and whole folders. Every other module decides.
EDGE_NAMES = {"on_ray", "store", "__main__"}
EDGES = {"clock", "home", "files", "database", "client", "console", "cli", "launch.shim.sitecustomize"}
for folder, names in {
    "market": "prices.fetch",
    "access": "audit_store",
    "vault": "living kms remote reader aws transit subject_states holdings secrets blobs objects shelf pointers witness broom",
    "ledger": "rows hours book standing sums",
    "sources": "readers places stores contents troubles line_files filed lake"
    " csv jsonl text parquet orc avro binary delta iceberg lance sql postgres anysql kafka kinesis records",
    "ingest": "code finish mill plan shuffle tasks follow batches",
    "tune": "worker hooks",
    "serve": "autoscaler doors replica",
    "watch": "notify metrics",
    "govern": "loop cluster register",
    "simulate": "replay",
    "launch": "local machine processes keeper launcher connection dashboard spill governed",
    "jobs": "keeping checking erasing backup restore certificates policies explaining read run demo desk endpoints overview purse overseen"
    " begun governor closing",
}.items():
    EDGES |= {f"{folder}.{name}" for name in names.split()}
# What reaches the world: packages, and functions of packages that are otherwise fine.
WORLD = {"ray", "os", "shutil", "tempfile", "subprocess", "signal", "threading", "multiprocessing", "asyncio", "time", "random"}
WORLD |= {"secrets", "socket", "http", "urllib.request", "requests", "httpx", "sqlalchemy"}
CALLS = {"now", "today", "utcnow", "default_rng", "read_text", "read_bytes", "write_text", "write_bytes", "unlink", "mkdir"}
BUILTINS = {"open", "print", "input"}

FILES = sorted((ROOT / "mlray").rglob("*.py"))
NAMES = [".".join(file.relative_to(ROOT).with_suffix("").parts) for file in FILES]


def is_edge(module: str) -> bool:
    name = module.removeprefix("mlray.")
    return name in EDGES or name.split(".")[0] in EDGES or name.rpartition(".")[2] in EDGE_NAMES


def imports(tree: ast.AST) -> Iterator[tuple[int, str]]:
    """Every imported module, those inside functions as well; `from a import b` may mean the module a.b."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from ((node.lineno, name.name) for name in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert not node.level, "relative import"
            yield from ((node.lineno, f"{node.module}.{name.name}") for name in node.names)


def wrong_import(module: str, name: str) -> str:
    """Why a module may not import a name; "" when it may."""
    root, own, there = name.split(".")[0], module.split(".")[1], (*name.split("."), "")[1]
    if root != "mlray" or own in ("__init__", "__main__"):
        world = root in WORLD or name.rpartition(".")[0] in WORLD
        return f"decides, and {name} reaches the world" if world and not is_edge(module) else ""
    if there in ORDER and (ORDER[there] > ORDER[own] or (there != own and {there, own} <= APART)):
        return f"may not import {name}"
    target = name if name in NAMES else name.rpartition(".")[0]
    return f"decides, and {target} is an edge" if is_edge(target) and not is_edge(module) else ""


def wrong_call(module: str, node: ast.AST) -> str:
    if is_edge(module) or not isinstance(node, ast.Call):
        return ""
    match node.func:
        case ast.Attribute(attr=name) if name in CALLS:
            return f"decides, and calls .{name}()"
        case ast.Name(id=name) if name in BUILTINS:
            return f"decides, and calls {name}()"
    return ""


@pytest.mark.parametrize("module", NAMES)
def test_imports_run_left_and_only_edges_touch_the_world(module: str):
    file = FILES[NAMES.index(module)]
    tree = ast.parse(file.read_text())
    said = [(line, wrong_import(module, name)) for line, name in imports(tree)]
    said += [(getattr(node, "lineno", 0), wrong_call(module, node)) for node in ast.walk(tree)]
    wrong = [f"{file}:{line}: {module} {why}" for line, why in said if why]
    assert not wrong, "\n".join(wrong)


def test_the_rules_catch_what_they_forbid():
    assert wrong_import("mlray.tune.judge", "ray.tune.Tuner")
    assert wrong_import("mlray.tune.judge", "mlray.serve.spec.ServeJob")
    assert wrong_import("mlray.ledger.balance", "mlray.policy.spec.Policy")
    assert wrong_import("mlray.ledger.balance", "mlray.ledger.store.LedgerStore")
    assert wrong_call("mlray.policy.match", ast.parse("datetime.now(UTC)", mode="eval").body)
    assert not wrong_import("mlray.tune.on_ray", "ray.tune.Tuner")
    assert not wrong_import("mlray.policy.match", "mlray.units.Money")


def test_every_folder_stands_on_the_line():
    folders = {name.split(".")[1] for name in NAMES if name.count(".")} - {"__init__", "__main__"}
    assert folders <= ORDER.keys()
