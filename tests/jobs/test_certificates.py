"""One keeps keys at a time: in one home, and in homes on several machines that share a PostgreSQL."""

from __future__ import annotations

import subprocess
import sys
from contextlib import suppress
from pathlib import Path

from mlray.access.audit_store import AuditStore
from mlray.home import Home
from mlray.jobs.certificates import alone, caller, certify
from tests.ledger.conftest import url  # noqa: F401  one fixture for every store

ROOT = Path(__file__).parents[2]
OTHER = """
import sys
from pathlib import Path
from mlray.home import Home
from mlray.jobs.certificates import alone
print("asks", flush=True)
with alone(Home(Path(sys.argv[1]), sys.argv[2], sys.argv[3])):
    print("alone", flush=True)
"""


def test_a_second_keeper_waits_for_the_first(url: str, tmp_path: Path):  # noqa: F811
    home = Home(tmp_path / "one", url, f"file://{tmp_path}/store")
    root = home.root if url.startswith("sqlite") else tmp_path / "other machine"
    with alone(home):
        other = subprocess.Popen([sys.executable, "-c", OTHER, str(root), url, home.store], cwd=ROOT, text=True, stdout=subprocess.PIPE)
        assert other.stdout and other.stdout.readline() == "asks\n"
        with suppress(subprocess.TimeoutExpired):
            other.wait(1.5)
        assert other.poll() is None
    assert other.wait(60) == 0 and other.stdout.read() == "alone\n"
    with alone(home):
        pass


def test_a_certificate_says_who_and_is_in_the_record(home: Home):
    entry = certify(home, "rotate", "k1", {"scope": "data"})
    assert AuditStore(home.database).entries() == (entry,) and entry.deed.who == caller() and "@" in caller()
