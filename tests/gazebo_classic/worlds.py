"""The worlds that a real Gazebo shows: plans drawn from seeds, one of each kind, and all that are made by hand."""

from __future__ import annotations

from pathlib import Path

import nav_vlm_sim
from nav_vlm_sim.walks.floorplan import FloorPlan, read_plan
from nav_vlm_sim.walks.layout import KINDS
from nav_vlm_sim.walks.procedural import plan_of

DRAWN = {f"{kind} {seed}": (seed, kind) for seed, kind in enumerate(KINDS, start=1)}
BY_HAND = {path.stem: path for path in sorted((Path(nav_vlm_sim.__file__).parent / "walks" / "plans").glob("*.yaml"))}
NAMES = (*DRAWN, *BY_HAND)


def plan_named(name: str) -> FloorPlan:
    """One of NAMES."""
    return plan_of(*DRAWN[name]) if name in DRAWN else read_plan(BY_HAND[name])
