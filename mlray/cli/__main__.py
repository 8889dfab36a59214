"""`python -m mlray.cli` is `mlray`."""

from __future__ import annotations

import sys

from mlray.cli import main

sys.exit(main())
