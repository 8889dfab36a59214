"""The command line: one file per group of commands, and here what every command shares: how it ends.

Exit codes: 0 done, 1 failed, 2 what you wrote, 3 what your policy refused, 130 interrupted. Results go to stdout; progress
and trouble go to stderr. Nobody is shown a traceback unless MLRAY_DEBUG=1 asks for one.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence

from mlray.errors import MlrayError


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs one command and returns its exit code. `arguments` defaults to the process's own."""
    from mlray.cli.app import app  # here, so that importing mlray.cli loads nothing

    given = list(sys.argv[1:] if arguments is None else arguments)
    try:
        app(given, prog_name="mlray")
    except SystemExit as end:
        return end.code if isinstance(end.code, int) else int(end.code is not None)
    except MlrayError as error:
        from mlray.cli import trouble

        return trouble.tell(error, as_json="--json" in given)
    except Exception as error:
        from mlray.cli import trouble

        return trouble.confess(error, given)
    return 0
