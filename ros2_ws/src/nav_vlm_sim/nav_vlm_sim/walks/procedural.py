"""Floor plans by seed: a building of some kind, furnished, with people in it and walks to take there.

Of every plan: a walk with the target in view (A), one that signs, arrows or open doors lead (B), one with neither (C).
A sign is an exit sign, and leads to the exit; to other goals only an open door that is the only way on tells the way.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace

import cv2
import numpy as np

from nav_vlm_node.errors import UserError
from nav_vlm_sim.furniture import Item, Rng
from nav_vlm_sim.walks.building import Building, build
from nav_vlm_sim.walks.episode import Stage
from nav_vlm_sim.walks.floorplan import CLASSES, EXIT_SIGN, INWARD, OPEN_DOOR, FloorPlan, OnWall, Room, Thing, Walk
from nav_vlm_sim.walks.layout import KINDS, STYLES, Layout, NoPlaceError, lay_out

ATTEMPTS = 200
CELL = 0.05  # metres, of the grid that tells who gets where
BODY = 0.25  # metres, radius of who walks
RADIUS = {
    "table": 0.9, "chair": 0.33, "sofa": 1.1, "box": 0.5, "plant": 0.36, "person": 0.32, "trolley": 0.65,
}  # fmt: skip
DOORS = ("door", OPEN_DOOR, "exit", "toilet")
SLIM = 3.5  # metres: in what is narrower, things stand along the walls
PACE = (0.6, 1.1)  # m/s, of people who walk
# Begins so far from the goal that is in view [m], and faces it within so many degrees.
NEAR, FAR, ASIDE = 1.8, 7.0, 30.0
BEFORE = 0.3  # metres before a thing, where the spot is that one must see to see it


def plan_of(seed: int, kind: str = "") -> FloorPlan:
    """The plan of this seed; equal for equal arguments. kind: of KINDS, "" to have it drawn.

    A body of radius BODY gets from the start to the goal of each of its walks. Raises UserError for an unknown kind.
    """
    if kind not in ("", *KINDS):
        raise UserError(f"no buildings of kind {kind!r}; use {', '.join(KINDS)}")
    rng = np.random.default_rng([seed, 707])
    chosen = kind or str(rng.choice(KINDS))
    for _ in range(ATTEMPTS):
        try:
            layout = lay_out(rng, STYLES[chosen])
        except NoPlaceError:
            continue
        plan = FloorPlan(
            name=f"{chosen} {seed}", rooms=tuple(layout.rooms), walls=tuple(layout.walls),
            things=tuple(_furnish(rng, layout)), height=round(rng.uniform(*layout.style.height), 2), seed=seed,
        )  # fmt: skip
        walks = _walks(rng, plan, layout)
        if _every_class(walks):
            stage = Stage(plan)
            walks = [walk for walk in walks if stage.way((walk.x, walk.y), walk.goal)]
        if _every_class(walks):
            return turned(replace(plan, walks=tuple(walks)), int(rng.integers(4)))
    raise AssertionError(f"no plan of kind {chosen} for seed {seed}")


def _every_class(walks: Sequence[Walk]) -> bool:
    return {walk.kind for walk in walks} == set(CLASSES)


def turned(plan: FloorPlan, quarters: int) -> FloorPlan:
    """The plan turned counterclockwise by so many right angles, its south-west corner at the origin."""
    for _ in range(quarters % 4):
        plan = _quarter(plan)
    left, low = min(room.x[0] for room in plan.rooms), min(room.y[0] for room in plan.rooms)
    return _shifted(plan, -left, -low)


# ---- furniture and people ----------------------------------------------------------------------


def _furnish(rng: Rng, layout: Layout) -> list[Thing]:
    kept_free = [spot for part in layout.walls for spot in _kept_free(layout, part)]
    things: list[Thing] = []
    for room in layout.rooms:
        slim = 2 * min(room.half) < SLIM
        area = 4 * room.half[0] * room.half[1]
        for _ in range(int(rng.integers(1, 3 if slim else max(3, min(7, int(area / 6)))))):
            kind = str(rng.choice([k for k in layout.style.things if not slim or RADIUS[k] < 0.5] or ["chair"]))
            _stand(rng, room, kind, slim, kept_free, things)
        if rng.random() < 0.25:
            _stand(rng, room, "person", slim, kept_free, things)
    spine = layout.rooms[0]
    for _ in range(int(rng.integers(0, 3))):
        x, y = rng.uniform(1.5, spine.x[1] - 1.5), rng.uniform(0.6, spine.y[1] - 0.6)
        yaw = 180.0 * int(rng.integers(2))
        if all(math.dist((x, y), (thing.x, thing.y)) > 1.2 for thing in things):
            speed = round(float(rng.uniform(*PACE)), 2)
            things.append(Thing(kind="person", x=round(x, 2), y=round(y, 2), yaw=yaw, speed=speed))
    return things


def _kept_free(layout: Layout, part: OnWall) -> list[tuple[float, float, float]]:
    """Discs x, y, radius on the floor before what is on a wall."""
    if part.kind in ("picture", EXIT_SIGN):
        return []
    (x, y), yaw = layout.room(part.room).on(part.wall, part.at), INWARD[part.wall]
    ahead, radius = (1.6, 1.7) if part.kind == "stairs" else (0.6, 1.0)
    spots = [(x + ahead * math.cos(yaw), y + ahead * math.sin(yaw), radius)]
    if part.to:
        spots.append((x - 0.7 * math.cos(yaw), y - 0.7 * math.sin(yaw), 0.9))
    return spots


def _stand(
    rng: Rng, room: Room, kind: str, slim: bool, kept_free: list[tuple[float, float, float]], things: list[Thing]
) -> None:
    """Adds a thing where there is room for it; along a wall, its back to it, or anywhere."""
    radius = RADIUS[kind]
    for _ in range(15):
        wall = str(rng.choice(list(INWARD)))
        if slim:  # not across the ends
            wall = wall if (wall in ("north", "south")) == (room.half[0] > room.half[1]) else "south"
        if slim or kind in ("sofa", "plant", "box") or rng.random() < 0.4:
            depth = {"sofa": 0.5, "table": 0.6, "trolley": 0.62, "box": 0.45}.get(kind, 0.32)
            low, high = room.along(wall)
            x, y = room.on(wall, float(rng.uniform(low, high)))
            x, y = x + depth * math.cos(INWARD[wall]), y + depth * math.sin(INWARD[wall])
            yaw = math.degrees(INWARD[wall])
        else:
            x, y, yaw = rng.uniform(*room.x), rng.uniform(*room.y), 90.0 * int(rng.integers(4))
        if slim and kind == "box":
            yaw = 0.0
        inside = room.holds(x, y, 0.3) and (min(x - room.x[0], room.x[1] - x) > radius or wall in ("east", "west"))
        inside = inside and (min(y - room.y[0], room.y[1] - y) > radius or wall in ("north", "south"))
        others = [*kept_free, *((t.x, t.y, RADIUS[t.kind] + 0.2) for t in things)]
        if inside and all(math.dist((x, y), spot[:2]) > radius + spot[2] for spot in others):
            things.append(Thing(kind=kind, x=round(float(x), 2), y=round(float(y), 2), yaw=round(yaw, 1)))
            return


# ---- walks -------------------------------------------------------------------------------------


class _Floor:
    """Where a body can be, and what sight is blocked, on a grid."""

    def __init__(self, building: Building) -> None:
        rooms = building.plan.rooms
        self._low = np.array([min(r.x[0] for r in rooms) - 0.5, min(r.y[0] for r in rooms) - 0.5])
        high = np.array([max(r.x[1] for r in rooms) + 0.5, max(r.y[1] for r in rooms) + 0.5])
        nx, ny = np.ceil((high - self._low) / CELL).astype(int)
        empty = np.full((ny, nx), 255, np.uint8)
        for corners in building.solids(walking=False):
            cv2.fillConvexPoly(empty, np.round((corners - self._low) / CELL).astype(np.int32), 0)
        self._empty = empty > 0
        self._away = np.asarray(cv2.distanceTransform(empty, cv2.DIST_L2, 5), np.float32) * CELL
        free = (self._away > BODY + CELL).astype(np.uint8)
        self._part = np.asarray(cv2.connectedComponents(free, connectivity=4)[1])
        self._walkers = [(thing.x, thing.y) for thing in building.plan.things if thing.speed]

    def _cell(self, x: float, y: float) -> tuple[int, int]:
        column, row = np.round((np.array([x, y]) - self._low) / CELL).astype(int)
        return int(row), int(column)

    def part(self, x: float, y: float) -> int:
        """Which connected part of the floor a body is in there; 0 where it cannot be."""
        return int(self._part[self._cell(x, y)])

    def holds(self, x: float, y: float, margin: float) -> bool:
        """Whether somebody can begin there, so many metres from everything, and from who walks where they begin."""
        crowded = any(math.dist((x, y), spot) < RADIUS["person"] + margin for spot in self._walkers)
        return bool(self.part(x, y)) and bool(self._away[self._cell(x, y)] > margin) and not crowded

    def parts_near(self, x: float, y: float, reach: float = 0.7) -> set[int]:
        """The parts that come so near to a point."""
        (row, column), n = self._cell(x, y), int(reach / CELL)
        return set(np.unique(self._part[max(0, row - n) : row + n + 1, max(0, column - n) : column + n + 1])) - {0}

    def sees(self, x: float, y: float, to_x: float, to_y: float, short: float = 0.0) -> bool:
        """Whether nothing stands between two points, up to `short` metres before the second."""
        distance = math.dist((x, y), (to_x, to_y))
        if distance <= short:
            return True
        steps = np.linspace(0, 1 - short / distance, int(distance / CELL) + 2)
        return all(self._empty[self._cell(x + t * (to_x - x), y + t * (to_y - y))] for t in steps)


def _walks(rng: Rng, plan: FloorPlan, layout: Layout) -> list[Walk]:
    building = build(plan)
    floor = _Floor(building)
    goals = [item for item in building.scene.items if item.kind in (*DOORS, "lift", "stairs", "chair")]
    places = [(item.kind, *_before(item)) for item in goals]
    walks = [*_in_view(rng, plan, floor, places), *_led(rng, plan, floor, places, layout)]
    led = {(room, goal) for room, goal in layout.told.items()}
    return walks + _exploring(rng, plan, floor, places, led, signs=bool(layout.signed))


Place = tuple[str, float, float]  # of a thing: its kind, and the spot before it that one must see to see it


def _before(item: Item) -> tuple[float, float]:
    return item.x + BEFORE * math.cos(item.yaw), item.y + BEFORE * math.sin(item.yaw)


def _in_view(rng: Rng, plan: FloorPlan, floor: _Floor, places: list[Place]) -> list[Walk]:
    """Up to two walks of class A."""
    found: list[Walk] = []
    for _ in range(120):
        kind, x, y = places[int(rng.integers(len(places)))]
        goal = "door" if kind == OPEN_DOOR else kind
        start = _somewhere(rng, plan.rooms[int(rng.integers(len(plan.rooms)))], floor)
        if start is None or len(found) == 2 or any(walk.goal == goal for walk in found):
            continue
        alike = [p for p in places if p[0] == goal or (goal == "door" and p[0] in DOORS)]
        distance = math.dist(start, (x, y))
        rivals = [p for p in alike if p[1:] != (x, y) and math.dist(start, p[1:]) < 1.6 * distance]
        seen = NEAR < distance < FAR and floor.sees(*start, x, y) and floor.part(*start) in floor.parts_near(x, y)
        if seen and not any(floor.sees(*start, *p[1:]) for p in rivals):
            yaw = math.degrees(math.atan2(y - start[1], x - start[0])) + rng.uniform(-ASIDE, ASIDE)
            found.append(_walk(start, yaw, goal, "A"))
    return found


def _led(rng: Rng, plan: FloorPlan, floor: _Floor, places: list[Place], layout: Layout) -> list[Walk]:
    """Walks of class B: from the room that signs lead out of, and from those whose open door shows the goal."""
    found = []
    for room, goal in [*layout.told.items(), *([(layout.signed, "exit")] if layout.signed else [])]:
        door = next(part for part in plan.walls if part.kind == OPEN_DOOR and part.room == room)
        x, y = plan.room(room).on(door.wall, door.at)
        for _ in range(60):
            start = _somewhere(rng, plan.room(room), floor)
            if start is None or not 1.5 < math.dist(start, (x, y)) < FAR or not floor.sees(*start, x, y, 0.1):
                continue
            targets = [p for p in places if p[0] == goal]
            shown = any(floor.sees(*start, *p[1:]) for p in targets)
            reached = any(floor.part(*start) in floor.parts_near(*p[1:]) for p in targets)
            if reached and not shown:
                yaw = math.degrees(math.atan2(y - start[1], x - start[0])) + rng.uniform(-ASIDE, ASIDE)
                found.append(_walk(start, yaw, goal, "B"))
                break
    return found


def _exploring(
    rng: Rng, plan: FloorPlan, floor: _Floor, places: list[Place], led: set[tuple[str, str]], *, signs: bool
) -> list[Walk]:
    """Up to two walks of class C: the goal is in another room, out of sight."""
    found: list[Walk] = []
    goals = [goal for goal in ("exit", "lift", "stairs", "toilet", "chair") if not (signs and goal == "exit")]
    for _ in range(120):
        room = plan.rooms[int(rng.integers(len(plan.rooms)))]
        goal = goals[int(rng.integers(len(goals)))]
        targets = [p for p in places if p[0] == goal]
        start = _somewhere(rng, room, floor)
        if start is None or not targets or len(found) == 2 or (room.name, goal) in led:
            continue
        elsewhere = not any(room.holds(*p[1:], -0.1) or floor.sees(*start, *p[1:]) for p in targets)
        reached = any(floor.part(*start) in floor.parts_near(*p[1:]) for p in targets)
        if elsewhere and reached and not any(walk.goal == goal for walk in found):
            found.append(_walk(start, float(rng.uniform(-180, 180)), goal, "C"))
    return found


def _somewhere(rng: Rng, room: Room, floor: _Floor) -> tuple[float, float] | None:
    """A place to begin, 0.4 metres from everything and everybody."""
    for _ in range(8):
        x, y = round(float(rng.uniform(*room.x)), 2), round(float(rng.uniform(*room.y)), 2)
        if room.holds(x, y, 0.4) and floor.holds(x, y, 0.4):
            return x, y
    return None


def _walk(start: tuple[float, float], yaw: float, goal: str, kind: str) -> Walk:
    return Walk(x=start[0], y=start[1], yaw=_heading(yaw), goal=goal, kind=kind)


# ---- turning -----------------------------------------------------------------------------------

_NEXT = {"east": "north", "north": "west", "west": "south", "south": "east"}


def _quarter(plan: FloorPlan) -> FloorPlan:
    """(x, y) -> (-y, x)."""
    return replace(
        plan,
        rooms=tuple(replace(room, x=(-room.y[1], -room.y[0]), y=room.x) for room in plan.rooms),
        walls=tuple(
            replace(part, wall=_NEXT[part.wall], at=-part.at if part.wall in ("east", "west") else part.at)
            for part in plan.walls
        ),
        things=tuple(replace(t, x=-t.y, y=t.x, yaw=_heading(t.yaw + 90)) for t in plan.things),
        walks=tuple(replace(w, x=-w.y, y=w.x, yaw=_heading(w.yaw + 90)) for w in plan.walks),
    )


def _shifted(plan: FloorPlan, dx: float, dy: float) -> FloorPlan:
    def by(value: float, shift: float) -> float:
        return round(value + shift, 2) + 0.0

    return replace(
        plan,
        rooms=tuple(
            replace(r, x=(by(r.x[0], dx), by(r.x[1], dx)), y=(by(r.y[0], dy), by(r.y[1], dy))) for r in plan.rooms
        ),
        walls=tuple(replace(part, at=by(part.at, dy if part.wall in ("east", "west") else dx)) for part in plan.walls),
        things=tuple(replace(t, x=by(t.x, dx), y=by(t.y, dy)) for t in plan.things),
        walks=tuple(replace(w, x=by(w.x, dx), y=by(w.y, dy)) for w in plan.walks),
    )


def _heading(degrees: float) -> float:
    return round((degrees + 180) % 360 - 180, 1)
