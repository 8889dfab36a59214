"""Where deployments answer, and this home's own token for them: what `mlray predict NAME` needs, found without Ray.

An edge. Endpoints lie in their cluster's folder, so they go when the cluster does.
"""

from __future__ import annotations

import json
import os
from dataclasses import asdict, dataclass

from mlray.access.spec import Role
from mlray.access.store import TokenStore
from mlray.access.token import Unknown, check
from mlray.clock import Clock
from mlray.errors import SpecError
from mlray.home import Home, write_private
from mlray.units import Duration

TOKEN_LASTS = Duration(30 * 86400)


@dataclass(frozen=True, slots=True)
class Endpoint:
    """One deployment's address. `ca` is the certificate file that its TLS is checked against ("": the system's)."""

    deployment: str
    url: str
    model: str
    cluster: str
    ca: str = ""


def remember(home: Home, endpoint: Endpoint) -> None:
    path = home.cluster(endpoint.cluster) / "endpoints" / f"{endpoint.deployment}.json"
    write_private(path, json.dumps(asdict(endpoint)))


def endpoints(home: Home) -> tuple[Endpoint, ...]:
    """All that answer, by name."""
    files = home.cluster("any").parent.glob("*/endpoints/*.json")
    return tuple(sorted((Endpoint(**json.loads(file.read_text())) for file in files), key=lambda e: (e.deployment, e.cluster)))


def find(home: Home, deployment: str) -> Endpoint:
    """Raises SpecError that lists what there is when nothing has that name."""
    known = endpoints(home)
    found = [endpoint for endpoint in known if endpoint.deployment == deployment]
    if not found:
        names = ", ".join(sorted({endpoint.deployment for endpoint in known}))
        raise SpecError(f"no deployment is named {deployment}", hint=f"there are: {names}" if names else "run mlray deploy first")
    return found[0]


def own_token(home: Home, clock: Clock) -> str:
    """The token that this home calls its own deployments with: made on first use, kept in a private file, renewed when it ends."""
    path = home.root / "token"
    store, now = TokenStore(home.database), clock.now()
    if path.is_file():
        text = path.read_text().strip()
        if not isinstance(check(text, store.records(), now), Unknown):
            return text
    text, _ = store.issue(Role.VIEWER, f"user {os.getuid()} of {home.root}", TOKEN_LASTS, now)
    write_private(path, text)
    return text
