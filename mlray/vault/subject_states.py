"""SubjectStates: the state from which the keys of a dataset's subjects are derived, sealed in scope personal.

    datasets/<name>/subjects/000000000002       signed; the highest number counts

An erasure claims the next number and destroys the older ones, so two erasures at once both hold. The home remembers the number:
an older state put back, in which an erased subject has a key again, is noticed.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Sequence

from mlray.errors import StoreError, TamperError
from mlray.vault import witness
from mlray.vault.blobs import Blobs
from mlray.vault.keyring import KEY_BYTES, WrappedKey
from mlray.vault.notary import SUBJECTS, Notary
from mlray.vault.sealing import open_bytes, seal_bytes
from mlray.vault.subjects import SubjectKeys
from mlray.vault.version import digest_bytes
from mlray.vault.witness import Seen, Witness

TRIES = 50


class SubjectStates:
    def __init__(self, blobs: Blobs, notary: Notary, seen: Witness) -> None:
        self._blobs, self._notary, self._witness = blobs, notary, seen

    def find(self, name: str) -> SubjectKeys | None:
        """The state, or None where no subject was ever sealed for. Raises KeyringError without the key of scope personal."""
        return self._stored(name)[1]

    def make(self, name: str) -> SubjectKeys:
        """The state, made by the first that asks."""
        found = self.find(name)
        return found if found is not None else self.change(name, lambda state: state)

    def change(self, name: str, step: Callable[[SubjectKeys], SubjectKeys]) -> SubjectKeys:
        """Puts `step` of the state in its place, under a fresh key; older states are destroyed."""
        for _ in range(TRIES):
            number, state = self._stored(name)
            after = step(state if state is not None else SubjectKeys.fresh(os.urandom(2 * KEY_BYTES)))
            if self._claim(name, number + 1, after):
                if self._newest_number(name) == number + 1:
                    self._forget(name, number)
                    return after
                # Others went on from where we began, and the number was free again: theirs counts, and our step is not in it.
                self._blobs.destroy_file(f"{_folder(name)}/{number + 1:012d}")
        raise StoreError(f"{name}: others change its subjects all the time", hint="try again")

    def _stored(self, name: str) -> tuple[int, SubjectKeys | None]:
        """The newest state. One that is replaced is destroyed, maybe while it is read: then the folder has changed, and is read again."""
        while True:
            before = self._witness.last(f"dataset-{name}", "subjects")
            files = self._blobs.files(_folder(name))
            try:
                return self._newest(name, files, before)
            except TamperError:
                if self._blobs.files(_folder(name)) == files:
                    raise

    def _newest(self, name: str, files: Sequence[str], before: Seen | None) -> tuple[int, SubjectKeys | None]:
        for file in reversed(files):
            data = self._blobs.read(f"{_folder(name)}/{file}")
            if data is not None:
                return self._opened(name, file, data, before)
        if before:
            raise TamperError(f"{name}: the keys of its subjects are gone: this home has seen them", hint="restore them from your backup")
        return 0, None

    def _opened(self, name: str, file: str, data: bytes, before: Seen | None) -> tuple[int, SubjectKeys]:
        what, place = f"{name}: the keys of its subjects", _place(name, file)
        value = json.loads(self._notary.read(SUBJECTS, data, what))
        if value["of"] != place:
            raise TamperError(f"{what} were made for {value['of']}")
        self._witness.see(f"dataset-{name}", "subjects", witness.counted(int(file), digest_bytes(data)), what, before)
        key = self._notary.keyring().unwrap(WrappedKey.from_json(value["key"]), place)
        return int(file), SubjectKeys.from_bytes(open_bytes(key, bytes.fromhex(value["state"]), place))

    def _newest_number(self, name: str) -> int:
        return max(map(int, self._blobs.files(_folder(name))), default=0)

    def _claim(self, name: str, number: int, state: SubjectKeys) -> bool:
        file = f"{number:012d}"
        key, wrapped = self._notary.keyring().new_key(_place(name, file), "personal")
        sealed = seal_bytes(key, state.to_bytes(), _place(name, file))
        line = json.dumps({"of": _place(name, file), "key": wrapped.to_json(), "state": sealed.hex()}, sort_keys=True).encode()
        data = self._notary.sign(SUBJECTS, line)
        won = self._blobs.claim(f"{_folder(name)}/{file}", data)
        if won:
            self._witness.remember(f"dataset-{name}", "subjects", witness.counted(number, digest_bytes(data)))
        return won

    def _forget(self, name: str, number: int) -> None:
        for file in self._blobs.files(_folder(name)):
            if int(file) <= number:
                self._blobs.destroy_file(f"{_folder(name)}/{file}")


def _folder(name: str) -> str:
    return f"datasets/{name}/subjects"


def _place(name: str, file: str) -> str:
    return f"dataset {name}: subjects/{file}"
