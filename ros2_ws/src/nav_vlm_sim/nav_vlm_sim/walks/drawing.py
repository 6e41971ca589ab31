"""A floor plan from above, as SVG: walls, doors, what stands and hangs there, people, and the walks to take.

`draw_plan` is the ground, for other drawings too; `plan_svg` is a whole file.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence
from html import escape
from typing import NamedTuple

from nav_vlm_sim.furniture import Item
from nav_vlm_sim.walks.building import Building
from nav_vlm_sim.walks.crowd import Crowd
from nav_vlm_sim.walks.episode import Stage
from nav_vlm_sim.walks.floorplan import CLASSES, EXIT_SIGN, OPEN_DOOR, Walk
from nav_vlm_sim.walks.maps import ARROWS, RIM, Sheet
from nav_vlm_sim.walks.space import Point, Space, length_of, solids_of

WIDE, HIGH = 1200.0, 900.0  # units of the drawing: at most so large, without title and legend
TITLE, FOOT = 34.0, 34.0  # units above and below
LETTERS = 13  # units
HEAD = 9.0  # units, of an arrow
NAMELESS = ("picture", OPEN_DOOR)
EXITS = ("exit", EXIT_SIGN)
ON_WALLS = ("door", "exit", "toilet", "lift", EXIT_SIGN)
STYLE = """
svg{background:#fff;font-family:sans-serif} text{fill:#333;paint-order:stroke;stroke:#fff;stroke-width:3}
.floor{fill:#f6f4ef} .wall{fill:#3d3d44} .thing{fill:#ddd3c2;stroke:#8c7f6a} .leaf{fill:#9a6b3f}
.fixed{stroke:#145fcd;stroke-width:6} .exit{stroke:#00803c;stroke-width:6}
.room{fill:#8a8a92;font-style:italic} .name{fill:#5d5340} .goal{fill:#145fcd} .sign{fill:#00803c;font-weight:700}
.person{fill:#f0c04c;stroke:#7a5a00} .beat{stroke:#b98d14;stroke-dasharray:5 4}
.walk{fill:none;stroke-width:2.5;stroke-linejoin:round} .walk.A{stroke:#0a7d55} .walk.B{stroke:#8a3ffc}
.walk.C{stroke:#d1495b} .start{stroke:#fff} .A.start,.A.label{fill:#0a7d55} .B.start,.B.label{fill:#8a3ffc}
.C.start,.C.label{fill:#d1495b} .label{font-weight:700} .lost{stroke:#e00000;stroke-width:5;fill:none}
.scale{stroke:#333;stroke-width:2} .title{font-size:20px;font-weight:700} .beat,.walk{stroke-linecap:round}
"""
MEANING = {"A": "A: the goal is in view", "B": "B: signs or doors tell the way", "C": "C: nothing tells"}


class Way(NamedTuple):
    """A walk of a plan, and the shortest safe path that it takes; [] where there is none."""

    walk: Walk
    path: list[Point]

    def told(self, number: int) -> str:
        """One line about it."""
        how = f"{length_of(self.path):.1f} m" if self.path else f"NO WAY to the {self.walk.goal}"
        return f"{number}  {self.walk.kind}  {self.walk.goal:<7} {how}"


def ways(stage: Stage) -> list[Way]:
    """Every walk of a building's plan."""
    return [Way(walk, stage.way((walk.x, walk.y), walk.goal)) for walk in stage.building.plan.walks]


def fitting(space: Space, wide: float = WIDE, high: float = HIGH) -> Sheet:
    """The sheet on which a building is at most so large."""
    across, tall = (float(v) for v in space.high - space.low)
    scale = min((wide - 2 * RIM) / across, (high - 2 * RIM) / tall)
    return Sheet(float(space.low[0]), float(space.high[1]), scale)


def plan_svg(stage: Stage, found: Sequence[Way]) -> str:
    """A whole SVG file of a building and the walks in it."""
    space, plan = stage.space, stage.building.plan
    sheet = fitting(space)
    across, tall = (float(v) * sheet.scale + 2 * RIM for v in space.high - space.low)
    across = max(across, 800.0)  # the legend's
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {across:.0f} {tall + TITLE + FOOT:.0f}" '
        f'width="{across:.0f}" height="{tall + TITLE + FOOT:.0f}" font-size="{LETTERS}"><style>{STYLE}</style>'
        f'<text class="title" x="{RIM:g}" y="24">{escape(plan.name)}</text>'
        f'<g transform="translate(0 {TITLE:g})">{"".join(draw_plan(sheet, stage.building))}'
        f"{''.join(draw_walks(sheet, found))}{''.join(_legend(sheet, tall))}</g></svg>\n"
    )


def draw_plan(sheet: Sheet, building: Building) -> list[str]:
    """SVG elements: floors, then everything solid, then what hangs on walls, people, and names over all."""
    crowd = Crowd.of(building, Space(solids_of(building, leave_out=building.scene.speeds)))
    return [
        *_floors(sheet, building), *_solids(sheet, building), *_on_walls(sheet, building), *_people(sheet, crowd),
        *_names(sheet, building),
    ]  # fmt: skip


def draw_walks(sheet: Sheet, found: Sequence[Way]) -> Iterator[str]:
    """SVG elements: of each walk its path with an arrow at its end, and where it begins, with number and goal."""
    for number, way in enumerate(found):
        walk, path = way
        yield f"<g><title>{escape(way.told(number))}</title>"
        if path:
            yield f'<path class="walk {walk.kind}" d="{_line(sheet, path)}{_head(sheet, path[-2], path[-1])}"/>'
        x, y = sheet.at((walk.x, walk.y))
        yaw = math.radians(walk.yaw)
        corners = [(13, 0.0), (9, 2.3), (9, -2.3)]
        nose = " ".join(f"{x + r * math.cos(yaw + a):.1f},{y - r * math.sin(yaw + a):.1f}" for r, a in corners)
        yield f'<polygon class="{walk.kind} start" points="{nose}"/>'
        if not path:
            yield f'<path class="lost" d="M{x - 12:.1f} {y - 12:.1f}l24 24m0 -24l-24 24"/>'
        yield _text(x + 11, y - 8, f"{number} {walk.goal}", f"{walk.kind} label")
        yield "</g>"


def _floors(sheet: Sheet, building: Building) -> Iterator[str]:
    for room in building.plan.rooms:
        (left, right), (low, high) = room.x, room.y
        corners = [(left, low), (right, low), (right, high), (left, high)]
        yield f'<polygon class="floor" points="{_points(sheet, corners)}"/>'


def _solids(sheet: Sheet, building: Building) -> Iterator[str]:
    names = {"wall": "wall", "door": "leaf"}
    for solid in solids_of(building, leave_out=building.scene.speeds):
        css = names.get(solid.kind, "thing")
        corners = [(float(x), float(y)) for x, y in solid.corners]
        title = "open door" if css == "leaf" else solid.kind
        yield f'<polygon class="{css}" points="{_points(sheet, corners)}"><title>{escape(title)}</title></polygon>'


def _on_walls(sheet: Sheet, building: Building) -> Iterator[str]:
    """A stroke along the wall for what is closed or hangs there."""
    for item in _hung(building):
        half = float(abs(item.footprint[:, 1]).max()) if len(item.footprint) else 0.35
        dx, dy = -half * math.sin(item.yaw), half * math.cos(item.yaw)
        css = "exit" if item.kind in EXITS else "fixed"
        line = _line(sheet, [(item.x - dx, item.y - dy), (item.x + dx, item.y + dy)])
        yield f'<path class="{css}" d="{line}"><title>{escape(item.kind)}</title></path>'


def _people(sheet: Sheet, crowd: Crowd) -> Iterator[str]:
    """Who walks: where they begin, and how far they go before they turn back."""
    for person in crowd.people:
        end = person.x + person.length * math.cos(person.heading), person.y + person.length * math.sin(person.heading)
        if person.length > 0.1:
            path = [(person.x, person.y), end]
            yield f'<path class="beat" fill="none" d="{_line(sheet, path)}{_head(sheet, *path)}"/>'
        x, y = sheet.at((person.x, person.y))
        yield (
            f'<circle class="person" cx="{x:.1f}" cy="{y:.1f}" r="{person.radius * sheet.scale:.1f}">'
            f"<title>person, {person.pace:g} m/s</title></circle>"
        )


def _names(sheet: Sheet, building: Building) -> Iterator[str]:
    """Of rooms in a corner, of things on them, of what is on walls before it."""
    for room in building.plan.rooms:
        x, y = sheet.at((room.x[0], room.y[0]))
        yield _text(x + 6, y - 6, room.name, "room")
    on_walls = {id(item) for item in _hung(building)}
    for item in building.scene.items:
        if id(item) in on_walls:
            yield _before(sheet, item)
        elif item.kind not in NAMELESS:
            x, y = sheet.at(_middle(item))
            yield _text(x, y + 0.35 * LETTERS, item.kind, "goal" if item.kind == "stairs" else "name", "middle")


def _before(sheet: Sheet, item: Item) -> str:
    """A name on the room's side of the wall."""
    x, y = sheet.at((item.x, item.y))
    dx, dy = math.cos(item.yaw), -math.sin(item.yaw)
    anchor = "start" if dx > 0.5 else "end" if dx < -0.5 else "middle"
    text = f"exit {ARROWS[item.arrow]}" if item.kind == EXIT_SIGN else item.kind
    css = "sign" if item.kind in EXITS else "goal"
    return _text(x + 8 * dx, y + 15 * dy + 0.35 * LETTERS, text, css, anchor)


def _hung(building: Building) -> list[Item]:
    return [item for item in building.scene.items if item.kind in ON_WALLS]


def _middle(item: Item) -> Point:
    corners = item.corners()
    return float(corners[:, 0].mean()), float(corners[:, 1].mean())


def _legend(sheet: Sheet, tall: float) -> Iterator[str]:
    """A metre-scale, and what the walks' colours mean."""
    y = tall + 12
    yield f'<path class="scale" d="M{RIM:g} {y:.0f}h{sheet.scale:.1f}"/>'
    yield _text(RIM + sheet.scale + 8, y + 4, "1 m", "key")
    for k, kind in enumerate(CLASSES):
        yield _text(RIM + sheet.scale + 60 + 230 * k, y + 4, MEANING[kind], f"{kind} label")


def _head(sheet: Sheet, before: Point, end: Point) -> str:
    """The two strokes of an arrow that ends there, for a path's `d`."""
    (x0, y0), (x, y) = sheet.at(before), sheet.at(end)
    back = math.atan2(y0 - y, x0 - x)
    sides = [(x + HEAD * math.cos(back + a), y + HEAD * math.sin(back + a)) for a in (0.5, -0.5)]
    return f"M{sides[0][0]:.1f} {sides[0][1]:.1f}L{x:.1f} {y:.1f}L{sides[1][0]:.1f} {sides[1][1]:.1f}"


def _line(sheet: Sheet, path: Iterable[Point]) -> str:
    return "M" + "L".join(f"{x:.1f} {y:.1f}" for x, y in map(sheet.at, path))


def _points(sheet: Sheet, corners: Iterable[Point]) -> str:
    return " ".join(f"{x:.1f},{y:.1f}" for x, y in map(sheet.at, corners))


def _text(x: float, y: float, text: str, css: str, anchor: str = "start") -> str:
    return f'<text class="{css}" x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}">{escape(text)}</text>'
