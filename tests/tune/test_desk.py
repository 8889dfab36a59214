from __future__ import annotations

import pickle
import threading

from mlray.clock import SystemClock
from mlray.ledger.entry import Cause
from mlray.progress import silent
from mlray.tune.desk import Desk
from mlray.tune.search import Search
from tests.tune.sealed import dollars, job


def test_of_a_desk_nothing_is_written_to_disk():
    """Tune pickles its hooks, and with them the desk. A purse holds a database, whose locks cannot be pickled."""
    lock = threading.Lock()
    search = Search(job(), Cause("tune", "toy", "toy"), dollars("$1.00"), dollars("$1.00"))
    desk = Desk(search, lambda charge: dollars("$1.00") if lock else dollars("$0.00"), lambda node: None, SystemClock().now, silent)  # type: ignore[arg-type, return-value]
    assert vars(pickle.loads(pickle.dumps(desk))) == {}
