"""A walk from above, as SVG: rooms and what stands in them, the way that was walked, and the shortest safe one."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from html import escape
from typing import NamedTuple

from nav_vlm_sim.furniture import Item
from nav_vlm_sim.walks.crowd import RADIUS
from nav_vlm_sim.walks.episode import ARRIVED, Episode, Stage, Turn
from nav_vlm_sim.walks.floorplan import EXIT_SIGN
from nav_vlm_sim.walks.space import Point

WIDE, HIGH, RIM = 640.0, 560.0, 14.0  # units of the drawing: at most so large, and the border around the building
LETTERS = 15  # units
LABELLED = ("exit", "toilet", "lift", "stairs", EXIT_SIGN)
ARROWS = {"left": "←", "right": "→", "ahead": "↑"}
POINTER, TICK = 60.0, 11.0  # units: an arrow for a direction, the line that tells a heading


class Sheet(NamedTuple):
    """Where metres of the plan lie on the drawing: x to the right, y up."""

    left: float
    top: float
    scale: float

    def at(self, point: Point) -> Point:
        """Units of the drawing."""
        return RIM + (point[0] - self.left) * self.scale, RIM + (self.top - point[1]) * self.scale


def walk_map(stage: Stage, episode: Episode) -> str:
    """One <svg>. Each question is a <g class="ask" data-turn="k"> whose arrows and people the page shows by turns."""
    low, high = stage.space.low, stage.space.high
    across, tall = (float(v) for v in high - low)
    sheet = Sheet(float(low[0]), float(high[1]), min((WIDE - 2 * RIM) / across, (HIGH - 2 * RIM) / tall))
    width, height = across * sheet.scale + 2 * RIM, tall * sheet.scale + 2 * RIM
    asked = len(episode.turns)
    told = (
        f"map of {episode.plan}: {asked} question{'s' if asked != 1 else ''} on the way to the {episode.walk.goal}, "
        f"{episode.length:.1f} metres walked, {episode.shortest:.1f} by the shortest safe path, "
        f"{'arrived' if episode.arrived else 'not arrived'}"
    )
    parts = [
        *_floor(stage, sheet, episode.walk.goal), *_names(stage, sheet, episode.walk.goal), *_ways(sheet, episode),
        *(_question(sheet, k, turn) for k, turn in enumerate(episode.turns)),
    ]  # fmt: skip
    return (
        f'<svg class="map" viewBox="0 0 {width:.0f} {height:.0f}" role="img" aria-label="{escape(told)}">'
        f"{''.join(parts)}</svg>"
    )


def _floor(stage: Stage, sheet: Sheet, goal: str) -> Iterable[str]:
    """Rooms, the circle around each goal in which one has arrived, and above them what is solid."""
    for room in stage.building.plan.rooms:
        (left, right), (low, high) = room.x, room.y
        corners = [(left, low), (right, low), (right, high), (left, high)]
        yield f'<polygon class="floor" points="{_points(sheet, corners)}"/>'
    for item in stage.goals(goal):
        x, y = sheet.at((item.x, item.y))
        yield f'<circle class="goal" cx="{x:.1f}" cy="{y:.1f}" r="{ARRIVED * sheet.scale:.1f}"/>'
    for solid in stage.space.solids:
        kind = "wall" if solid.kind == "wall" else "thing"
        corners = [(float(x), float(y)) for x, y in solid.corners]
        title = f"<title>{escape(solid.kind)}</title>"
        yield f'<polygon class="{kind}" points="{_points(sheet, corners)}">{title}</polygon>'


def _names(stage: Stage, sheet: Sheet, goal: str) -> Iterable[str]:
    """What is looked for, and what else tells the way."""
    known = {id(item) for item in stage.goals(goal)}
    for item in stage.building.scene.items:
        if id(item) in known or item.kind in LABELLED:
            yield _label(sheet, item, "goal" if id(item) in known else "sign")


def _label(sheet: Sheet, item: Item, css: str) -> str:
    """Its name on the room's side of the wall."""
    text = f"exit {ARROWS.get(item.arrow, '')}" if item.kind == EXIT_SIGN else item.kind
    x, y = sheet.at((item.x, item.y))
    dx, dy = math.cos(item.yaw), -math.sin(item.yaw)
    anchor = "start" if dx > 0.5 else "end" if dx < -0.5 else "middle"
    a, b = x + dx * 8, y + dy * 14 + 0.35 * LETTERS
    return (
        f'<circle class="{css} dot" cx="{x:.1f}" cy="{y:.1f}" r="4"/>'
        f'<text class="{css}" font-size="{LETTERS}" x="{a:.1f}" y="{b:.1f}" text-anchor="{anchor}">'
        f"{escape(text)}</text>"
    )


def _ways(sheet: Sheet, episode: Episode) -> Iterable[str]:
    if episode.reference:
        yield f'<polyline class="shortest" points="{_points(sheet, episode.reference)}"/>'
    walked = [(moment.x, moment.y) for moment in episode.track]
    if not walked:
        return
    yield f'<polyline class="rim" points="{_points(sheet, walked)}"/>'
    yield f'<polyline class="walked" points="{_points(sheet, walked)}"/>'
    (x, y), r = sheet.at(walked[-1]), 9.0
    if episode.arrived:
        yield f'<circle class="end good" cx="{x:.1f}" cy="{y:.1f}" r="{r:g}"/>'
    else:
        cross = f"M{x - r:.1f} {y - r:.1f}l{2 * r:g} {2 * r:g}m0 {-2 * r:g}l{-2 * r:g} {2 * r:g}"
        yield f'<path class="end bad" d="{cross}"/>'


def _question(sheet: Sheet, k: int, turn: Turn) -> str:
    x, y = sheet.at((turn.x, turn.y))
    a, b = x + TICK * math.cos(turn.yaw), y - TICK * math.sin(turn.yaw)
    wrong = " wrong" if turn.reversal else ""
    people = "".join(
        f'<circle class="person" cx="{px:.1f}" cy="{py:.1f}" r="{RADIUS * sheet.scale:.1f}"/>'
        for px, py in (sheet.at((person[0], person[1])) for person in turn.people)
    )
    arrows = _arrow("wanted", x, y, turn.yaw + turn.wanted) + _arrow("told", x, y, turn.yaw + turn.direction)
    return (
        f'<g class="ask{wrong}" data-turn="{k}"><title>question {k + 1}</title><g class="then">{people}{arrows}</g>'
        f'<line x1="{x:.1f}" y1="{y:.1f}" x2="{a:.1f}" y2="{b:.1f}"/><circle cx="{x:.1f}" cy="{y:.1f}" r="4.5"/></g>'
    )


def _arrow(css: str, x: float, y: float, heading: float) -> str:
    """From a point towards a heading [rad]; nothing for NaN."""
    if math.isnan(heading):
        return ""
    c, s = math.cos(heading), -math.sin(heading)
    a, b = x + POINTER * c, y + POINTER * s
    back, aside = 12.0, 6.0
    left = f"{a - back * c - aside * s:.1f} {b - back * s + aside * c:.1f}"
    right = f"{a - back * c + aside * s:.1f} {b - back * s - aside * c:.1f}"
    return f'<path class="{css}" d="M{x:.1f} {y:.1f}L{a:.1f} {b:.1f}M{left}L{a:.1f} {b:.1f}L{right}"/>'


def _points(sheet: Sheet, points: Sequence[Point]) -> str:
    return " ".join(f"{x:.1f},{y:.1f}" for x, y in (sheet.at(point) for point in points))
