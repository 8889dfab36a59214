"""A person's shell for a scenario: mlray's command line, in a folder of YAML files, with a home and a TMPDIR of its own."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mlray.home import Home

ROOT = Path(__file__).parents[2]


@dataclass(frozen=True, slots=True)
class Said:
    """How a command ended, and what it told."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        """All of stdout as one JSON value; anything beside it fails."""
        assert self.code == 0, f"exit code {self.code}\n{self.out}{self.err}"
        return json.loads(self.out)


@dataclass(frozen=True, slots=True)
class Shell:
    """`temporary` is short: Unix sockets lie below it, and their paths end at 107 bytes."""

    folder: Path
    home: Home
    temporary: Path

    @classmethod
    def make(cls, folder: Path, temporary: Path) -> Shell:
        """In `folder`, a copy of the files a clone holds, and a home."""
        for part in ("cluster", "policies", "jobs"):
            shutil.copytree(ROOT / part, folder / part)
        return cls(folder, Home.at(folder / "home"), temporary)

    @property
    def roots(self) -> tuple[Path, ...]:
        """Where all that mlray and Ray write must be: the home with the store, and the temporary folder with Ray's sessions."""
        return self.home.root, self.temporary

    def write(self, path: str, source: str, **lines: str) -> Path:
        """Makes or replaces a file of the folder by another, with the values of some keys changed; each must be there once."""
        text = (self.folder / source).read_text()
        for key, value in lines.items():
            text, found = re.subn(rf"^( *){key}: .*$", rf"\g<1>{key}: {value}", text, flags=re.M)
            assert found == 1, f"{source} holds {key} {found} times"
        (self.folder / path).write_text(text)
        return self.folder / path

    def start(self, *words: str) -> subprocess.Popen[str]:
        command = [sys.executable, "-m", "mlray", *words]
        pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
        return subprocess.Popen(command, cwd=self.folder, env=self._environment(), **pipes)  # type: ignore[call-overload,no-any-return]

    def mlray(self, *words: str, within_s: float = 240) -> Said:
        """Runs a command to its end. Whatever happens, nobody is shown a traceback."""
        running = self.start(*words)
        try:
            out, err = running.communicate(timeout=within_s)
        except BaseException:
            running.kill()
            running.communicate()
            raise
        assert "Traceback" not in out + err, out + err
        return Said(running.returncode, out, err)

    def json(self, *words: str) -> Any:
        return self.mlray(*words, "--json").json

    def _environment(self) -> dict[str, str]:
        given = {key: value for key, value in os.environ.items() if not key.startswith(("RAY_", "MLRAY_DEBUG", "MLRAY_TOKEN"))}
        return given | self.home.environment() | {"TMPDIR": str(self.temporary)}


def follow(running: subprocess.Popen[str], words: str) -> str:
    """Reads the progress of a command until it holds the words; what was told until then. Fails when it ends before."""
    told = ""
    assert running.stderr
    while line := running.stderr.readline():
        told += line
        if words in line:
            return told
    raise AssertionError(f"it ended without {words!r}:\n{told}")
