"""Deployed: what a deployment came to. Apart from what runs it, so that showing it does not load Ray."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Deployed:
    """A deployment that answers. `endpoint` is what callers send to, `model` the version it serves."""

    deployment: str
    endpoint: str
    model: str
    replicas: int
    seconds: float
