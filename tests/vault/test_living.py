"""Whether a process that left its name is known to have died."""

from __future__ import annotations

import subprocess
import sys

from mlray.vault.living import known_dead, myself

SAY = "from mlray.vault.living import myself; print(myself().decode(), flush=True); input()"


def test_a_process_is_known_dead_once_it_was_killed_and_not_before():
    child = subprocess.Popen([sys.executable, "-c", SAY], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    assert child.stdout
    who = child.stdout.readline().strip()
    assert not known_dead(who)
    child.kill()
    child.wait()
    assert known_dead(who)


def test_a_zombie_has_died():
    child = subprocess.Popen([sys.executable, "-c", SAY], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    assert child.stdout
    who = child.stdout.readline().strip()
    child.kill()
    child.stdout.read()  # ends when the process has
    while not known_dead(who):
        pass
    child.wait()


def test_another_process_with_the_same_number_is_not_it():
    machine, pid, started = myself().decode().split()
    assert not known_dead(f"{machine} {pid} {started}".encode())
    assert known_dead(f"{machine} {pid} {int(started) - 1}".encode())


def test_one_of_another_machine_or_that_did_not_say_may_live():
    _, pid, started = myself().decode().split()
    assert not known_dead(f"elsewhere {pid} {int(started) - 1}".encode())
    assert not known_dead(b"") and not known_dead(b"\xff\x00")
