"""The HAProxy that Serve starts, with what Ray's configuration leaves open closed first, and the doors of deployments added."""

from __future__ import annotations

from pathlib import Path


def haproxy_script(binary: Path, folder: Path) -> str:
    """A program that stands in for `binary`, which Ray calls with `-db -f CONFIG ...` whenever something changes.

    Ray binds Serve's frontend, the metrics and the statistics pages to every address and makes the control socket
    writable for everyone. It has no setting for these (a host of its own would bind the replicas to it as well, out of
    the head's reach), so they are corrected in the configuration, each time: all of it listens on loopback. Callers come
    in through doors: frontends with their own address and TLS, which deployments put into `folder`/doors. A
    configuration that cannot be corrected is not started.
    """
    return f"""#!/bin/sh
set -e
sed -i -e 's/^\\( *bind \\)\\**:/\\1127.0.0.1:/' -e 's/ mode 666 / mode 600 /' "$3"
if grep -Eq '^ *bind +(\\*|:|0\\.0\\.0\\.0)|mode 666' "$3"; then
  echo 'this configuration cannot be closed to strangers' >&2
  exit 1
fi
for door in '{folder}'/doors/*.cfg; do
  if [ -e "$door" ]; then cat "$door" >> "$3"; fi
done
exec '{binary}' "$@"
"""
