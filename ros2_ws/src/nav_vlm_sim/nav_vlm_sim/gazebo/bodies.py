"""What is exported of a building: bodies made of the same solids that MuJoCo draws."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from nav_vlm_node.errors import UserError
from nav_vlm_sim.furniture import Part
from nav_vlm_sim.walks.building import Building

SHELL = "shell"
SIGNS = ("exit_", "exit_left", "exit_right", "exit_ahead", "toilet")  # materials that are pictures
# Of each colour channel in silhouettes. No mixture of two in quarters, as smoothed edges have them, is near a third.
_LEVELS = (0, 70, 101, 152, 222, 255)
MOST_SILHOUETTES = len(_LEVELS) ** 3 - 1


@dataclass(frozen=True)
class Body:
    """x, y [m], yaw [rad]: where its frame is. item: its index in scene.items, None for the shell of the building."""

    name: str
    parts: Sequence[Part]
    x: float = 0.0
    y: float = 0.0
    yaw: float = 0.0
    item: int | None = None


def bodies(building: Building) -> list[Body]:
    """The shell (floors, walls, ceilings) and one body for every item."""
    items = [
        Body(f"item_{index:03d}_{slug(item.kind)}", item.parts, item.x, item.y, item.yaw, index)
        for index, item in enumerate(building.scene.items)
    ]
    return [Body(SHELL, building.scene.shell), *items]


def slug(name: str) -> str:
    """The name with letters, digits and _ only."""
    return re.sub(r"\W+", "_", name, flags=re.ASCII).strip("_")


def silhouette_colour(item: int | None) -> tuple[int, int, int]:
    """The colour, 0..255, that nothing but this item has; black is the shell's. Raises UserError for too many items."""
    code = 0 if item is None else item + 1
    if code > MOST_SILHOUETTES:
        raise UserError(f"{item + 1 if item else 0} items: silhouettes have colours for {MOST_SILHOUETTES}")
    n = len(_LEVELS)
    return _LEVELS[code // n**2], _LEVELS[code // n % n], _LEVELS[code % n]
