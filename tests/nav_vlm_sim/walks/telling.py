"""What tells somebody the way where they stand: the goal itself, a sign, or the door that is the only way on."""

from __future__ import annotations

import itertools
import math

from nav_vlm_sim.walks.episode import Stage
from nav_vlm_sim.walks.floorplan import EXIT_SIGN, OPEN_DOOR, OnWall, Room
from nav_vlm_sim.walks.space import Point

BEFORE = 0.3  # metres before what hangs on a wall
ARROWS = {"left": -math.pi / 2, "ahead": math.pi, "right": math.pi / 2}  # from the sign's normal to where it sends


def untold(stage: Stage, way: list[Point], goal: str) -> list[Point]:
    """The points of a way, half a metre apart, from which nothing tells that way to the goal."""
    points = along(way)
    return [here for k, here in enumerate(points) if not told(stage, here, points[k:], goal)]


def told(stage: Stage, here: Point, rest: list[Point], goal: str) -> bool:
    """Whether something in sight tells the rest of the way."""
    if any(stage.space.in_sight(here, before(item.x, item.y, item.yaw)) for item in stage.goals(goal)):
        return True
    plan = stage.building.plan
    room = plan.room_at(*here)
    assert room is not None
    out = next((point for point in rest if not room.holds(*point, -0.11)), rest[-1])
    doors = [part for part in plan.walls if part.kind == OPEN_DOOR and room.name in (part.room, part.to)]
    in_sight = [door for door in doors if stage.space.in_sight(here, middle(stage, door))]
    through = min(doors, key=lambda door: math.dist(middle(stage, door), out), default=None)
    if through in in_sight and len(doors) == 1:
        return True
    signs = [part for part in plan.walls if part.kind == EXIT_SIGN and part.room == room.name]
    return goal == "exit" and any(sends(stage, room, sign, here, rest[-1]) for sign in signs)


def sends(stage: Stage, room: Room, sign: OnWall, here: Point, end: Point) -> bool:
    """Whether a sign is in sight and points to where a way ends, as seen from the sign."""
    item = stage.building.item(stage.building.plan.walls.index(sign))
    towards = item.yaw + ARROWS[sign.arrow]
    along_arrow = (end[0] - item.x) * math.cos(towards) + (end[1] - item.y) * math.sin(towards)
    return along_arrow > 0.5 and stage.space.in_sight(here, before(item.x, item.y, item.yaw))


def middle(stage: Stage, door: OnWall) -> Point:
    return stage.building.plan.room(door.room).on(door.wall, door.at)


def before(x: float, y: float, yaw: float) -> Point:
    return x + BEFORE * math.cos(yaw), y + BEFORE * math.sin(yaw)


def along(way: list[Point], step: float = 0.5) -> list[Point]:
    points = [way[0]]
    for a, b in itertools.pairwise(way):
        count = max(1, math.ceil(math.dist(a, b) / step))
        points += [(a[0] + (b[0] - a[0]) * k / count, a[1] + (b[1] - a[1]) * k / count) for k in range(1, count + 1)]
    return points
