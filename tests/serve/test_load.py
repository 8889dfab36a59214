"""Load, smoothed over its window."""

from __future__ import annotations

from mlray.serve.load import Window, average


def test_no_sample_is_no_load():
    assert average(()) == 0.0


def test_a_lone_sample_counts_as_it_is():
    assert Window(10).add(100.0, 6.0) == 6.0


def test_each_value_counts_for_as_long_as_it_stood():
    assert average(((0.0, 9.0), (1.0, 4.0), (4.0, 0.0))) == 1.0  # 4 for one second, 0 for three


def test_a_burst_of_two_seconds_in_a_window_of_ten_counts_a_fifth():
    window = Window(10)
    seen = [window.add(float(at), 10.0 if at in (9, 10) else 0.0) for at in range(11)]
    assert seen[-1] == 2.0


def test_what_is_older_than_the_window_is_forgotten():
    window = Window(10)
    window.add(0.0, 100.0)
    assert window.add(10.5, 1.0) == 1.0
    assert len(window.samples) == 1


def test_less_than_nothing_in_progress_is_nothing():
    assert Window(10).add(0.0, -3.0) == 0.0
