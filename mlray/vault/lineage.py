"""Lineage: sources -> dataset versions -> models -> releases, from what manifests say they were made from."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Literal

from mlray.vault.version import Manifest, short

What = Literal["source", "dataset", "model", "release"]
SOURCE, DATASET = "source:", "dataset:"


@dataclass(frozen=True, slots=True)
class Node:
    """`id` is one of its kind everywhere: a source by its digest, a version as it prints, a release by cluster and name."""

    id: str
    what: What
    name: str
    detail: str = ""


@dataclass(frozen=True, slots=True)
class Edge:
    """`of` went into `to`."""

    of: str
    to: str


@dataclass(frozen=True, slots=True)
class Released:
    """A deployment that answers, and the model it answers with, as a model version prints."""

    deployment: str
    model: str
    cluster: str
    url: str


@dataclass(frozen=True, slots=True)
class Graph:
    nodes: tuple[Node, ...]
    edges: tuple[Edge, ...]

    def node(self, id: str) -> Node:
        return next(node for node in self.nodes if node.id == id)

    def into(self, id: str) -> tuple[Node, ...]:
        """What it was made from."""
        return tuple(self.node(edge.of) for edge in self.edges if edge.to == id)

    def out_of(self, id: str) -> tuple[Node, ...]:
        """What was made from it."""
        return tuple(self.node(edge.to) for edge in self.edges if edge.of == id)

    def around(self, id: str) -> Graph:
        """All that it came from and all that came from it; not what else was made of its sources."""
        kept = {id, *self._reach(id, self.into), *self._reach(id, self.out_of)}
        edges = tuple(edge for edge in self.edges if edge.of in kept and edge.to in kept)
        return Graph(tuple(node for node in self.nodes if node.id in kept), edges)

    def _reach(self, id: str, next_to: Callable[[str], tuple[Node, ...]]) -> set[str]:
        found: set[str] = set()
        todo = [id]
        while todo:
            fresh = [node.id for node in next_to(todo.pop()) if node.id not in found]
            found |= set(fresh)
            todo += fresh
        return found


def graph(manifests: Iterable[Manifest], releases: Iterable[Released]) -> Graph:
    """Of all versions there are. What a version was made from and is gone (a pruned dataset) is a node without a detail."""
    nodes: dict[str, Node] = {}
    edges: list[Edge] = []
    for held in manifests:
        own = Node(short(held.name, held.digest), held.kind, held.name, f"{held.created:%Y-%m-%d %H:%M} UTC")
        nodes[own.id] = own
        for made_from in _made_from(held):
            nodes.setdefault(made_from.id, made_from)
            edges.append(Edge(made_from.id, own.id))
    for one in releases:
        release = Node(f"{one.cluster}/{one.deployment}", "release", one.deployment, one.url)
        nodes[release.id] = release
        nodes.setdefault(one.model, Node(one.model, "model", one.model.partition("@")[0]))
        edges.append(Edge(one.model, release.id))
    return Graph(tuple(nodes.values()), tuple(edges))


def _made_from(held: Manifest) -> list[Node]:
    """Code and spec are in the manifest, too, but name no data."""
    sources = [(name.removeprefix(SOURCE), digest) for name, digest in held.lineage if name.startswith(SOURCE)]
    datasets = [(name.removeprefix(DATASET), digest) for name, digest in held.lineage if name.startswith(DATASET)]
    return [
        *(Node(f"{SOURCE}{name}#{digest[:12]}", "source", name, digest[:12]) for name, digest in sources),
        *(Node(short(name, digest), "dataset", name) for name, digest in datasets),
    ]


def tree(found: Graph, root: str) -> list[str]:
    """What the version came from, the version, and below it what came from it, each step two spaces deeper."""
    sources = [f"{node.what} {_title(node)} {node.detail}".rstrip() for node in _upstream(found, root)]
    return [*sources, *_below(found, found.node(root), 1 if sources else 0)]


def dot(found: Graph) -> str:
    """For Graphviz."""
    shapes = {"source": "folder", "dataset": "cylinder", "model": "box3d", "release": "component"}
    nodes = [f"  {_quoted(node.id)} [shape={shapes[node.what]}, label={_quoted(f'{node.what} {_title(node)}')}];" for node in found.nodes]
    edges = [f"  {_quoted(edge.of)} -> {_quoted(edge.to)};" for edge in found.edges]
    return "\n".join(["digraph lineage {", "  rankdir=LR;", *nodes, *edges, "}"])


def _upstream(found: Graph, root: str) -> list[Node]:
    """The farthest first, each once."""
    nearest = list(found.into(root))
    ordered = [farther for node in nearest for farther in _upstream(found, node.id)] + nearest
    return list(dict.fromkeys(ordered))


def _below(found: Graph, node: Node, depth: int) -> list[str]:
    line = f"{'  ' * depth}{node.what} {_title(node)} {node.detail}".rstrip()
    return [line, *(below for next_to in found.out_of(node.id) for below in _below(found, next_to, depth + 1))]


def _title(node: Node) -> str:
    return node.name if node.what in ("source", "release") else node.id


def _quoted(text: str) -> str:
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'
