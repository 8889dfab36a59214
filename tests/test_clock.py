from datetime import UTC, datetime

from mlray.clock import Clock, SystemClock, VirtualClock


def test_a_virtual_clock_moves_when_somebody_sleeps():
    clock: Clock = VirtualClock(datetime(2026, 1, 1, tzinfo=UTC))
    clock.sleep(90)
    assert clock.now() == datetime(2026, 1, 1, 0, 1, 30, tzinfo=UTC)


def test_the_systems_clock_tells_utc_and_moves_on():
    clock = SystemClock()
    before = clock.now()
    clock.sleep(0.01)
    assert clock.now() > before and before.tzinfo is UTC
