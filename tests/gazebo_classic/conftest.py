"""Gazebo Classic in its chroot, or a skip; and the file in docs/results that `make gazebo` writes.

NAV_VLM_GAZEBO_RESULTS: where to write it; without it nothing is written.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from nav_vlm_node import results
from tests.gazebo_classic.server import missing
from tests.gazebo_classic.worlds import DRAWN, NAMES


@pytest.fixture(scope="session")
def figures(request: pytest.FixtureRequest) -> Iterator[dict[str, Any]]:
    """What the tests measure: "worlds", by name, and "walks". Written at the end, if it is all and nothing failed."""
    if missing():
        pytest.skip(missing())
    seeds = {name: seed for name, (seed, _) in DRAWN.items()}
    facts = results.record("make gazebo", seeds=seeds, packages=("numpy", "mujoco", "torch", "transformers"))
    found: dict[str, Any] = {"simulator": "Gazebo Classic 11.1 (Debian 11) in a chroot", "worlds": {}, "walks": {}}
    yield found
    out = os.environ.get("NAV_VLM_GAZEBO_RESULTS")
    if out and len(found["worlds"]) == len(NAMES) and found["walks"] and not request.session.testsfailed:
        results.write(Path(out), {**facts, **found})
