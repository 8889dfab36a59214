from __future__ import annotations

from datetime import UTC, datetime

from mlray.vault.lineage import Edge, Released, dot, graph, tree
from mlray.vault.version import Kind, Lineage, Manifest

NOON = datetime(2026, 6, 1, 12, tzinfo=UTC)
A, B, M = "a" * 64, "b" * 64, "c" * 64


def version(kind: Kind, name: str, digest: str, lineage: Lineage) -> Manifest:
    return Manifest(kind, name, digest, NOON, (), (), (), lineage, {})


FLIGHTS = version("dataset", "flights", A, (("code", "0" * 64), ("source:flights.csv", "1" * 64), ("source:weather", "2" * 64)))
OTHER = version("dataset", "flights", B, (("source:flights.csv", "3" * 64), ("source:weather", "2" * 64)))
MODEL = version("model", "late", M, (("dataset:flights", A),))
RELEASE = Released("late-api", f"late@{M[:12]}", "local", "https://127.0.0.1:8000")
GRAPH = graph((FLIGHTS, OTHER, MODEL), (RELEASE,))


def test_sources_become_versions_become_models_become_releases():
    assert Edge("source:weather#222222222222", f"flights@{A[:12]}") in GRAPH.edges
    assert Edge(f"flights@{A[:12]}", f"late@{M[:12]}") in GRAPH.edges
    assert Edge(f"late@{M[:12]}", "local/late-api") in GRAPH.edges
    assert {node.what for node in GRAPH.nodes} == {"source", "dataset", "model", "release"}
    assert not any("code" in node.id for node in GRAPH.nodes)


def test_around_a_version_is_what_it_came_from_and_what_came_from_it_and_not_its_sisters():
    around = GRAPH.around(f"flights@{A[:12]}")
    assert f"flights@{B[:12]}" not in {node.id for node in around.nodes}
    assert {node.what for node in around.nodes} == {"source", "dataset", "model", "release"}
    assert {node.what for node in GRAPH.around(f"flights@{B[:12]}").nodes} == {"source", "dataset"}


def test_a_tree_goes_from_the_sources_down_to_the_release():
    assert tree(GRAPH, f"flights@{A[:12]}") == [
        "source flights.csv 111111111111",
        "source weather 222222222222",
        f"  dataset flights@{A[:12]} 2026-06-01 12:00 UTC",
        f"    model late@{M[:12]} 2026-06-01 12:00 UTC",
        "      release late-api https://127.0.0.1:8000",
    ]
    assert tree(GRAPH, f"late@{M[:12]}")[2] == f"dataset flights@{A[:12]} 2026-06-01 12:00 UTC"


def test_a_model_whose_dataset_was_pruned_still_says_what_it_was_made_from():
    alone = graph((MODEL,), ())
    assert tree(alone, f"late@{M[:12]}") == [f"dataset flights@{A[:12]}", f"  model late@{M[:12]} 2026-06-01 12:00 UTC"]


def test_graphviz_gets_every_node_and_edge_quoted():
    drawn = dot(graph((version("dataset", 'odd"name', A, ()),), ()))
    assert f'"odd\\"name@{A[:12]}" [shape=cylinder' in drawn
    assert dot(GRAPH).count("->") == len(GRAPH.edges)
