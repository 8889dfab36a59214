"""How long does `mlray --help` take, from the shell and back?"""

from __future__ import annotations

import json
import os
import platform
import statistics
import subprocess
import sys
import time
from datetime import UTC, datetime
from pathlib import Path

COMMANDS = (["--help"], ["tune", "--help"], ["--version"])
RUNS = 15


def measure(arguments: list[str]) -> dict[str, float]:
    """Wall seconds over RUNS runs; the first, which reads files from disk, is left out."""
    took = []
    for _ in range(RUNS + 1):
        start = time.perf_counter()
        subprocess.run([sys.executable, "-m", "mlray", *arguments], check=True, stdout=subprocess.DEVNULL)
        took.append(time.perf_counter() - start)
    return {"median_s": round(statistics.median(took[1:]), 3), "most_s": round(max(took[1:]), 3)}


def main() -> None:
    result = {
        "question": str(__doc__).strip(),
        "at": datetime.now(UTC).isoformat(timespec="seconds"),
        "machine": {"cpus": os.cpu_count(), "load": round(os.getloadavg()[0], 1), "python": platform.python_version()},
        "runs": RUNS,
        "results": {" ".join(arguments): measure(arguments) for arguments in COMMANDS},
    }
    Path(__file__).with_suffix(".json").write_text(json.dumps(result, indent=2) + "\n")
    print(json.dumps(result, indent=2))


if __name__ == "__main__":
    main()
