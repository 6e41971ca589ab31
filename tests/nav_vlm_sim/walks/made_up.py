"""Walks for tests that nobody walked."""

from __future__ import annotations

import math

from nav_vlm_sim.walks.episode import Episode, Turn
from nav_vlm_sim.walks.floorplan import Walk
from nav_vlm_sim.walks.picks import Kept
from nav_vlm_sim.walks.walker import Touches


def turn(*, direction: float = 0.0, wanted: float = 0.0, reversal: bool | None = None, text: str = "Move.") -> Turn:
    return Turn(0.0, 1.0, 1.0, 0.0, "UNSURE" if math.isnan(direction) else "OK", text, direction, wanted, reversal)


def walked(
    guide: str = "model",
    kind: str = "B",
    *,
    arrived: bool = True,
    collisions: int = 0,
    reversals: int = 0,
    plan: str = "1",
) -> Kept:
    """One that ended like that."""
    turns = [turn(reversal=k < reversals) for k in range(reversals + 1)]
    walk = Walk(x=1.0, y=1.0, yaw=0.0, goal="exit", kind=kind)
    episode = Episode("made up", 0, walk, arrived=arrived, turns=turns, touches=Touches(collisions=collisions))
    return Kept(guide, plan, 0, episode)
