"""The HAProxy that Serve starts, with what Ray's configuration leaves open closed first."""

from __future__ import annotations

from pathlib import Path

CERTIFICATE = "serve.pem"


def haproxy_script(binary: Path, folder: Path) -> str:
    """A program that stands in for `binary`, which Ray calls with `-db -f CONFIG ...`.

    Ray binds the metrics and statistics pages to every address and makes the control socket writable for everyone, and has no
    setting for either: both are corrected in the configuration, each time. The service's own port is as the deployment
    says; it speaks TLS when `folder` holds serve.pem (certificate and key), which Ray's configuration cannot express.
    A configuration that cannot be corrected is not started.
    """
    return f"""#!/bin/sh
set -e
sed -i -e '/^frontend prometheus/,/^frontend http_frontend/ s/bind :/bind '"$MLRAY_NODE_IP"':/' \\
  -e '/^listen stats/,$ s/bind \\*:/bind '"$MLRAY_NODE_IP"':/' -e 's/ mode 666 / mode 600 /' "$3"
if [ -e '{folder / CERTIFICATE}' ]; then
  sed -i -e '/^frontend http_frontend/,/^backend/ s|^\\( *bind [^ ]*\\)$|\\1 ssl crt {folder / CERTIFICATE} ssl-min-ver TLSv1.2|' "$3"
fi
exec '{binary}' "$@"
"""
