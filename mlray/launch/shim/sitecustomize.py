"""Python runs this at the start of every process of a node; it acts in `ray start` and in Ray's workers that spill.

Should it fail, Python goes on without it, and Ray refuses the spill parameters: see mlray/launch/spill.py.
"""

import os
import sys

SPILLS = {"--worker-type=SPILL_WORKER", "--worker-type=RESTORE_WORKER"}
words = sys.orig_argv
starts = len(words) > 2 and os.path.basename(words[1]) == "ray" and words[2] == "start"
spills = len(words) > 2 and any(word.endswith("default_worker.py") for word in words[1:3]) and not SPILLS.isdisjoint(words)
if starts or spills:
    from mlray.launch.spill import install

    install(os.environ["MLRAY_NODE_MEMORY"])
