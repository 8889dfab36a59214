"""The prices of a home, and cluster files that name them."""

from __future__ import annotations

from dataclasses import replace
from datetime import date
from pathlib import Path

import pytest

from mlray.errors import SpecError, StoreError
from mlray.home import Home
from mlray.market.offer import cheapest, offers
from mlray.market.prices.name import PriceName
from mlray.market.prices.store import PriceStore, read_cluster, refuse_unknown
from mlray.market.prices.table import Listed
from mlray.units import Price

LOCAL = Path(__file__).parents[3] / "cluster" / "local.yaml"
SPOT = PriceName.parse("aws/us-east-1/m7i.large/spot")
LISTED = Listed(SPOT, Price.parse("$0.04/h"), date(2026, 3, 1), "spot history")


@pytest.fixture
def home(tmp_path: Path) -> Home:
    return Home.at(tmp_path / "home").prepare()


def cluster_file(folder: Path, price: str) -> Path:
    text = LOCAL.read_text()
    assert "spot: $0.97/h" in text
    (folder / "c.yaml").write_text(text.replace("spot: $0.97/h", f"spot: {price}"))
    return folder / "c.yaml"


def test_every_shipped_price_has_a_day_and_a_source_and_no_spot_price_was_made_up(home: Home):
    rows = PriceStore(home).table().rows.values()
    assert len(rows) > 300 and all(row.source and row.as_of.year >= 2023 for row in rows)
    assert not [row for row in rows if row.name.capacity == "spot"]


def test_machines_that_are_twice_as_large_cost_about_twice_as_much(home: Home):
    """What was typed wrong in a table of so many numbers shows as a step that is no step of sizes."""
    by_family: dict[tuple[str, str, str], list[tuple[float, float]]] = {}
    for row in PriceStore(home).table().rows.values():
        family = row.name.type.partition(".")[0] if "." in row.name.type else row.name.type.rstrip("g0123456789").replace("s_v5", "")
        if row.cpus and not row.gpus and "Standard" not in row.name.type and not row.name.type.startswith("t3."):
            by_family.setdefault((row.name.cloud, row.name.region, family), []).append((row.cpus, row.price.per_hour.usd))
    for named, sizes in by_family.items():
        per_cpu = [price / cpus for cpus, price in sizes]
        assert max(per_cpu) <= min(per_cpu) * 1.01, f"{named}: {sorted(sizes)}"
    assert len(by_family) > 20


def test_an_update_keeps_what_is_newer_and_tells_how_much(home: Home):
    store = PriceStore(home)
    done = store.update([LISTED])
    assert (done.added, done.newer, done.older) == (1, 0, 0)
    done = store.update([replace(LISTED, price=Price.parse("$0.03/h"), as_of=date(2026, 2, 1))])
    assert (done.added, done.newer, done.older) == (0, 0, 1)
    assert store.table().price_of(SPOT) == Price.parse("$0.04/h")
    done = store.update([replace(LISTED, price=Price.parse("$0.05/h"), as_of=date(2026, 4, 1)), LISTED])
    assert (done.added, done.newer, done.older) == (0, 1, 1)
    assert PriceStore(home).table().price_of(SPOT) == Price.parse("$0.05/h")


def test_an_old_list_does_not_replace_a_shipped_price(home: Home):
    shipped = PriceName.parse("aws/us-east-1/m7i.large/on-demand")
    PriceStore(home).update([Listed(shipped, Price.parse("$9/h"), date(2020, 1, 1), "old")])
    assert PriceStore(home).table().price_of(shipped) == Price.parse("$0.1008/h")


def test_a_file_that_cannot_be_understood_is_an_error_and_never_no_prices(home: Home):
    store = PriceStore(home)
    store.update([LISTED])
    store.file.write_text("{")
    with pytest.raises(StoreError, match=r"prices.json cannot be understood"):
        store.table()
    with pytest.raises(StoreError):
        store.update([LISTED])
    assert store.file.read_text() == "{"


def test_a_cluster_file_may_name_a_price_and_follows_it(home: Home, tmp_path: Path):
    file = cluster_file(tmp_path, str(SPOT))
    PriceStore(home).update([LISTED])
    found = read_cluster(home, file)
    refuse_unknown(found, file)
    assert found.metadata.mlray.known["spot"] == Price.parse("$0.04/h")
    PriceStore(home).update([replace(LISTED, price=Price.parse("$0.06/h"), as_of=date(2026, 3, 2))])
    spot = cheapest(offers(read_cluster(home, file)), "spot")
    assert spot is not None and spot.price == Price.parse("$0.06/h")


def test_a_price_nobody_knows_is_refused_with_its_line_and_is_never_an_offer(home: Home, tmp_path: Path):
    file = cluster_file(tmp_path, str(SPOT))
    found = read_cluster(home, file)
    assert [o.node_type for o in offers(found)] == ["on-demand"] and "spot" not in found.metadata.mlray.known
    assert cheapest(offers(found), "spot") is None
    line = next(i for i, text in enumerate(file.read_text().splitlines(), 1) if str(SPOT) in text)
    with pytest.raises(SpecError, match=f"c.yaml:{line}: metadata.mlray.prices.spot: {SPOT}: no price of this name is known"):
        refuse_unknown(found, file)


@pytest.mark.parametrize(
    ("price", "said"),
    [
        ("aws/us-east-1/m7i.large/on-demand", "metadata.mlray.prices.spot: .*is a price of on-demand, and spot is spot"),
        ("aws/us-east-1", "write cloud/region/type/capacity, like aws"),
        ("$1", "write a price for an hour"),
        ("1", "write a price with its unit, like .*, or where it stands"),
    ],
)
def test_a_price_that_cannot_be_is_refused(home: Home, tmp_path: Path, price: str, said: str):
    with pytest.raises(SpecError, match=said):
        read_cluster(home, cluster_file(tmp_path, price))
