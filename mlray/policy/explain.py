"""Any decision -> the sentence people read."""

from __future__ import annotations

from datetime import UTC, datetime

from mlray.ledger.balance import Balance


def moment(at: datetime) -> str:
    """`2026-11-23 00:00 UTC`: to the minute, the date included, because windows may be days long."""
    return f"{at.astimezone(UTC):%Y-%m-%d %H:%M} UTC"


def balance_sentence(policy: str, balance: Balance) -> str:
    """What a policy spent and holds in this window, with what each stage that spends has left."""
    stages = ", ".join(f"{part.stage} {balance.left(part.stage)} of {part.most}" for part in balance.by_stage)
    held = f", {balance.reserved} held by running jobs" if balance.reserved else ""
    return f"policy {policy} spent {balance.spent} of {balance.amount}{held}; left until {moment(balance.window_end)}: {stages}"
