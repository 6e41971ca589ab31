"""What every test of the training has."""

from __future__ import annotations

import signal

import pytest


@pytest.fixture(autouse=True)
def ctrl_c() -> None:
    """Ctrl-C interrupts, whatever an earlier test of the same process left to handle it."""
    signal.signal(signal.SIGINT, signal.default_int_handler)
