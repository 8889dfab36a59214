"""Space: parameters as a point in the unit cube and back; logarithmic ones are spread evenly over their logarithm."""

from __future__ import annotations

import math
from collections.abc import Mapping

from mlray.tune.spec import Parameter, Whole
from mlray.tune.trial import Params, Point

Space = Mapping[str, Parameter]


def start(space: Space) -> Point:
    """Where the search begins: each `start`, or the lowest value where none is written."""
    return tuple(_into(axis, axis.low if axis.start is None else axis.start) for axis in space.values())


def params(space: Space, point: Point) -> Params:
    """The values at a point; coordinates outside the cube count as its border, whole numbers are rounded."""
    return tuple((name, _from(axis, min(1.0, max(0.0, at)))) for (name, axis), at in zip(space.items(), point, strict=True))


def finest_step(space: Space) -> float:
    """The step below which no whole number moves any more; 0.01 of an axis for real ones. Times the cube's diagonal."""
    widths = [_from_width(axis) for axis in space.values()]
    return min(max(widths), 0.05) * math.sqrt(len(widths))


def _into(axis: Parameter, value: float) -> float:
    low, high, at = (_scale(axis, v) for v in (axis.low, axis.high, value))
    return (at - low) / (high - low)


def _from(axis: Parameter, at: float) -> int | float:
    low, high = _scale(axis, axis.low), _scale(axis, axis.high)
    value = low + at * (high - low)
    plain = math.exp(value) if axis.log else value
    if isinstance(axis, Whole):
        return min(axis.high, max(axis.low, round(plain)))
    return min(axis.high, max(axis.low, float(f"{plain:.6g}")))


def _from_width(axis: Parameter) -> float:
    if not isinstance(axis, Whole):
        return 0.01
    return math.log1p(1 / axis.low) / math.log(axis.high / axis.low) if axis.log else 1 / (axis.high - axis.low)


def _scale(axis: Parameter, value: float) -> float:
    return math.log(value) if axis.log else float(value)
