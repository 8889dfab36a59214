"""Process trees: found whole, kept apart from one another, and ended."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import suppress
from functools import partial
from pathlib import Path

import pytest

from mlray.launch import keeper as script
from mlray.launch import processes
from mlray.launch.record import Keeper
from tests.clusters import eventually

STUBBORN = f"""{sys.executable} -c "import signal, time; signal.signal(15, signal.SIG_IGN); print('x', flush=True); time.sleep(600)" """


@pytest.fixture
def keep() -> Iterator[Callable[[str], Keeper]]:
    """Starts a command under a keeper and returns who that is; ends everything afterwards."""
    made: list[Keeper] = []

    def start(command: str) -> Keeper:
        reading, writing = os.pipe()
        bare = [sys.executable, "-I", "-S", str(script.__file__), str(writing), command]
        process = subprocess.Popen(bare, start_new_session=True, pass_fds=[writing], stdin=subprocess.PIPE, stdout=subprocess.DEVNULL)
        os.close(writing)
        assert process.stdin is not None
        with process.stdin as word:
            word.write(b"go")
        made.append(processes.keeper(process.pid))
        with os.fdopen(reading) as report:
            assert report.read() == "0"
        return made[-1]

    yield start
    for keeper in made:
        processes.end(partial(processes.tree, keeper), grace_s=0)
        with suppress(ChildProcessError):
            os.waitpid(keeper.pid, 0)


def test_what_a_command_leaves_behind_is_found_even_in_a_session_of_its_own(keep):
    keeper = keep("sleep 600 & setsid sleep 601 & (setsid sh -c 'sleep 602; true' &) ; sleep 0.3")
    assert sorted(_commands(keeper)) == ["sh", "sleep", "sleep", "sleep"]


def test_a_tree_ends_where_another_begins(keep):
    outer = keep(f"sleep 600 & printf go | setsid {sys.executable} -I -S {script.__file__} 1 'sleep 601 &' > /dev/null & sleep 0.5")
    inner = next(p.pid for p in processes.running().values() if p.parent == outer.pid and "keeper" in str(processes.command(p.pid)))
    other = processes.keeper(inner)
    assert len(processes.tree(outer)) == 3
    assert _commands(outer, other) == ["sleep"] and _commands(other) == ["sleep"]


def test_one_that_ignores_the_request_to_end_is_killed_after_the_grace(keep):
    keeper = keep(f"{STUBBORN} & sleep 0.3")
    assert processes.end(lambda: processes.tree(keeper), grace_s=0.3)
    assert processes.tree(keeper) == ()


def test_a_keeper_ends_with_the_last_of_its_node(keep):
    keeper = keep("sleep 600 &")
    processes.end(lambda: processes.tree(keeper), grace_s=0)
    assert eventually(lambda: keeper.pid not in processes.running(), 5)


def test_a_keeper_nobody_lets_go_runs_nothing(tmp_path: Path):
    """Whoever started it ended before it could be recorded: nobody would ever end what it runs."""
    command = [sys.executable, "-I", "-S", str(script.__file__), "1", f"touch {tmp_path}/ran"]
    subprocess.run(command, stdin=subprocess.DEVNULL, timeout=30, check=True)
    assert not (tmp_path / "ran").exists()


def test_a_later_process_with_the_same_number_is_not_taken_for_the_keeper():
    own = processes.keeper(os.getpid())
    sleeper = subprocess.Popen(["sleep", "600"])
    try:
        assert sleeper.pid in processes.tree(own)
        assert processes.tree(Keeper(own.pid, own.started + 10**9)) == ()
    finally:
        sleeper.kill()
        sleeper.wait()


def test_processes_of_a_node_leave_no_core_dump(keep):
    keeper = keep("sleep 600 &")
    [pid] = processes.tree(keeper)
    limit = next(line for line in Path(f"/proc/{pid}/limits").read_text().splitlines() if line.startswith("Max core"))
    assert limit.split()[4:6] == ["0", "0"]


def _commands(keeper: Keeper, *others: Keeper) -> list[str]:
    return [Path(processes.command(pid)[0]).name for pid in processes.tree(keeper, others)]


def test_whoever_ends_a_tree_it_stands_in_is_not_counted_into_it():
    """A cluster that takes itself down does so from a process below its head."""
    assert os.getpid() not in processes.tree(processes.keeper(os.getppid()))
