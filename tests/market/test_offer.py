"""Offers: what may be bought, and the cheapest that fits."""

from __future__ import annotations

from mlray.market.offer import Offer, cheapest, offers, on_demand
from mlray.market.spec import MARKET_LABEL, ZONE_LABEL, Capacity, Cluster
from mlray.units import Price


def cluster(**prices: str) -> Cluster:
    def kind(market: str, most: int) -> dict[str, object]:
        return {"resources": {"CPU": 2}, "node_config": {}, "labels": {MARKET_LABEL: market, ZONE_LABEL: "az1"}, "max_workers": most}

    return Cluster.model_validate(
        {
            "cluster_name": "toy",
            "provider": {"type": "external"},
            "head_node_type": "head",
            "max_workers": 4,
            "available_node_types": {
                "head": {"resources": {"CPU": 0}, "node_config": {}},
                "spot": kind("spot", 2),
                "on-demand": kind("on-demand", 2),
                "never": kind("spot", 0),
            },
            "metadata": {
                "mlray": {
                    "prices": {"head": "$0.10/h", "spot": "$0.97/h", "on-demand": "$3.06/h", "never": "$0.01/h", **prices},
                    "interruptions": {"spot": {"every": "2h", "recovery": "1m"}},
                }
            },
        }
    )


def test_every_worker_type_with_room_for_a_node_is_an_offer():
    found = offers(cluster())
    assert [(o.node_type, o.zone, o.capacity, str(o.price), o.cpus) for o in found] == [
        ("spot", "az1", Capacity.SPOT, "$0.97/h", 2),
        ("on-demand", "az1", Capacity.ON_DEMAND, "$3.06/h", 2),
    ]
    assert [o.interruptions is not None for o in found] == [True, False]


def test_the_cheapest_offer_is_chosen_inside_its_market():
    found = offers(cluster())
    chosen = [cheapest(found, market) for market in ("any", "spot", "on-demand")]
    assert [o.node_type for o in chosen if o] == ["spot", "spot", "on-demand"]


def test_no_offer_fits_three_cpus_on_nodes_of_two():
    assert cheapest(offers(cluster()), "any", cpus=3) is None
    assert cheapest((), "any") is None


def test_half_a_cpu_is_a_quarter_of_a_node_of_two():
    offer = Offer("spot", "az1", Capacity.SPOT, Price.parse("$0.97/h"), 2)
    assert (offer.share(0.5), offer.share(4)) == (0.25, 1.0)


def test_what_a_spot_node_would_cost_on_demand_is_the_price_of_one_as_large():
    spot = Offer("s", "a", Capacity.SPOT, Price.parse("$0.10/h"), 2)
    dear, cheap, large = (
        Offer(name, "a", Capacity.ON_DEMAND, Price.parse(price), cpus)
        for name, price, cpus in (("d", "$0.40/h", 2), ("c", "$0.30/h", 2), ("l", "$0.20/h", 4))
    )
    assert on_demand(spot, [spot, dear, cheap, large]) == cheap.price
    assert on_demand(dear, [cheap]) == dear.price
    assert on_demand(spot, [spot, large]) is None
