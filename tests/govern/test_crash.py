"""A governor that is killed a hundred times: no second is lost or charged twice, and nothing stays half done."""

from __future__ import annotations

import json
import pickle
import random
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from mlray.govern.journal import Line
from mlray.govern.snapshot import TrialState
from mlray.govern.store import GovernStore
from mlray.ledger.entry import Charge, Entry
from mlray.ledger.store import LedgerStore
from mlray.policy.allowance import Allowance
from tests.govern import mortal
from tests.govern.small import SmallWorld

LOOKS = 62


@dataclass(frozen=True)
class Left:
    """All that is there when a governor has come to the end of its time. `bills` are micro-dollars and seconds by item."""

    bills: dict[str, tuple[int, float]]
    keys: int
    lines: tuple[Line, ...]
    given: dict[str, Allowance]
    held: set[str]
    told: Counter[str]
    world: SmallWorld

    def wrong(self) -> list[str]:
        """What is not as the world says it was: seconds lost or charged twice, lines left open, actions half done."""
        found = [
            f"replica {r}: {self._seconds(f'#{r}')} s for {lived}" for r, lived in self.world.lived.items() if not self._paid(r, lived)
        ]
        up = {r.node for replicas in self.world.running.values() for r in replicas}
        ended = {node: stood for node, stood in self.world.stood.items() if node not in up}
        found += [f"node {n}: {self.bills.get(f'node:{n}')} for {s}" for n, s in ended.items() if self.bills.get(f"node:{n}") != whole(s)]
        found += [f"open: {line}" for line in self.lines if not line.state]
        found += [f"{n} has {self.given.get(n)} for {room}" for n, room in self.world.room.items() if not _same(self.given.get(n), room)]
        return found + [f"{one} said {self._last(one)}" for one in self._trials() if self._last(one) not in self._trials()[one]]

    def decided(self) -> set[tuple[str, str]]:
        return {(line.action, line.subject) for line in self.lines if line.state == "done"}

    def _seconds(self, ending: str) -> float:
        return sum(seconds for item, (_, seconds) in self.bills.items() if item.endswith(ending))

    def _paid(self, replica: str, lived: float) -> bool:
        price = mortal.OFFER.price.over(lived, 0.25).micros
        charged = [bill for item, bill in self.bills.items() if item.endswith(f"#{replica}")]
        return charged == ([(price, lived)] if lived else [])

    def _trials(self) -> dict[str, tuple[str, ...]]:
        """By trial, the last thing the journal may have done to it."""
        words = {TrialState.PAUSED: ("PauseTrial",), TrialState.RUNNING: ("ResumeTrial", "")}
        return {f"{run.run}/{t.id}": words[t.state] for run in self.world.searches.values() for t in run.trials}

    def _last(self, trial: str) -> str:
        done = [line.action for line in self.lines if line.subject == trial and line.state == "done"]
        return done[-1] if done else ""


def whole(stood: float) -> tuple[int, float]:
    return (mortal.OFFER.price.over(stood).micros, stood)


def _same(given: Allowance | None, room: tuple[int, int]) -> bool:
    return given is not None and (given.floor, given.ceiling) == room


class Nursery:
    """Where governors are born, each a process of its own: from one that has imported everything, so that a birth takes milliseconds."""

    def __init__(self) -> None:
        command = [sys.executable, "-m", "tests.govern.mortal"]
        self._process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=Path(__file__).parents[2])

    def life(self, folder: Path, at_look: int, steps: int | None = None, seconds: float = 0.0, fault: str = "", call: str = "") -> int:
        """From birth to the end: killed at that look between two calls, or whenever the time has come; in peace where the story ends."""
        asked = {
            "folder": str(folder),
            "looks": LOOKS,
            "at_look": at_look,
            "steps": steps,
            "seconds": seconds,
            "fault": fault,
            "call": call,
        }
        assert self._process.stdin and self._process.stdout
        self._process.stdin.write(json.dumps(asked) + "\n")
        self._process.stdin.flush()
        return int(self._process.stdout.readline())

    def close(self) -> None:
        self._process.communicate(timeout=30)


def run(nursery: Nursery, folder: Path, deaths: int, fault: str = "", seed: int = 7, call: str = "") -> Left:
    """Deaths all along the story, half of them between two calls, the others whenever they come: in the middle of a transaction, too.

    Given a call, all come before one of that name.
    """
    rng = random.Random(seed)
    mortal.create(folder)
    ends = []
    for death in range(deaths):
        steps, seconds = rng.randrange(40), rng.random() * 0.1
        ends.append(nursery.life(folder, death * LOOKS // deaths, steps if death % 2 else None, seconds, fault, call))
    assert ends.count(-9) >= deaths * 0.9, ends
    assert nursery.life(folder, LOOKS + 1, fault=fault) == 0
    url, told = f"sqlite:///{folder}/mlray.db", folder / "told"
    entries, store = LedgerStore(url).entries(), GovernStore(url, "local")
    return Left(
        bills(entries),
        len(entries),
        store.journal(last=100_000),
        store.rooms(),
        set(store.held()),
        Counter(told.read_text().split("\n")[:-1]),
        pickle.loads((folder / "world").read_bytes()),
    )


def bills(entries: tuple[Entry, ...]) -> dict[str, tuple[int, float]]:
    """What each replica, trial and node was charged: micro-dollars and seconds. A restart may cut other slices, of the same sum."""
    found: dict[str, tuple[int, float]] = {}
    for entry in entries:
        if isinstance(entry, Charge):
            micros, seconds = found.get(entry.cause.item, (0, 0.0))
            found[entry.cause.item] = (micros + entry.amount.micros, round(seconds + entry.usage.seconds, 6))
    return found


@pytest.fixture(scope="module")
def nursery() -> Iterator[Nursery]:
    found = Nursery()
    yield found
    found.close()


@pytest.fixture(scope="module")
def unharmed(nursery: Nursery, tmp_path_factory: pytest.TempPathFactory) -> Left:
    return run(nursery, tmp_path_factory.mktemp("unharmed"), 0)


def test_the_story_has_everything_in_it(unharmed: Left):
    assert {kind for kind, _ in unharmed.decided()} == {"SetAllowance", "HoldJobs", "PauseTrial", "StopRun", "Notify"}
    assert unharmed.keys > 200 and len(unharmed.world.lived) > 10 and unharmed.world.look == LOOKS
    assert unharmed.wrong() == []
    assert set(unharmed.told.values()) == {1}


def test_after_a_hundred_deaths_nothing_is_lost_doubled_or_half_done(nursery: Nursery, unharmed: Left, tmp_path: Path):
    killed = run(nursery, tmp_path, 100)
    assert killed.wrong() == []
    assert killed.world.look == LOOKS
    assert killed.decided() == unharmed.decided()
    assert (killed.given.keys(), killed.held) == (unharmed.given.keys(), unharmed.held)
    assert killed.told.keys() == unharmed.told.keys()
    assert sum(micros for micros, _ in killed.bills.values()) == pytest.approx(sum(m for m, _ in unharmed.bills.values()), rel=0.02)


@pytest.mark.parametrize(("fault", "call"), [("doubting", "charged"), ("careless", "finish")])
def test_what_is_wrong_on_purpose_is_found(nursery: Nursery, tmp_path: Path, fault: str, call: str):
    """Deaths come where the fault matters, so that they come there however busy the machine is."""
    assert run(nursery, tmp_path, 5, fault, call=call).wrong() != []
