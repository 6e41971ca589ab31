"""A floor plan: rooms, what hangs on their walls and what stands on their floors; by hand in YAML, or from a seed.

    name: small office
    height: 2.7                     # metres, of every room
    rooms:                          # rectangles; two that touch through a wall lie WALL apart
      - {name: corridor, x: [0, 12], y: [0, 2.2]}
      - {name: office, x: [0, 5], y: [2.4, 6.4]}
    walls:                          # what is on a wall, at so many metres from the plan's origin along it
      - {kind: open door, room: office, wall: south, at: 2.5, to: corridor}
      - {kind: exit, room: corridor, wall: east, at: 1.1}
      - {kind: exit sign, room: corridor, wall: south, at: 2.5, arrow: left}
    things:                         # what stands on a floor; yaw in degrees, counterclockwise from x
      - {kind: chair, x: 1.2, y: 5.5, yaw: 90}
    walks:                          # where somebody begins and what they look for
      - {x: 3.0, y: 4.5, yaw: 0, goal: exit, class: B}

Plans are in metres, x to the east, y to the north. The same plan is drawn by MuJoCo and exported to Gazebo.
"""

from __future__ import annotations

import math
import unicodedata
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

from nav_vlm_node.errors import UserError
from nav_vlm_sim import furniture

WALL = 0.2  # metres between two rooms that share a wall
OPEN_DOOR, EXIT_SIGN = "open door", "exit sign"
ON_WALL = ("door", OPEN_DOOR, "exit", "toilet", "lift", "stairs", EXIT_SIGN, "picture", "cash machine")
ON_FLOOR = (*furniture.ON_FLOOR, "column")
ARROWS = ("left", "right", "ahead")
GOALS = ("exit", "lift", "stairs", "toilet", "door", "chair")
CLASSES = ("A", "B", "C")  # the target is in view; signs, arrows and open doors tell the way; neither
MOST_SEED = 2**53 - 1  # what readers of JSON hold exactly
MOST_WIDE, MOST_FAR = 150.0, 10_000.0  # metres, of a plan from end to end, and from its origin
NO_LETTERS = ("Cc", "Cs", "Cn", "Zl", "Zp")  # control characters, halves of characters, none, ends of lines
MOST_PACE = 2.0  # m/s, of people who walk
# Metres from the middle of what is on a wall to its sides, at least: two of them that are nearer overlap.
HALF = {
    "door": 0.4, OPEN_DOOR: 0.4, "exit": 0.4, "toilet": 0.4, "lift": 0.5, "stairs": 0.55, "picture": 0.2,
    "cash machine": 0.28, EXIT_SIGN: 0.3,
}  # fmt: skip
NO_ROOM = 0.5  # metres from a person's middle, within which nobody else stands
# Wall -> yaw of its inward normal.
INWARD = {"east": math.pi, "north": -math.pi / 2, "west": 0.0, "south": math.pi / 2}
OPPOSITE = {"east": "west", "west": "east", "north": "south", "south": "north"}


@dataclass(frozen=True, kw_only=True)
class Room:
    """x, y: from and to, metres."""

    name: str
    x: tuple[float, float]
    y: tuple[float, float]

    @property
    def centre(self) -> tuple[float, float]:
        """Metres."""
        return (self.x[0] + self.x[1]) / 2, (self.y[0] + self.y[1]) / 2

    @property
    def half(self) -> tuple[float, float]:
        """Half width and half length, metres."""
        return (self.x[1] - self.x[0]) / 2, (self.y[1] - self.y[0]) / 2

    def holds(self, x: float, y: float, margin: float = 0.0) -> bool:
        """Whether the point is in the room, `margin` metres from its walls."""
        return self.x[0] + margin <= x <= self.x[1] - margin and self.y[0] + margin <= y <= self.y[1] - margin

    def along(self, wall: str) -> tuple[float, float]:
        """From and to of a wall, in the coordinate that `at` counts in."""
        return self.x if wall in ("north", "south") else self.y

    def on(self, wall: str, at: float) -> tuple[float, float]:
        """The point of the wall's face at `at`."""
        if wall in ("north", "south"):
            return at, self.y[1] if wall == "north" else self.y[0]
        return self.x[1] if wall == "east" else self.x[0], at


@dataclass(frozen=True, kw_only=True)
class OnWall:
    """at: the middle, along the wall. to: the room behind an open door. arrow: of a sign; "ahead" for one above a way
    that goes on."""

    kind: str
    room: str
    wall: str
    at: float
    to: str = ""
    arrow: str = ""


@dataclass(frozen=True, kw_only=True)
class Thing:
    """yaw: degrees. speed: m/s, of a person who walks up and down, the way it faces."""

    kind: str
    x: float
    y: float
    yaw: float = 0.0
    speed: float = 0.0


@dataclass(frozen=True, kw_only=True)
class Walk:
    """Where somebody begins (yaw: degrees) and what they ask for. kind: of CLASSES."""

    x: float
    y: float
    yaw: float
    goal: str
    kind: str = "B"


@dataclass(frozen=True, kw_only=True)
class FloorPlan:
    """seed: of how things look, and of the plan where it was drawn. height: metres, of every room."""

    name: str
    rooms: tuple[Room, ...]
    walls: tuple[OnWall, ...] = ()
    things: tuple[Thing, ...] = ()
    walks: tuple[Walk, ...] = ()
    height: float = 2.7
    seed: int = 0

    def __post_init__(self) -> None:
        problem = next(_problems(self), None)
        if problem is not None:
            raise UserError(f"floor plan {self.name!r}: {problem}")

    def room(self, name: str) -> Room:
        """The room of that name."""
        return next(room for room in self.rooms if room.name == name)

    def room_at(self, x: float, y: float) -> Room | None:
        """The room that holds the point; in a doorway, the room that it is nearest to; None outside."""
        near = min(self.rooms, key=lambda room: _outside(room, x, y))
        return near if _outside(near, x, y) <= WALL else None


def read_plan(path: Path) -> FloorPlan:
    """A plan written by hand. Raises UserError that names what is wrong with it."""
    import yaml

    try:
        found = yaml.safe_load(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise UserError(f"{path}: {error.strerror or error}; give the YAML of a floor plan") from None
    except RecursionError:
        raise UserError(f"{path} is no floor plan: its lists are nested too deeply") from None
    except (yaml.YAMLError, ValueError) as error:  # the second also of a date or a number that is none
        raise UserError(f"{path} is no YAML ({' '.join(str(error).split())})") from None
    try:
        return plan_from_json(found, path.stem)
    except UserError as error:
        raise UserError(f"{path}: {error}") from None


def plan_from_json(found: Any, name: str = "") -> FloorPlan:
    """The plan that a mapping like the YAML's describes. Raises UserError."""
    if not isinstance(found, Mapping):
        raise UserError("it is no mapping; it needs name and rooms")
    known = {"name", "height", "seed", "rooms", "walls", "things", "walks"}
    for key in found:
        if key not in known:
            raise UserError(f"{key!r} is not known; use {', '.join(sorted(known))}")
    return FloorPlan(
        name=_text(found.get("name", name), "name"),
        height=_number(found.get("height", 2.7), "height"),
        seed=_whole(found.get("seed", 0), "seed"),
        rooms=tuple(_read(Room, part, "rooms", i) for i, part in enumerate(_list(found, "rooms"))),
        walls=tuple(_read(OnWall, part, "walls", i) for i, part in enumerate(_list(found, "walls"))),
        things=tuple(_read(Thing, part, "things", i) for i, part in enumerate(_list(found, "things"))),
        walks=tuple(_read(Walk, part, "walks", i) for i, part in enumerate(_list(found, "walks"))),
    )


def plan_to_json(plan: FloorPlan) -> dict[str, Any]:
    """What `plan_from_json` reads, without what is usual."""
    walks = [_written(walk) for walk in plan.walks]
    return {
        "name": plan.name, "seed": plan.seed, "height": plan.height,
        "rooms": [{"name": room.name, "x": list(room.x), "y": list(room.y)} for room in plan.rooms],
        "walls": [_written(part) for part in plan.walls], "things": [_written(part) for part in plan.things],
        "walks": [{("class" if key == "kind" else key): value for key, value in walk.items()} for walk in walks],
    }  # fmt: skip


# ---- reading -----------------------------------------------------------------------------------


def _list(found: Mapping[str, Any], key: str) -> list[Any]:
    part = found.get(key) or []
    if not isinstance(part, list):
        raise UserError(f"{key} is no list; give one entry per line")
    return part


def _read(kind: Any, part: Any, key: str, index: int) -> Any:
    where = f"{key}[{index}]"
    if not isinstance(part, Mapping):
        raise UserError(f"{where} is no mapping like {{name: value}}")
    part = {("kind" if kind is Walk and name == "class" else name): value for name, value in part.items()}
    types = {field.name: field.type for field in fields(kind)}
    for name in part:
        if name not in types:
            raise UserError(f"{where}: {name!r} is not known; use {', '.join(types)}")
    values: dict[str, Any] = {}
    for name, value in part.items():
        if types[name] == "float":
            values[name] = _number(value, f"{where}.{name}")
        elif types[name] == "str":
            values[name] = _text(value, f"{where}.{name}")
        else:
            if not isinstance(value, list) or len(value) != 2:
                raise UserError(f"{where}.{name}: give from and to, like [0, 5]")
            low, high = (_number(edge, f"{where}.{name}") for edge in value)
            values[name] = (low, high)
    try:
        return kind(**values)
    except TypeError as error:
        missing = str(error).partition("argument")[2].lstrip("s: ")
        raise UserError(f"{where}: {missing} is missing") from None


def _number(value: Any, where: str) -> float:
    try:
        if isinstance(value, (int, float)) and not isinstance(value, bool) and math.isfinite(value):
            return float(value)
    except OverflowError:  # of a whole number of hundreds of digits, which cannot be shown either
        raise UserError(f"{where}: the number is too large") from None
    raise UserError(f"{where}: {value!r} is no number")


def _whole(value: Any, where: str) -> int:
    number = _number(value, where)
    if number != int(number) or not 0 <= number <= MOST_SEED:
        raise UserError(f"{where} {number:g}: give a whole number from 0 to {MOST_SEED}")
    return int(number)


def _text(value: Any, where: str) -> str:
    """Of characters that can be written, in one line: also into an SVG."""
    text = str(value)
    bad = next((letter for letter in text if unicodedata.category(letter) in NO_LETTERS), None)
    if bad is not None:
        raise UserError(f"{where}: {text!r} holds the character U+{ord(bad):04X}; leave it out")
    return text


def _written(part: Any) -> dict[str, Any]:
    usual = {field.name: field.default for field in fields(part)}
    return {name: getattr(part, name) for name in usual if getattr(part, name) != usual[name]}


# ---- checking ----------------------------------------------------------------------------------


def _problems(plan: FloorPlan) -> Iterator[str]:
    if not plan.rooms:
        yield "it has no rooms"
        return
    if not 2.5 <= plan.height <= 6:
        yield f"height {plan.height:g}: give 2.5 to 6 metres"
    names = [room.name for room in plan.rooms]
    for room in plan.rooms:
        if names.count(room.name) > 1:
            yield f"two rooms are called {room.name!r}"
        if min(room.half) < 0.45:
            yield f"room {room.name!r} is narrower than 0.9 metres, or from and to are swapped"
    for edges in ([v for room in plan.rooms for v in room.x], [v for room in plan.rooms for v in room.y]):
        if max(edges) - min(edges) > MOST_WIDE or max(map(abs, edges)) > MOST_FAR:
            yield (
                f"its rooms reach from {min(edges):g} to {max(edges):g} metres; give a plan of {MOST_WIDE:g} metres at "
                f"most, within {MOST_FAR:g} of its origin"
            )
    for i, one in enumerate(plan.rooms):
        for other in plan.rooms[i + 1 :]:
            if _gap(one.x, other.x) < WALL - 1e-6 and _gap(one.y, other.y) < WALL - 1e-6:
                yield f"rooms {one.name!r} and {other.name!r} lie closer than a wall of {WALL} metres"
    for part in plan.walls:
        yield from _wall_problems(plan, part, names)
    yield from _overlaps(plan)
    for thing in plan.things:
        where = f"{thing.kind} at {thing.x:g}, {thing.y:g}"
        if thing.kind not in ON_FLOOR:
            yield f"{where}: no {thing.kind!r} stands on floors; use {', '.join(ON_FLOOR)}"
        elif not any(room.holds(thing.x, thing.y, 0.1) for room in plan.rooms):
            yield f"{where} is in no room, or in a wall"
        if thing.speed and thing.kind != "person":
            yield f"{where}: speed {thing.speed:g}, but people alone walk; leave it out"
        if not 0 <= thing.speed <= MOST_PACE:
            yield f"{where}: speed {thing.speed:g}: give 0 to {MOST_PACE:g} m/s"
    for walk in plan.walks:
        where = f"walk from {walk.x:g}, {walk.y:g}"
        if not any(room.holds(walk.x, walk.y, 0.3) for room in plan.rooms):
            yield f"{where} begins in no room, or in a wall"
        if any(t.kind == "person" and math.dist((walk.x, walk.y), (t.x, t.y)) < NO_ROOM for t in plan.things):
            yield f"{where} begins where a person stands; give one {NO_ROOM:g} metres from all of them"
        if walk.goal not in GOALS:
            yield f"{where}: no goal {walk.goal!r}; use {', '.join(GOALS)}"
        if walk.kind not in CLASSES:
            yield f"{where}: no class {walk.kind!r}; use {', '.join(CLASSES)}"


def _wall_problems(plan: FloorPlan, part: OnWall, names: list[str]) -> Iterator[str]:
    where = f"{part.kind} on the {part.wall} wall of {part.room!r}"
    if part.kind not in ON_WALL:
        yield f"{where}: no {part.kind!r} is on walls; use {', '.join(ON_WALL)}"
        return
    if part.wall not in INWARD or part.room not in names:
        yield f"{where}: give a room of the plan and one of {', '.join(INWARD)}"
        return
    low, high = plan.room(part.room).along(part.wall)
    if not low + 0.3 <= part.at <= high - 0.3:
        yield f"{where}: at {part.at:g} is not on it ({low:g} to {high:g}, 0.3 from its ends)"
    if part.kind == EXIT_SIGN and part.arrow not in ARROWS:
        yield f"{where}: give an arrow, {', '.join(ARROWS)}"
    if part.kind == OPEN_DOOR:
        if part.to not in names:
            yield f"{where}: `to` names no room"
        elif abs(_behind(plan, part) - WALL) > 1e-6:
            yield f"{where}: {part.to!r} does not lie {WALL} metres behind that wall there"


def _overlaps(plan: FloorPlan) -> Iterator[str]:
    """What takes the place of something else on a wall; an open door is on both sides of it. Signs hang above."""
    taken: dict[tuple[str, str, bool], list[OnWall]] = {}
    for part in plan.walls:
        sides = [(part.room, part.wall)] + ([(part.to, OPPOSITE[part.wall])] if part.kind == OPEN_DOOR else [])
        for room, wall in sides:
            others = taken.setdefault((room, wall, part.kind == EXIT_SIGN), [])
            for other in others:
                if abs(part.at - other.at) < HALF[part.kind] + HALF[other.kind] - 1e-6:
                    yield (
                        f"{part.kind} and {other.kind} overlap on the {wall} wall of {room!r}, at {part.at:g} and "
                        f"{other.at:g}"
                    )
            others.append(part)


def _behind(plan: FloorPlan, part: OnWall) -> float:
    """Metres from an open door's wall to the room behind it, at the door; inf where that room is elsewhere."""
    one, other = plan.room(part.room), plan.room(part.to)
    low, high = other.along(part.wall)
    if not low + 0.5 <= part.at <= high - 0.5:
        return math.inf
    x, y = one.on(part.wall, part.at)
    there = other.on(OPPOSITE[part.wall], part.at)
    yaw = INWARD[part.wall]
    return (x - there[0]) * math.cos(yaw) + (y - there[1]) * math.sin(yaw)


def _gap(one: tuple[float, float], other: tuple[float, float]) -> float:
    return max(one[0], other[0]) - min(one[1], other[1])


def _outside(room: Room, x: float, y: float) -> float:
    return max(room.x[0] - x, x - room.x[1], room.y[0] - y, y - room.y[1], 0.0)
