"""What the local node provider takes from the file of a cluster, and what it refuses."""

from __future__ import annotations

import pytest
import ray

from mlray.errors import ClusterError
from mlray.launch.local import seals


def test_what_is_spilled_is_sealed_unless_the_file_says_otherwise():
    assert seals({}, "2.60.0") and seals({"seal_spill": True}, "2.60.0") and not seals({"seal_spill": False}, "2.60.0")


def test_a_ray_nobody_has_tried_does_not_start_unless_it_may_spill_in_clear():
    with pytest.raises(ClusterError, match=r"Ray 2\.61\.0 is not known to seal"):
        seals({}, "2.61.0")
    assert not seals({"seal_spill": False}, "2.61.0")


def test_a_switch_is_true_or_false():
    with pytest.raises(ClusterError, match="'no' is neither true nor false"):
        seals({"seal_spill": "no"}, ray.__version__)
