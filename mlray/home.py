"""Home: where one person's or one team's mlray keeps its keys, records and sealed bytes."""

from __future__ import annotations

import hashlib
import os
import stat
import tempfile
from dataclasses import dataclass
from pathlib import Path

from mlray.errors import StoreError

# HAProxy's 97, less `/n123` of a node, 57 characters that Ray puts before a socket, and its name.
LONGEST_SCRATCH = 33


@dataclass(frozen=True, slots=True)
class Home:
    """Paths and addresses below one private folder (mode 0700). Making a Home touches nothing; `prepare` does.

    `database` is a SQLAlchemy URL, `store` a filesystem URI that every node can reach.
    """

    root: Path
    database: str
    store: str

    @classmethod
    def at(cls, root: Path | str) -> Home:
        path = Path(root).expanduser().absolute()
        return cls(path, f"sqlite:///{path / 'mlray.db'}", (path / "store").as_uri())

    @classmethod
    def locate(cls) -> Home:
        """From MLRAY_HOME (default `~/.mlray`), MLRAY_DATABASE and MLRAY_STORE."""
        plain = cls.at(os.environ.get("MLRAY_HOME", "~/.mlray"))
        return cls(plain.root, os.environ.get("MLRAY_DATABASE", plain.database), os.environ.get("MLRAY_STORE", plain.store))

    @property
    def keyring(self) -> Path:
        return self.root / "keyring.json"

    def cluster(self, name: str) -> Path:
        """What mlray knows of one cluster: its token, its nodes, where to reach it."""
        return self.root / "clusters" / name

    def scratch(self, name: str) -> Path:
        """A short private folder for a cluster's Ray sessions: paths of Unix sockets end at 107 bytes, HAProxy's at 97.

        It is in TMPDIR where that is short enough, else in /tmp.
        """
        tag = hashlib.sha256(f"{self.root}\0{name}".encode()).hexdigest()[:8]
        wanted, always = (Path(top) / f"mlray-{os.getuid()}" / tag for top in (tempfile.gettempdir(), "/tmp"))
        return wanted if len(str(wanted)) <= LONGEST_SCRATCH else always

    def prepare(self) -> Home:
        private_folder(self.root)
        return self

    def environment(self) -> dict[str, str]:
        """What a child process needs to find this home again. Holds no secret."""
        return {"MLRAY_HOME": str(self.root), "MLRAY_DATABASE": self.database, "MLRAY_STORE": self.store}


def private_folder(path: Path) -> Path:
    """Makes the folder, its missing parents included, readable by its owner alone. Refuses one that is not ours, or is for all."""
    for folder in [*reversed([p for p in path.parents if not p.exists()]), path]:
        folder.mkdir(mode=0o700, exist_ok=True)
    held = path.stat()
    if held.st_uid != os.getuid():
        raise StoreError(f"{path} belongs to another user", hint="set MLRAY_HOME to a folder of your own")
    if held.st_mode & stat.S_ISVTX:  # the mark of /tmp and its like, which closing would take from everybody
        raise StoreError(f"{path} is for everybody to write in", hint="use a folder of your own in it")
    path.chmod(0o700)
    return path


def write_private(path: Path, text: str) -> None:
    """Replaces the file in one step, mode 0600, flushed to disk before it takes the name."""
    private_folder(path.parent)
    draft = path.with_name(f".{path.name}.{os.getpid()}.draft")
    handle = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    try:
        os.write(handle, text.encode())
        os.fsync(handle)
    finally:
        os.close(handle)
    os.replace(draft, path)
