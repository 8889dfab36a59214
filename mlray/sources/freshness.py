"""Is a source as new as it was asked to be?"""

from __future__ import annotations

from datetime import datetime

from mlray.sources.base import SourceBase
from mlray.sources.piece import Found
from mlray.units import Duration


def stale(source: SourceBase, found: Found, now: datetime) -> str:
    """Why the source is too old; "" when it is not, or nobody asked. One that does not tell its age is taken for too old."""
    if source.fresh_within is None:
        return ""
    if found.changed is None:
        return f"{found.where}: does not tell when it changed, and fresh_within asks"
    age = Duration(max(0.0, round((now - found.changed).total_seconds())))
    return f"{found.where}: last changed {age} ago, more than fresh_within ({source.fresh_within})" if age > source.fresh_within else ""
