from __future__ import annotations

import os
from collections.abc import Iterator

import pytest

os.environ.setdefault("LP_NUM_THREADS", "1")  # tests run in parallel already

from nav_vlm_sim.world import World


@pytest.fixture(scope="session")
def world() -> Iterator[World]:
    """One drawing machine for all rooms of a test process: making one takes as long as drawing fifty pictures."""
    with World(77) as made:
        yield made
