"""Run a module that is a node, and end it in order when standard input is closed: no child outlives its parent.

python -m nav_vlm_sim.ros.leashed MODULE [arguments of the node ...]
"""

from __future__ import annotations

import os
import runpy
import signal
import sys
import threading


def _follow() -> None:
    """Wait for the end of standard input, then ask this process to stop, as Ctrl-C does."""
    while os.read(0, 4096):
        pass
    os.kill(os.getpid(), signal.SIGINT)


def main() -> None:
    """Become the module that the first argument names."""
    module = sys.argv[1]
    sys.argv[:] = [module, *sys.argv[2:]]
    threading.Thread(target=_follow, name="leash", daemon=True).start()
    runpy.run_module(module, run_name="__main__", alter_sys=True)


if __name__ == "__main__":
    main()
