"""What names the code that turns rows into a version. An edge: it reads its own files."""

from __future__ import annotations

import hashlib
from pathlib import Path

from mlray.vault import sealing

FOLDERS = ("ingest", "sources")


def code_digest() -> str:
    """SHA-256 over the source of these folders and the format of sealed files: what turns the same rows into the same version."""
    total = hashlib.sha256(f"sealing {sealing.FORMAT}".encode())
    for folder in FOLDERS:
        for file in sorted((Path(__file__).parents[1] / folder).glob("*.py")):
            total.update(f"{folder}/{file.name}".encode() + b"\0" + file.read_bytes())
    return total.hexdigest()
