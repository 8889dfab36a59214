"""How a command that failed says so."""

from __future__ import annotations

import json
import os
import sys
import tempfile
import traceback
from collections.abc import Sequence
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path

from mlray.errors import MlrayError, SpecError
from mlray.home import Home, write_private


def tell(error: MlrayError, as_json: bool) -> int:
    """The error's message and hint on stderr; under --json the same facts as one object on stdout. Returns the exit code."""
    if os.environ.get("MLRAY_DEBUG") == "1":
        traceback.print_exception(error)
    print(error if isinstance(error, SpecError) and error.mistakes else f"error: {error}", file=sys.stderr)
    if as_json:
        mistakes = [asdict(mistake) for mistake in error.mistakes] if isinstance(error, SpecError) else []
        facts = {"type": type(error).__name__, "message": error.message, "hint": error.hint, "mistakes": mistakes}
        print(json.dumps({"error": facts, "exit_code": error.exit_code}))
    return error.exit_code


def confess(error: Exception, arguments: Sequence[str]) -> int:
    """An error nobody foresaw: one line for the user, the traceback in a private log."""
    if os.environ.get("MLRAY_DEBUG") == "1":
        traceback.print_exception(error)
    first = (str(error).strip().splitlines() or [""])[0]
    log = _log(error, arguments)
    hint = f"this is a bug in mlray; the traceback is in {log}, and MLRAY_DEBUG=1 shows it here"
    return tell(MlrayError(f"{type(error).__name__}: {first}", hint=hint), as_json="--json" in arguments)


def _log(error: Exception, arguments: Sequence[str]) -> Path:
    """Written below the home, or where temporary files go when the home is what failed."""
    now = datetime.now(UTC)
    text = f"{now.isoformat()} mlray {' '.join(arguments)}\n{''.join(traceback.format_exception(error))}"
    try:
        log = Home.locate().prepare().root / "logs" / f"{now:%Y%m%dT%H%M%S}-{os.getpid()}.log"
        write_private(log, text)
    except (OSError, MlrayError):
        handle, name = tempfile.mkstemp(prefix="mlray-", suffix=".log")
        os.write(handle, text.encode())
        os.close(handle)
        log = Path(name)
    return log
