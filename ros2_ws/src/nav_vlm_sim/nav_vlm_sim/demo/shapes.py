"""What is drawn, as plain shapes in pixels: into the picture, and a plan of the place seen from above.

Two things are shown beside each other, and never by colour alone: what is so (a broad band, crosses) and what was
answered (a narrow arrow, diamonds).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np

from nav_vlm_node.instruction import Action, Instruction, Step
from nav_vlm_node.score import Truth, told
from nav_vlm_sim.annotate import to_pixel
from nav_vlm_sim.records import Frame
from nav_vlm_sim.truth import AHEAD_RANGE, HALF_CORRIDOR, MEMBERS, Seen

Role = Literal["truth", "answer", "hazard", "said", "thing", "grid", "wearer"]
Form = Literal["area", "line", "cross", "diamond", "ring", "dot", "label"]
Point = tuple[float, float]

NEAR = 0.4  # metres from the wearer at which what lies on the floor begins
UNSTATED = 3.0  # metres that an arrow is long where the answer names no distance
_FINER = 4  # parts of a pixel
ARROW, HEAD = 0.07, 0.22  # metres: half widths of the arrow's shaft and head


@dataclass(frozen=True)
class Shape:
    """One thing to draw. points: pixels; an area and a line have many, the others one. size: of a mark, pixels."""

    form: Form
    role: Role
    points: tuple[Point, ...]
    text: str = ""
    size: float = 9.0


@dataclass(frozen=True)
class Told:
    """Where an answer sends the wearer; NaN where it does not say."""

    direction: float
    distance: float
    cautions: tuple[Step, ...]

    @property
    def reach(self) -> float:
        """Metres that its arrow is long."""
        return UNSTATED if math.isnan(self.distance) else max(self.distance, NEAR + 0.3)


def told_of(instruction: Instruction | None) -> Told:
    """What of an answer can be drawn."""
    steps = () if instruction is None else instruction.steps
    return Told(*told(steps), tuple(s for s in steps if s.action is Action.CAUTION and not math.isnan(s.bearing)))


def way_of(truth: Truth) -> tuple[float, float]:
    """(bearing, distance) of the way that the question is about; NaN where there is none.

    To what was asked for; to what leads there; straight on, to the first thing in the way or as far as that reaches.
    """
    if truth.kind == "hazard":
        return 0.0, truth.hazards[0].distance if truth.hazards else AHEAD_RANGE
    return (truth.bearing, truth.distance) if truth.visible else told(truth.steps)


def into_picture(frame: Frame, truth: Truth, instruction: Instruction | None, scale: float = 1.0) -> list[Shape]:
    """The shapes to draw over `frame.raw` enlarged by `scale`."""
    shapes: list[Shape] = []
    bearing, distance = way_of(truth)
    if not math.isnan(bearing):
        band = _ribbon(bearing, NEAR, distance, HALF_CORRIDOR, HALF_CORRIDOR)
        shapes += _floor(frame, band, "truth", scale)
    if _goal(truth):
        height = _height(frame, _goal(truth), bearing)
        shapes += _at(frame, bearing, distance, height, "ring", "truth", f"{_goal(truth)}, {distance:.1f} m", scale)
    for step in truth.hazards:
        height = min(_height(frame, step.landmark, step.bearing), 1.0)
        shapes += _at(frame, step.bearing, step.distance, height, "cross", "hazard", _hazard(step), scale)
    answer = told_of(instruction)
    if not math.isnan(answer.direction):
        arrow = _arrow(answer.direction, NEAR, answer.reach)
        drawn = _floor(frame, arrow, "answer", scale)
        shapes += drawn if _inside(drawn, frame, scale) else [_beside(frame, answer, scale)]
    for step in answer.cautions:
        far = UNSTATED if math.isnan(step.distance) else step.distance
        shapes += _at(frame, step.bearing, far, 0.4, "diamond", "said", f"said: {step.landmark}", scale)
    return shapes


def from_above(frame: Frame, truth: Truth, instruction: Instruction | None, size: float) -> list[Shape]:
    """A plan of size x size pixels: the wearer near the bottom, facing up; rings every two metres."""
    answer, (bearing, distance) = told_of(instruction), way_of(truth)
    seen = [s for s in frame.observation.seen if s.visible]
    far = [distance, answer.reach if not math.isnan(answer.direction) else 0.0]
    far += [s.distance for s in seen] + [h.distance for h in truth.hazards]
    metres = max(3.0, *(d for d in far if not math.isnan(d)))
    aside = [abs(math.sin(s.bearing)) * s.distance for s in seen] + [abs(math.sin(bearing)) * distance]
    unit = size * min(0.76 / metres, 0.44 / max(1.0, *(a for a in aside if not math.isnan(a))))
    middle = (size / 2, 0.84 * size)

    def place(x: float, y: float) -> Point:
        return middle[0] - y * unit, middle[1] - x * unit

    def polar(angle: float, length: float) -> Point:
        return place(math.cos(angle) * length, math.sin(angle) * length)

    every = 1 if metres <= 5 else 2
    shapes = []
    for ring in range(every, math.ceil(metres) + 1, every):
        circle = tuple(polar(angle, ring) for angle in np.linspace(-math.pi, math.pi, 73))
        shapes.append(Shape("line", "grid", circle))
        shapes.append(Shape("label", "grid", (polar(math.radians(-62), ring),), f"{ring} m", 0))
    half = frame.camera.hfov / 2
    for side in (half, -half):
        shapes.append(Shape("line", "grid", (place(0, 0), polar(side + frame.rig.camera_yaw, 1.05 * metres))))
    if not math.isnan(bearing):
        band = _ribbon(bearing, 0.0, distance, HALF_CORRIDOR, HALF_CORRIDOR)
        shapes.append(Shape("area", "truth", tuple(place(x, y) for x, y in band)))
    for thing in _named(seen):
        shapes.append(Shape("dot", "thing", (polar(thing.bearing, thing.distance),), thing.kind, 4))
    if _goal(truth):
        shapes.append(Shape("ring", "truth", (polar(bearing, distance),)))
    shapes += [Shape("cross", "hazard", (polar(h.bearing, h.distance),)) for h in truth.hazards]
    if not math.isnan(answer.direction):
        arrow = _arrow(answer.direction, 0.0, answer.reach, 1.4)
        shapes.append(Shape("area", "answer", tuple(place(x, y) for x, y in arrow)))
    for step in answer.cautions:
        length = UNSTATED if math.isnan(step.distance) else step.distance
        shapes.append(Shape("diamond", "said", (polar(step.bearing, length),)))
    shapes.append(Shape("dot", "wearer", (place(0, 0),), "", 8))
    return shapes


def _named(seen: Iterable[Seen]) -> list[Seen]:
    """The nearest of each kind: more names would lie on top of each other."""
    nearest: dict[str, Seen] = {}
    for thing in sorted(seen, key=lambda s: s.distance):
        nearest.setdefault(thing.kind, thing)
    return list(nearest.values())


def _goal(truth: Truth) -> str:
    """What the way leads to: a thing in view; "" where there is none."""
    return next((step.landmark for step in truth.steps if step.action is Action.MOVE), "")


def _height(frame: Frame, name: str, bearing: float) -> float:
    """Metres above the floor of the middle of the thing that is meant: of its name or a sort of it, at that bearing."""
    kinds = MEMBERS.get(name, (name,))
    near = [s for s in frame.observation.seen if s.kind in kinds and abs(s.bearing - bearing) < math.radians(5)]
    if not near:
        return 0.0
    item = frame.scene.items[min(near, key=lambda s: s.distance).item]
    return (item.bottom + item.height) / 2


def _hazard(step: Step) -> str:
    return f"{step.landmark}, {step.distance:.1f} m"


def _ribbon(bearing: float, near: float, far: float, start: float, end: float) -> list[Point]:
    """Corners (ahead, left) [m] of a strip along `bearing`; `start` and `end` are its half widths."""
    steps = np.linspace(near, max(far, near + 0.05), 24)
    widths = np.linspace(start, end, 24)
    c, s = math.cos(bearing), math.sin(bearing)
    left = [(c * d - s * w, s * d + c * w) for d, w in zip(steps, widths, strict=True)]
    right = [(c * d + s * w, s * d - c * w) for d, w in zip(steps, widths, strict=True)]
    return left + right[::-1]


def _arrow(bearing: float, near: float, far: float, fatter: float = 1.0) -> list[Point]:
    """Corners (ahead, left) [m] of an arrow along `bearing` that ends at `far`."""
    head = min(0.6, 0.5 * (far - near))
    shaft = _ribbon(bearing, near, far - head, fatter * ARROW, fatter * ARROW)
    tip = _ribbon(bearing, far - head, far, fatter * HEAD, 0.0)
    half = len(shaft) // 2
    return shaft[:half] + tip + shaft[half:]


def _floor(frame: Frame, corners: list[Point], role: Role, scale: float) -> list[Shape]:
    points = [_pixel(frame, math.atan2(y, x), math.hypot(x, y), 0.0, scale) for x, y in corners]
    shown = tuple(point for point in points if point is not None)
    return [Shape("area", role, shown)] if len(shown) > 2 else []


def _at(
    frame: Frame, bearing: float, distance: float, height: float, form: Form, role: Role, text: str, scale: float
) -> list[Shape]:
    point = _pixel(frame, bearing, max(distance, 0.3), height, scale)
    if point is None:
        return []
    # What lies nearer than the picture's lower edge is marked at the edge.
    edge = 14 * scale
    right, bottom = frame.camera.width * scale - edge, frame.camera.height * scale - edge
    inside = (min(max(point[0], edge), right), min(max(point[1], edge), bottom))
    return [Shape(form, role, (inside,), text, 9 * scale)]


def _pixel(frame: Frame, bearing: float, distance: float, height: float, scale: float) -> Point | None:
    finer = replace(frame, camera=frame.camera.scaled(_FINER * scale))  # for to_pixel gives whole pixels
    point = to_pixel(finer, bearing, distance, height)
    return None if point is None else ((point[0] + 0.5) / _FINER, (point[1] + 0.5) / _FINER)


def _inside(shapes: list[Shape], frame: Frame, scale: float) -> bool:
    width, height = frame.camera.width * scale, frame.camera.height * scale
    return any(0 <= x < width and 0 <= y < height for shape in shapes for x, y in shape.points)


def _beside(frame: Frame, answer: Told, scale: float) -> Shape:
    """A note at the edge, for an arrow that lies outside the picture."""
    width, height = frame.camera.width * scale, frame.camera.height * scale
    left = answer.direction > 0
    text = f"answer: {abs(round(math.degrees(answer.direction)))} degrees {'left' if left else 'right'}"
    text += "" if math.isnan(answer.distance) else f", {answer.distance:g} m"
    return Shape("label", "answer", ((4 * scale if left else width - 4 * scale, 0.9 * height),), text, 0)


@dataclass(frozen=True)
class Label:
    """Text of a shape, where it does not cover other labels. x, y: the upper left corner of its box [pixels]."""

    text: str
    role: Role
    x: float
    y: float
    width: float
    height: float

    @property
    def plain(self) -> bool:
        """Small and without a box."""
        return self.role in PLAIN


PLAIN: tuple[Role, ...] = ("thing", "grid")
LETTERS = {True: 14, False: 17}  # pixels, by Label.plain


def labels_of(shapes: Iterable[Shape], size: tuple[float, float], measure: Callable[[str, int], float]) -> list[Label]:
    """The labels of the shapes, in their order. size: the canvas's width and height. measure: (text, letters) -> width.

    A label stands right of its point, left of it where there is no room, and moves up as far as others need the place.
    """
    labels: list[Label] = []
    for shape in shapes:
        if not shape.text:
            continue
        letters = LETTERS[shape.role in PLAIN]
        width, height = measure(shape.text, letters) + 10, letters + 8.0
        (px, py), beside = shape.points[0], (16 if shape.form == "dot" else shape.size + 6)  # off a ring around a dot
        x = px + beside if px + beside + width < size[0] else px - beside - width
        x = min(max(x, 2.0), size[0] - width - 2)
        y = min(max(py - height / 2, 2.0), size[1] - height - 2)
        for _ in range(12):
            if not any(_overlap(label, x, y, width, height) for label in labels):
                break
            y = y - height - 2 if y - height - 2 > 0 else size[1] - height - 2
        labels.append(Label(shape.text, shape.role, x, y, width, height))
    return labels


def _overlap(label: Label, x: float, y: float, width: float, height: float) -> bool:
    aside = x >= label.x + label.width or x + width <= label.x
    return not (aside or y >= label.y + label.height or y + height <= label.y)
