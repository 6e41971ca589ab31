"""A floor plan as a scene that can be drawn, and as what somebody who walks there meets."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import numpy as np

from nav_vlm_sim import furniture
from nav_vlm_sim.furniture import Item, Part, Rng, Vector
from nav_vlm_sim.scene import Light, Scene, four_walls, light, shell
from nav_vlm_sim.walks.floorplan import EXIT_SIGN, INWARD, OPEN_DOOR, OPPOSITE, WALL, FloorPlan, OnWall, Room

SOLID = (*furniture.ON_FLOOR, "column", "stairs", "cash machine")
CLEARANCE = 0.03  # metres between the top of what hangs on a wall and the ceiling
SIGN_ROOM = 0.34  # metres above a door's frame that a sign needs
BEHIND_FRAME = 0.02  # metres by which a wall ends behind a door's frame: in one plane, both would be drawn in turns
WALL_TOP, WALL_FOOT = 1.5, 0.3  # a solid of the shell that reaches over and under these heights [m] is in the way
MAKE_ON_WALL = {
    "lift": furniture.lift, "stairs": furniture.stairs, "picture": furniture.picture,
    "cash machine": furniture.cash_machine,
}  # fmt: skip


@dataclass(frozen=True)
class Building:
    """scene: all rooms, in the plan's frame. lights: of each room, by its name. items: those of the scene, first those
    of plan.walls, then those of plan.things."""

    plan: FloorPlan
    scene: Scene
    lights: dict[str, list[Light]]

    def lights_at(self, x: float, y: float) -> list[Light]:
        """The two lamps of the room that one is in."""
        room = self.plan.room_at(x, y) or self.plan.rooms[0]
        return self.lights[room.name]

    def item(self, index: int) -> Item:
        """The item of plan.walls[index]."""
        return self.scene.items[index]

    def solids(self, *, walking: bool = True) -> list[Vector]:
        """[4, 2] corners on the floor, metres, of everything that a body cannot walk through: walls, what stands on
        floors, the leaves of open doors. walking: also the people who walk, where they begin."""
        walls = [_footprint(part) for part in self.scene.shell if _in_the_way(part)]
        on_floor = [
            item.corners()
            for index, item in enumerate(self.scene.items)
            if item.kind in SOLID and (walking or index not in self.scene.speeds)
        ]
        leaves = [item.leaf_corners() for item in self.scene.items if len(item.leaf)]
        return walls + on_floor + leaves


def build(plan: FloorPlan, family: str = "train") -> Building:
    """How the plan's seed makes it look; always the same for the same plan."""
    rng = np.random.default_rng([plan.seed, 606])
    on_walls = _hang_all(rng, plan)
    items = [*on_walls, *(_stand(rng, plan, index) for index in range(len(plan.things)))]
    parts: list[Part] = []
    lights: dict[str, list[Light]] = {}
    ambient = headlight = 0.0
    for room in plan.rooms:
        openings = [
            _seen_from(plan, room, part, on_walls[k]) for k, part in enumerate(plan.walls) if _opens(room, part)
        ]
        wall_rgb = furniture.colour(rng, (0.5, 1), (0, 0.35))
        parts += [
            _moved(part, room) for part in shell(rng, room.half, plan.height, four_walls(room.half), openings, wall_rgb)
        ]
        lamps, ambient, headlight = light(rng, room.half, plan.height, family)
        x, y = room.centre
        lights[room.name] = [replace(lamp, position=_plus(lamp.position, x, y)) for lamp in lamps]
    whole = (max(room.x[1] for room in plan.rooms) / 2, max(room.y[1] for room in plan.rooms) / 2)
    segments = np.array([edge for part in parts if _in_the_way(part) for edge in _edges(_footprint(part))])
    scene = Scene(
        seed=plan.seed, room="building", family=family, half=whole, height=plan.height, shell=parts, items=items,
        lights=lights[plan.rooms[0].name], ambient=ambient, headlight=headlight, segments=segments,
        speeds={
            len(plan.walls) + k: thing.speed for k, thing in enumerate(plan.things) if thing.speed
        },
    )  # fmt: skip
    return Building(plan, scene, lights)


def _hang_all(rng: Rng, plan: FloorPlan) -> list[Item]:
    """What is on the walls, in the plan's order; a sign over a door hangs above its frame."""
    over = {k: _door_below(plan, part) for k, part in enumerate(plan.walls) if part.kind == EXIT_SIGN}
    lower = {door for door in over.values() if door is not None}
    items: dict[int, Item] = {}
    for k, part in enumerate(plan.walls):
        if k not in over:
            items[k] = _hang(rng, plan, part, plan.height - CLEARANCE - (SIGN_ROOM if k in lower else 0.0))
    for k, door in over.items():
        items[k] = _hang(rng, plan, plan.walls[k], plan.height - CLEARANCE)
        if door is not None:
            _lift(items[k], max(0.0, items[door].height + CLEARANCE - items[k].bottom))
    return [items[k] for k in range(len(plan.walls))]


def _door_below(plan: FloorPlan, sign: OnWall) -> int | None:
    for k, part in enumerate(plan.walls):
        if part.kind == OPEN_DOOR and (part.room, part.wall) == (sign.room, sign.wall) and abs(part.at - sign.at) < 1.1:
            return k
        behind = part.kind == OPEN_DOOR and (part.to, OPPOSITE[part.wall]) == (sign.room, sign.wall)
        if behind and abs(part.at - sign.at) < 1.1:
            return k
    return None


def _lift(item: Item, by: float) -> None:
    item.parts = [replace(part, position=(*part.position[:2], part.position[2] + by)) for part in item.parts]
    item.height, item.bottom = item.height + by, item.bottom + by


def _hang(rng: Rng, plan: FloorPlan, part: OnWall, top: float) -> Item:
    """What hangs on a wall, in its place, no higher than `top` metres."""
    room, yaw = plan.room(part.room), INWARD[part.wall]
    while True:
        if part.kind in ("door", "exit", "toilet"):
            item = furniture.door(rng, part.kind)
        elif part.kind == OPEN_DOOR:
            item = furniture.open_door(rng, sill=WALL)
        elif part.kind == EXIT_SIGN:
            item = furniture.exit_sign(rng, part.arrow)
        else:
            item = MAKE_ON_WALL[part.kind](rng)
        if item.height <= top:
            break
    # The anchor of a flight of stairs is its foot: it stands into the room.
    depth = float(-item.footprint[:, 0].min(initial=0.0)) if part.kind == "stairs" else 0.0
    x, y = room.on(part.wall, part.at)
    item.x, item.y, item.yaw = x + math.cos(yaw) * depth, y + math.sin(yaw) * depth, yaw
    return item


def _stand(rng: Rng, plan: FloorPlan, index: int) -> Item:
    thing = plan.things[index]
    if thing.kind == "column":
        r = rng.uniform(0.15, 0.25)
        part = Part("box", (0, 0, plan.height / 2), (r, r, plan.height / 2), furniture.colour(rng, (0.5, 1), (0, 0.35)))
        item = Item("column", [part], furniture.rectangle(r, r), plan.height)
    else:
        item = furniture.ON_FLOOR[thing.kind](rng)
    item.x, item.y, item.yaw = thing.x, thing.y, math.radians(thing.yaw)
    return item


def _opens(room: Room, part: OnWall) -> bool:
    return part.kind == OPEN_DOOR and room.name in (part.room, part.to)


def _seen_from(plan: FloorPlan, room: Room, part: OnWall, item: Item) -> Item:
    """An open door in a room's own frame, as its shell leaves it out: also from behind."""
    wall = part.wall if part.room == room.name else OPPOSITE[part.wall]
    x, y = room.on(wall, part.at)
    wider = item.footprint + (0, BEHIND_FRAME) * np.sign(item.footprint)
    middle = room.centre
    return replace(
        item, x=x - middle[0], y=y - middle[1], yaw=INWARD[wall], footprint=wider, height=item.height + BEHIND_FRAME
    )


def _moved(part: Part, room: Room) -> Part:
    return replace(part, position=_plus(part.position, *room.centre))


def _plus(position: tuple[float, float, float], x: float, y: float) -> tuple[float, float, float]:
    return position[0] + x, position[1] + y, position[2]


def _in_the_way(part: Part) -> bool:
    low, high = part.position[2] - part.size[2], part.position[2] + part.size[2]
    return low < WALL_FOOT and high > WALL_TOP


def _footprint(part: Part) -> Vector:
    c, s = math.cos(part.yaw), math.sin(part.yaw)
    corners = furniture.rectangle(part.size[0], part.size[1]) @ np.array([[c, s], [-s, c]])
    return np.asarray(corners + part.position[:2])


def _edges(corners: Vector) -> list[list[float]]:
    return [[*a, *b] for a, b in zip(corners, np.roll(corners, -1, axis=0), strict=True)]
