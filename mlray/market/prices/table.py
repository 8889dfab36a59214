"""PriceTable: listed prices by name; the newest of each counts, and one nobody listed is None."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import date
from fnmatch import fnmatchcase

from mlray.market.prices.name import PriceName
from mlray.market.spec import Cluster
from mlray.units import Memory, Price


@dataclass(frozen=True, slots=True)
class Listed:
    """One price as somebody published it: on which day, where it was read; the machine's size where the list says it."""

    name: PriceName
    price: Price
    as_of: date
    source: str
    cpus: float | None = None
    memory: Memory | None = None
    gpus: int | None = None
    gpu: str = ""


@dataclass(frozen=True, slots=True)
class PriceTable:
    """Listed prices, one for each name."""

    rows: Mapping[PriceName, Listed] = field(default_factory=dict)

    @classmethod
    def of(cls, rows: Iterable[Listed]) -> PriceTable:
        """Of several rows with one name the newest counts; of equally new ones the last."""
        kept: dict[PriceName, Listed] = {}
        for row in rows:
            if row.name not in kept or row.as_of >= kept[row.name].as_of:
                kept[row.name] = row
        return cls(kept)

    def with_rows(self, rows: Iterable[Listed]) -> PriceTable:
        return PriceTable.of([*self.rows.values(), *rows])

    def listed(self, name: PriceName) -> Listed | None:
        """The row of this name; for a zone that has none of its own, that of the region around it."""
        found = self.rows.get(name)
        return found if found or name.around is None else self.rows.get(name.around)

    def price_of(self, name: PriceName) -> Price | None:
        found = self.listed(name)
        return found.price if found else None

    def find(self, cloud: str = "*", region: str = "*", type: str = "*", capacity: str = "*") -> tuple[Listed, ...]:
        """Rows whose name fits the patterns, sorted by name."""
        wanted = (cloud, region, type, capacity)
        return tuple(row for name, row in sorted(self.rows.items()) if all(map(fnmatchcase, str(name).split("/"), wanted)))


def priced(cluster: Cluster, table: PriceTable) -> Cluster:
    """The cluster with each named price looked up; those the table does not have stay names, and so unknown."""
    market = cluster.metadata.mlray
    found = {kind: table.price_of(asked) or asked if isinstance(asked, PriceName) else asked for kind, asked in market.prices.items()}
    metadata = cluster.metadata.model_copy(update={"mlray": market.model_copy(update={"prices": found})})
    return cluster.model_copy(update={"metadata": metadata})


def unknown(cluster: Cluster) -> tuple[tuple[str, PriceName], ...]:
    """Node types whose price is only named."""
    return tuple((kind, asked) for kind, asked in cluster.metadata.mlray.prices.items() if isinstance(asked, PriceName))
