"""What a cluster costs before it is started."""

from __future__ import annotations

from pathlib import Path

from mlray import files
from mlray.launch.quote import quote
from mlray.market.prices.name import PriceName
from mlray.market.spec import Cluster
from mlray.units import Money

LOCAL = files.load(Path(__file__).parents[2] / "cluster" / "local.yaml", Cluster)


def changed(**prices: object) -> Cluster:
    market = LOCAL.metadata.mlray
    own = market.model_copy(update={"prices": {**market.prices, **prices}})
    return LOCAL.model_copy(update={"metadata": LOCAL.metadata.model_copy(update={"mlray": own})})


def test_the_least_is_what_is_kept_and_the_most_what_may_be():
    """Head $0.10, at least one spot $0.97 and one on-demand $3.06; at most two of each."""
    told = quote(LOCAL)
    assert (told.least, told.most) == (Money.parse("$4.13"), Money.parse("$8.16"))
    assert told.least_a_month == Money.parse("$3014.90")
    assert [(line.node_type, line.least, line.most) for line in told.lines] == [("head", 1, 1), ("on-demand", 1, 2), ("spot", 1, 2)]


def test_the_most_fills_up_with_the_dearest_until_all_workers_are_there():
    told = quote(LOCAL.model_copy(update={"max_workers": 3}))
    assert told.most == Money.parse("$0.10") + Money.parse("$0.97") + Money.parse("$6.12")


def test_a_price_nobody_knows_makes_the_sum_unknown():
    told = quote(changed(spot=PriceName.parse("aws/us-east-1/m7i.large/spot")))
    assert (told.least, told.most, told.least_a_month) == (None, None, None)
