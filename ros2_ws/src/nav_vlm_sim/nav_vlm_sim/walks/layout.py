"""Rooms along a corridor or a hall, by a random generator: doors, goals and signs on their walls.

A spine runs from west to east with rooms on both sides and, in some buildings, a lobby at its east end; the exit is at
that end. Everything is drawn here in that one direction; `procedural` turns the whole plan.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from nav_vlm_sim.furniture import Rng
from nav_vlm_sim.walks.floorplan import EXIT_SIGN, OPEN_DOOR, OPPOSITE, WALL, OnWall, Room

# Half the width that each takes up on a wall, with a margin, metres.
TAKES = {
    "door": 0.8, OPEN_DOOR: 0.8, "exit": 0.8, "toilet": 1.25, "lift": 1.25, "stairs": 1.05, EXIT_SIGN: 0.55,
    "picture": 0.8,
}  # fmt: skip
STAIRS_NEED = 4.6  # metres of free length before the wall that stairs rise to
SIGN_REACH = 7.0  # metres from which a sign can be made out
SIGNED = 0.75  # share of the buildings with exit signs
LOBBY_HALF = (1.6, 2.6)  # metres from the middle of the spine's end to the lobby's north and south wall
LOBBY_DEEP = (3.6, 5.5)


@dataclass(frozen=True, kw_only=True)
class Style:
    """Sizes in metres. rooms: how many beside the spine, at least and at most. lobby: share that has one."""

    spine: str
    room: str
    length: tuple[float, float]
    width: tuple[float, float]
    deep: tuple[float, float]
    rooms: tuple[int, int]
    lobby: float
    height: tuple[float, float]
    things: tuple[str, ...]


STYLES = {
    "office": Style(
        spine="corridor", room="office", length=(8, 12), width=(1.9, 2.4), deep=(3.6, 5), rooms=(2, 5), lobby=0.6,
        height=(2.55, 2.9), things=("table", "chair", "chair", "plant", "box"),
    ),
    "ward": Style(
        spine="corridor", room="ward", length=(10, 13), width=(2.4, 3), deep=(4, 5.5), rooms=(2, 5), lobby=0.6,
        height=(2.6, 3), things=("table", "chair", "trolley", "sofa", "chair"),
    ),
    "station": Style(
        spine="hall", room="shop", length=(10, 14), width=(6, 8.5), deep=(3.6, 5), rooms=(1, 3), lobby=0.7,
        height=(3.2, 4), things=("chair", "box", "plant", "trolley", "table"),
    ),
    "school": Style(
        spine="corridor", room="classroom", length=(11, 14), width=(2.4, 3.2), deep=(5, 6.5), rooms=(2, 4), lobby=0.8,
        height=(2.8, 3.2), things=("table", "chair", "table", "chair", "plant"),
    ),
    "home": Style(
        spine="hallway", room="room", length=(5.8, 7.5), width=(1.6, 2.1), deep=(3.4, 4.6), rooms=(2, 4), lobby=0.2,
        height=(2.5, 2.7), things=("sofa", "table", "chair", "plant", "chair"),
    ),
}  # fmt: skip
KINDS = tuple(STYLES)


NARROWEST = 2.9  # metres of the spine that a room beside it takes at least


class NoPlaceError(Exception):
    """Something that the building needs fits nowhere."""


@dataclass
class Layout:
    """signed: the room from which signs lead to the exit, "" for none. told: the rooms, and the goals, to which an
    open door alone tells the way."""

    style: Style
    rooms: list[Room] = field(default_factory=list)
    walls: list[OnWall] = field(default_factory=list)
    signed: str = ""
    told: dict[str, str] = field(default_factory=dict)
    taken: dict[tuple[str, str], list[tuple[float, float]]] = field(default_factory=dict)

    def room(self, name: str) -> Room:
        """The room of that name."""
        return next(room for room in self.rooms if room.name == name)

    def fits(self, kind: str, room: str, wall: str, at: float) -> bool:
        """Whether nothing else is there on the wall."""
        low, high = self.room(room).along(wall)
        half = TAKES[kind]
        inside = low + half - 0.15 <= at <= high - half + 0.15
        return inside and all(abs(at - other) >= half + width for other, width in self.taken.get((room, wall), ()))

    def put(self, kind: str, room: str, wall: str, at: float, *, to: str = "", arrow: str = "") -> None:
        """Hangs it there."""
        self.walls.append(OnWall(kind=kind, room=room, wall=wall, at=round(at, 2), to=to, arrow=arrow))
        self.taken.setdefault((room, wall), []).append((at, TAKES[kind]))
        if to:
            self.taken.setdefault((to, OPPOSITE[wall]), []).append((at, TAKES[kind]))

    def put_somewhere(self, rng: Rng, kind: str, room: str, wall: str) -> bool:
        """Hangs it where it fits; False where it does not."""
        found = self.room(room)
        if kind == "stairs" and 2 * found.half[0 if wall in ("east", "west") else 1] < STAIRS_NEED:
            return False
        for _ in range(12):
            at = float(rng.uniform(*found.along(wall)))
            if self.fits(kind, room, wall, at):
                self.put(kind, room, wall, at)
                return True
        return False


def lay_out(rng: Rng, style: Style) -> Layout:
    """A building of that style. Raises NoPlaceError where the numbers drawn do not go together."""
    layout = Layout(style)
    length, width = rng.uniform(*style.length), rng.uniform(*style.width)
    spine = Room(name=style.spine, x=(0.0, round(length, 2)), y=(0.0, round(width, 2)))
    layout.rooms.append(spine)
    sides = _side_rooms(rng, layout, spine)
    lobby = bool(rng.random() < style.lobby)
    if lobby:
        _add_lobby(rng, layout, spine)
    _tell_the_way(rng, layout, spine, sides, signed=bool(rng.random() < SIGNED), lobby=lobby)
    _hang_goals(rng, layout, spine, sides)
    return layout


def _side_rooms(rng: Rng, layout: Layout, spine: Room) -> dict[str, str]:
    """Adds the rooms beside the spine; the wall of each that its door is in, by name."""
    style, (_, length) = layout.style, spine.x
    count = int(rng.integers(style.rooms[0], style.rooms[1] + 1))
    fit = int(length // NARROWEST)
    if count > 2 * fit:
        raise NoPlaceError
    north = int(rng.integers(max(0, count - fit), min(count, fit) + 1))
    found: dict[str, str] = {}
    for number, side in ((north, "north"), (count - north, "south")):
        if not number:
            continue
        shares = rng.uniform(1, 1.4, number)
        cuts = [0.0, *(shares.cumsum() / shares.sum() * (length + WALL))]
        for k in range(number):
            deep = rng.uniform(*style.deep)
            y = (spine.y[1] + WALL, spine.y[1] + WALL + deep) if side == "north" else (-WALL - deep, -WALL)
            name = f"{style.room} {len(found) + 1}"
            x = (round(float(cuts[k]), 2), round(float(cuts[k + 1]) - WALL, 2))
            layout.rooms.append(Room(name=name, x=x, y=(round(y[0], 2), round(y[1], 2))))
            found[name] = OPPOSITE[side]
    return found


def _add_lobby(rng: Rng, layout: Layout, spine: Room) -> None:
    middle = round(float(rng.uniform(0.4, 0.6)) * spine.y[1], 2)
    south, north = (round(float(rng.uniform(*LOBBY_HALF)), 2) for _ in range(2))
    x = round(spine.x[1] + WALL, 2)
    lobby = Room(
        name="lobby",
        x=(x, round(x + rng.uniform(*LOBBY_DEEP), 2)),
        y=(round(middle - south, 2), round(middle + north, 2)),
    )
    layout.rooms.append(lobby)
    layout.put(OPEN_DOOR, "lobby", "west", middle, to=spine.name)


def _tell_the_way(rng: Rng, layout: Layout, spine: Room, sides: dict[str, str], *, signed: bool, lobby: bool) -> None:
    """Doors, the exit, and what tells the way: opposite one room's door a sign, opposite another's a goal."""
    order = [str(name) for name in rng.permutation(list(sides))]
    if signed:
        layout.signed = order[0]
        near = spine.x[1] - SIGN_REACH if lobby else 0.0
        at = _door(rng, layout, layout.signed, sides, spine, EXIT_SIGN, near)
        wall = sides[layout.signed]  # the spine's far wall bears the same name
        layout.put(EXIT_SIGN, spine.name, wall, at, arrow="left" if wall == "south" else "right")
    for name in order[1 if signed else 0 :]:
        goal = str(rng.choice(["toilet", "lift"]))
        if not layout.told:
            at = _door(rng, layout, name, sides, spine, goal)
            layout.put(goal, spine.name, sides[name], at)
            layout.told[name] = goal
        else:
            _door(rng, layout, name, sides, spine)
    if not lobby:
        if not layout.put_somewhere(rng, "exit", spine.name, "east"):
            raise NoPlaceError
        return
    door = next(part for part in layout.walls if part.room == "lobby")
    if signed:
        layout.put(EXIT_SIGN, spine.name, "east", door.at, arrow="ahead")
    if not signed or rng.random() < 0.5:
        layout.put("exit", "lobby", "east", door.at)
        return
    aside = str(rng.choice(["north", "south"]))
    layout.put(EXIT_SIGN, "lobby", "east", door.at, arrow="left" if aside == "north" else "right")
    if not layout.put_somewhere(rng, "exit", "lobby", aside):
        raise NoPlaceError


def _door(
    rng: Rng, layout: Layout, name: str, sides: dict[str, str], spine: Room, opposite: str = "", near: float = 0.0
) -> float:
    """The place of the open door between a side room and the spine, opposite which `opposite` still fits."""
    wall, (low, high) = sides[name], layout.room(name).x
    for _ in range(20):
        at = round(float(rng.uniform(max(low + 0.7, near), max(high - 0.7, near))), 2)
        fits = layout.fits(OPEN_DOOR, name, wall, at) and layout.fits(OPEN_DOOR, spine.name, OPPOSITE[wall], at)
        if fits and (not opposite or layout.fits(opposite, spine.name, wall, at)):
            layout.put(OPEN_DOOR, name, wall, at, to=spine.name)
            return at
    raise NoPlaceError


def _hang_goals(rng: Rng, layout: Layout, spine: Room, sides: dict[str, str]) -> None:
    """Lift, stairs and toilet where there are none yet, some closed doors, pictures."""
    inner = [name for name in sides if name != layout.signed]
    places = [(spine.name, "west"), *((name, OPPOSITE[sides[name]]) for name in inner)]
    for kind in ("stairs", "lift", "toilet"):
        if any(part.kind == kind for part in layout.walls) or rng.random() < 0.2:
            continue
        for index in rng.permutation(len(places)):
            room, wall = places[index]
            if layout.put_somewhere(rng, kind, room, wall):
                break
    for kind in ("door", "picture", "picture"):
        room = layout.rooms[int(rng.integers(len(layout.rooms)))].name
        layout.put_somewhere(rng, kind, room, str(rng.choice(list(OPPOSITE))))
