"""The first process of a local node: runs one command, adopts what it leaves behind, and ends with the last of it.

Ray's processes outlive the `ray start` that made them, some in sessions of their own, some with their environment
overwritten by their title. As a subreaper this process stays the ancestor of all of them, so that a node can be found
and ended whole. It runs as a bare script (`python -I -S keeper.py FD COMMAND`), holds about 9 MB, and reports the
command's exit code through the file descriptor. It begins when it reads `go`, once it is known to the cluster's record.
"""

import ctypes
import os
import resource
import subprocess
import sys

PR_SET_CHILD_SUBREAPER = 36


def main() -> None:
    """Core dumps are off: a dump of a worker would hold opened data and keys."""
    report, command = int(sys.argv[1]), sys.argv[2]
    os.set_inheritable(report, False)
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    ctypes.CDLL(None, use_errno=True).prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
    if sys.stdin.read() != "go":
        return
    code = subprocess.run(["bash", "-c", command], stdin=subprocess.DEVNULL).returncode
    os.write(report, str(code).encode())
    os.close(report)
    while True:
        try:
            os.wait()
        except ChildProcessError:
            return


if __name__ == "__main__":
    main()
