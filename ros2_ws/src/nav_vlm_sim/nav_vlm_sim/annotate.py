"""A picture with its truth drawn into it, for people."""

from __future__ import annotations

import math

import cv2
import numpy as np
import numpy.typing as npt

from nav_vlm_node.instruction import Step
from nav_vlm_node.language import render_canonical
from nav_vlm_node.view import Rig, wearer_from_optical
from nav_vlm_sim.records import Frame
from nav_vlm_sim.truth import AHEAD_RANGE, HALF_CORRIDOR, Seen, ahead_steps

Image = npt.NDArray[np.uint8]
Colour = tuple[int, int, int]
NAMED, UNSURE, HAZARD, WAY, INK, PAPER = (
    (255, 220, 60), (170, 170, 170), (255, 90, 70), (90, 220, 120), (20, 20, 20), (245, 245, 240),
)  # fmt: skip
_FONT, _SIZE = cv2.FONT_HERSHEY_SIMPLEX, 0.42


def to_pixel(frame: Frame, bearing: float, distance: float, height: float) -> tuple[int, int] | None:
    """Where a point is in the delivered picture (column, row); None behind the camera or far outside.

    bearing in radians, distance along the floor and height above it in metres, of the wearer.
    """
    level = Rig(
        camera_yaw=frame.rig.camera_yaw, camera_pitch=frame.pose.pitch, camera_height=frame.pose.height,
        image_rotation=frame.rig.image_rotation, mirrored=frame.rig.mirrored,
    )  # fmt: skip
    point = np.array([math.cos(bearing) * distance, math.sin(bearing) * distance, height - frame.pose.height])
    x, y, z = point @ wearer_from_optical(level)
    if level.mirrored:
        x = -x
    for _ in range(level.image_rotation // 90):
        x, y = y, -x
    u, v = frame.camera.project(np.array(x), np.array(y), np.array(z))
    if not (math.isfinite(u) and math.isfinite(v)) or max(abs(u), abs(v)) > 10_000:
        return None
    return round(float(u)), round(float(v))


def annotate(frame: Frame, lines: tuple[str, ...] = ()) -> Image:
    """A new picture: what is in view with its bearing and distance, the corridor ahead, and `lines` below it.

    Drawn is what the truth says, not what is seen: a name beside its thing is a check of the simulator.
    """
    picture = frame.raw.copy()
    _corridor(picture, frame)
    for seen in sorted(frame.observation.seen, key=lambda s: -s.distance):
        if seen.visible is not False:
            _name(picture, frame, seen)
    ahead = frame.observation.ahead
    if ahead is not None:
        _caution(picture, frame, ahead)
    told = render_canonical(ahead_steps(frame.observation))
    return _with_caption(picture, (f"Straight ahead: {told}", *lines))


def _corridor(picture: Image, frame: Frame) -> None:
    for side in (HALF_CORRIDOR, -HALF_CORRIDOR):
        points = []
        for along in np.linspace(0.4, AHEAD_RANGE, 40):
            point = to_pixel(frame, math.atan2(side, along), math.hypot(side, along), 0.0)
            points += [point] if point else []
        cv2.polylines(picture, [np.array(points, np.int32)], False, WAY, 1, cv2.LINE_AA)


def _name(picture: Image, frame: Frame, seen: Seen) -> None:
    item = frame.scene.items[seen.item]
    point = to_pixel(frame, seen.bearing, max(seen.distance, 0.3), (item.bottom + item.height) / 2)
    if point is None:
        return
    degrees = round(math.degrees(seen.bearing))
    where = f"{abs(degrees)} {'left' if degrees > 0 else 'right' if degrees < 0 else ''}".strip()
    arrow = f", points {seen.arrow}" if seen.arrow else ""
    text = f"{seen.kind} {where} {seen.distance:.1f} m{arrow}" + ("" if seen.visible else " ?")
    cv2.circle(picture, point, 4, NAMED if seen.visible else UNSURE, -1, cv2.LINE_AA)
    _label(picture, text, point, NAMED if seen.visible else UNSURE)


def _caution(picture: Image, frame: Frame, step: Step) -> None:
    point = to_pixel(frame, step.bearing, step.distance, 0.0)
    if point is not None:
        cv2.drawMarker(picture, point, HAZARD, cv2.MARKER_TILTED_CROSS, 14, 2, cv2.LINE_AA)


def _label(picture: Image, text: str, point: tuple[int, int], colour: Colour) -> None:
    (width, height), _ = cv2.getTextSize(text, _FONT, _SIZE, 1)
    x = min(max(point[0] + 6, 1), max(picture.shape[1] - width - 3, 1))
    y = min(max(point[1] - 5, height + 3), picture.shape[0] - 5)
    cv2.rectangle(picture, (x - 2, y - height - 3), (x + width + 2, y + 4), INK, -1)
    cv2.putText(picture, text, (x, y), _FONT, _SIZE, colour, 1, cv2.LINE_AA)


def _with_caption(picture: Image, lines: tuple[str, ...]) -> Image:
    wrapped = [part for line in lines for part in _wrap(line, picture.shape[1] - 12)]
    strip = np.full((18 * len(wrapped) + 8, picture.shape[1], 3), PAPER, np.uint8)
    for i, line in enumerate(wrapped):
        cv2.putText(strip, line, (6, 18 * (i + 1) - 2), _FONT, _SIZE, INK, 1, cv2.LINE_AA)
    return np.concatenate([picture, strip])


def _wrap(text: str, width: int) -> list[str]:
    """Lines of at most `width` pixels; a word that is longer has a line of its own."""
    lines: list[str] = []
    for word in text.split():
        longer = f"{lines[-1]} {word}" if lines else word
        if lines and cv2.getTextSize(longer, _FONT, _SIZE, 1)[0][0] <= width:
            lines[-1] = longer
        else:
            lines.append(word)
    return lines
