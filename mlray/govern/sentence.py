"""Sentence: an action, or a line of the journal -> what is done, in a few words; the reason stands beside it."""

from __future__ import annotations

from mlray.govern.actions import Action, Drain, HoldJobs, Notify, PauseTrial, ResumeTrial, SetAllowance, StopCluster, StopRun
from mlray.govern.journal import DONE, Line, to_action


def done(line: Line) -> str:
    """What the action did, or how far it came."""
    words = doing(to_action(line))
    if line.state == DONE:
        return words
    state = line.state or ("tried, and will be tried again" if line.outcome else "begun")
    return f"{words} ({state}: {line.outcome})" if line.outcome else f"{words} ({state})"


def doing(action: Action) -> str:
    match action:
        case SetAllowance(allowance=room):
            return f"may run {room.floor} to {room.ceiling} replicas"
        case HoldJobs(held=held):
            return "jobs are held back" if held else "jobs are admitted"
        case PauseTrial():
            return "paused"
        case ResumeTrial():
            return "goes on"
        case StopRun():
            return "stopped"
        case Drain():
            return "drained"
        case StopCluster():
            return "taken down"
        case Notify(bound=bound):
            return f"people were told: {bound}"
