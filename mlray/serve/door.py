"""The door of a deployment: the HAProxy frontend that callers reach, as text.

Serve's own HAProxy listens on loopback for everything; a door is one more frontend of the same process, so it costs no
second hop. It lets the paths of one deployment through to that deployment's replicas, speaks TLS where told to, and shows
nothing of Serve's own pages (routes, statistics, metrics).
"""

from __future__ import annotations

from dataclasses import dataclass

# A header that trickles in holds a connection for this long at most; an idle one is closed after a minute.
HEADER_S, IDLE_S = 10, 60
CLOSED = '{\\"error\\":\\"no replica is ready\\"}'
NOTHING = '{\\"error\\":\\"nothing is here; paths begin with /v2\\"}'


@dataclass(frozen=True, slots=True)
class Opening:
    """Where a deployment's door stands. `pem` is a private file of certificate and key on the head ("": no TLS)."""

    deployment: str
    host: str
    port: int
    pem: str = ""

    @property
    def address(self) -> str:
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"

    @property
    def url(self) -> str:
        return f"{'https' if self.pem else 'http'}://{self.address}"


def frontend(door: Opening) -> str:
    """The configuration of one door. The backend is named at run time: HAProxy starts before the first replica does."""
    name = door.deployment
    tls = f" ssl crt {door.pem} alpn h2,http/1.1 ssl-min-ver TLSv1.2" if door.pem else ""
    return f"""
frontend door-{name}
    bind {door.address}{tls}
    timeout client {IDLE_S}s
    timeout http-request {HEADER_S}s
    http-request return status 404 content-type application/json string "{NOTHING}" unless {{ path /v2 }} or {{ path_beg /v2/ }}
    # A prediction takes milliseconds: watching for callers that hang up meanwhile would cost more than finishing it.
    http-request set-header x-request-disconnect-disabled ?1
    http-request set-path /{name}%[path]
    use_backend %[str({backend(name)})]
    default_backend door-{name}-closed
backend door-{name}-closed
    http-request return status 503 content-type application/json string "{CLOSED}" hdr retry-after 1
"""


def backend(app: str) -> str:
    """What Serve calls the backend of an application in its HAProxy configuration."""
    return f"http-{app}"
