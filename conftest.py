"""Plugins of the test run; the fixtures are in tests/conftest.py."""

import os
import signal

pytest_plugins = ("tests.skip_policy",)

# Threads that spin while others wait make small models many times slower where several processes share few cores.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
# A run in the background of a script starts with SIGINT ignored, and the processes that tests start would inherit that.
signal.signal(signal.SIGINT, signal.default_int_handler)
