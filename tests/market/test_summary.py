"""What a trace tells in numbers."""

from __future__ import annotations

import numpy as np
import pytest

from mlray.market.spec import Interruptions
from mlray.market.summary import summary
from mlray.market.trace import Trace
from mlray.units import Duration, Price


def test_a_trace_is_told_in_numbers():
    """100 hours of 5 up and 1 down: 16 losses seen in 84 up hours, beside the belief of one in eight."""
    nodes = np.array(([1] * 5 + [0]) * 16 + [1] * 4)
    told = summary(Trace("a", 3600.0, nodes, np.where(nodes, 0.5, np.nan), "g5"))
    assert (told.zone, told.node_type, told.ticks, told.nodes, told.losses) == ("a", "g5", 100, 1, 16)
    assert told.share == 0.84 and told.per_hour == pytest.approx(17 / 92)
    assert told.low < 16 / 84 < told.high
    assert (told.stays, told.price, told.together) == (Duration.parse("5h25m"), Price.parse("$0.5/h"), None)
    assert told.lives_4h < told.lives_1h < 1


def test_a_trace_that_tells_nothing_is_the_belief():
    told = summary(Trace("a", 60.0, np.zeros(3, np.int64)))
    assert (told.share, told.losses, told.per_hour, told.price) == (0.0, 0, 0.125, None)
    steady = summary(Trace("a", 3600.0, np.ones(10_000, np.int64)))
    assert steady.share == 1 and steady.stays.seconds < 400 * 86400 + 1


def test_its_line_is_one_that_a_cluster_file_understands():
    nodes = np.array([4, 4, 0, 0, 4, 4, 3, 4] * 20)
    told = summary(Trace("a", 300.0, nodes))
    pairs = dict(part.split(": ") for part in told.interruptions.strip("{}").split(", "))
    assert Interruptions.model_validate(pairs).every == told.stays
    assert told.together is not None and 0 < told.together < 1
