from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from threading import Event

import pytest

from mlray.clock import VirtualClock
from mlray.errors import RefusedError
from mlray.govern.register import Register
from mlray.govern.snapshot import Running
from mlray.jobs.overseen import Overseen
from mlray.ledger.entry import Cause
from mlray.tune.orders import NONE
from tests.govern.test_register import POLICY

NOON = datetime(2026, 11, 22, 12, tzinfo=UTC)
RUN = Running("run-1", Cause("tune", "toy-tune", "toys", "run-1"))


@pytest.fixture
def register(tmp_path: Path) -> Register:
    return Register(f"sqlite:///{tmp_path}/mlray.db", "local")


class Driver:
    """Says what it runs, and lets a test wait until it has been asked again."""

    def __init__(self) -> None:
        self.asked = Event()

    def tell(self) -> tuple[Running, frozenset[str]]:
        self.asked.set()
        return RUN, frozenset({"local/spot-1/1"})

    def again(self, claim: Callable[[], bool]) -> bool:
        for _ in range(200):
            self.asked.clear()
            assert self.asked.wait(10)
            if claim():
                return True
        return False


def test_a_run_is_known_as_soon_as_it_is_entered_and_forgotten_when_it_is_left(register: Register):
    driver = Driver()
    with Overseen(register, POLICY, driver.tell, VirtualClock(NOON), 0.01) as seen:
        assert register.runs(NOON) == (RUN,) and register.places(NOON) == {"run-1": frozenset({"local/spot-1/1"})}
        assert seen.orders == NONE
    assert register.runs(NOON) == ()


def test_it_hears_its_orders_and_that_they_were_lifted(register: Register):
    driver = Driver()
    with Overseen(register, POLICY, driver.tell, VirtualClock(NOON), 0.01) as seen:
        register.order("run-1", "t001", "no money is left")
        assert driver.again(lambda: seen.orders.held("t001") == "no money is left")
        seen.go_on()
        register.lift("run-1", "t001")
        assert driver.again(lambda: seen.orders == NONE)


def test_work_that_is_told_to_stop_is_refused_with_the_reason(register: Register):
    driver = Driver()
    register.order("run-1", "", "policy flights has $0.00 left: it cannot pause")
    stopped = pytest.raises(RefusedError, match=r"run-1 was stopped: policy flights has \$0.00 left")
    with Overseen(register, POLICY, driver.tell, VirtualClock(NOON), 0.01) as seen, stopped:
        seen.go_on()
