"""An instruction drawn onto the frame that it is about, as SVG over a jpeg: paths on the floor, things beside them."""

from __future__ import annotations

import math
from collections.abc import Sequence
from html import escape
from typing import Any

import numpy as np
import numpy.typing as npt

from nav_vlm_node.frames import Frame, Image
from nav_vlm_node.instruction import Action, Step
from nav_vlm_node.view import Camera, Rig, wearer_from_optical

Points = npt.NDArray[np.float64]
WIDEST, QUALITY = 640, 80  # pixels across a frame in the report; of jpeg
UNSTATED = 2.0  # m; how far an arrow is drawn where no distance is said
NEAR, STRIDE = 0.5, 0.1  # m; where a path begins before the wearer's feet, between its points


def upright(image: Image, rig: Rig) -> Image:
    """The picture as a person sees it: turned, unmirrored."""
    turned = np.rot90(image, -(rig.image_rotation // 90))
    return np.ascontiguousarray(turned[:, ::-1] if rig.mirrored else turned)


def jpeg(image: Image) -> tuple[bytes, int, int]:
    """The file, at most WIDEST wide, and its width and height."""
    import cv2

    height, width = image.shape[:2]
    if width > WIDEST:
        size = (WIDEST, max(1, round(height * WIDEST / width)))
        image = np.asarray(cv2.resize(image, size, interpolation=cv2.INTER_AREA), np.uint8)
    done, data = cv2.imencode(".jpg", image[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, QUALITY])
    assert done
    return bytes(data.tobytes()), image.shape[1], image.shape[0]


class Canvas:
    """Draws into one upright frame; coordinates of its SVG are the frame's pixels."""

    def __init__(self, frame: Frame, rig: Rig, hfov: float) -> None:
        height, width = frame.image.shape[:2]
        self._camera = frame.camera or Camera.from_fov(width, height, hfov)
        self._rig = rig
        sideways = rig.image_rotation % 180 == 90
        self.width, self.height = (height, width) if sideways else (width, height)
        self._unit = self.width / 640
        self._labels: list[tuple[float, float, float, float]] = []

    def svg(self, layers: Sequence[tuple[str, Sequence[Step]]]) -> str:
        """An <svg> of several answers: (class, steps) each."""
        inside = "".join(self._layer(name, steps) for name, steps in layers)
        return f'<svg class="over" viewBox="0 0 {self.width} {self.height}" aria-hidden="true">{inside}</svg>'

    def project(self, points: Points) -> Points:
        """[N, 3] of the wearer's frame, from the camera [m], to [N, 2] upright pixels; NaN where they are not seen."""
        x, y, z = np.moveaxis(points @ wearer_from_optical(self._rig), -1, 0)
        x = -x if self._rig.mirrored else x
        for _ in range(self._rig.image_rotation // 90):
            x, y = y, -x
        u, v = self._camera.project(x, y, z)
        for turn in range(self._rig.image_rotation // 90):
            rows = self._camera.height if turn % 2 == 0 else self._camera.width
            u, v = rows - 1 - v, u
        return np.stack([self.width - 1 - u if self._rig.mirrored else u, v], axis=-1)

    def _layer(self, name: str, steps: Sequence[Step]) -> str:
        parts = [self._path(name, steps)]
        for step in steps:
            if step.action in (Action.CAUTION, Action.LOCATE) and not math.isnan(step.bearing):
                parts.append(self._thing(name, step))
        return f'<g class="{name}">{"".join(parts)}</g>'

    def _floor(self, points: Points) -> Points:
        """[N, 2] on the floor to pixels."""
        return self.project(np.column_stack([points, np.full(len(points), -self._rig.camera_height)]))

    def _path(self, name: str, steps: Sequence[Step]) -> str:
        """The way that the turns and moves describe."""
        route = route_of(steps)
        if len(route) < 2:
            return ""
        pixels = self._floor(route)
        seen = pixels[np.isfinite(pixels).all(axis=1)]
        reach = [self.width / 2, self.height - 24 * self._unit]  # a tip at the very edge would be cut
        inside = seen[(np.abs(seen - [self.width / 2, 0]) < reach).all(axis=1)]
        heading = math.atan2(route[-1, 1] - route[0, 1], route[-1, 0] - route[0, 0])
        if len(inside) < 2:
            ahead = self.width / 2 if heading == 0 else math.nan
            return self._edge(name, heading, float(seen[-1, 0]) if len(seen) else ahead)
        (x0, y0), (x1, y1) = seen[-2], seen[-1]
        tip = f'<path class="tip" d="{self._tip(x1, y1, math.atan2(y1 - y0, x1 - x0))}"/>'
        line = " ".join(f"{x:.1f},{y:.1f}" for x, y in seen.clip(-1e4, 1e4))
        drawn = f'<polyline class="rim" points="{line}"/><polyline class="line" points="{line}"/>{tip}'
        return drawn + self._label(name, float(x1), float(y1), side_of(heading))

    def _edge(self, name: str, heading: float, x: float) -> str:
        """An arrow at the border: below where the way ends, at `x`, before the floor comes into view, else beside."""
        left, margin = heading > 0, 24 * self._unit
        if 0 < x < self.width:
            x, y, angle = min(max(x, margin), self.width - margin), self.height - margin, -math.pi / 2
        else:
            x, y, angle = margin if left else self.width - margin, 0.55 * self.height, math.pi if left else 0.0
        arrow = self._tip(x, y, angle)
        return f'<path class="tip" d="{arrow}"/>' + self._label(name, x, y, side_of(heading))

    def _tip(self, x: float, y: float, angle: float) -> str:
        size = 13 * self._unit
        corners = [
            (x + size * math.cos(angle + turn), y + size * math.sin(angle + turn)) for turn in (0, 2.4, math.pi, -2.4)
        ]
        return "M" + "L".join(f"{a:.1f} {b:.1f}" for a, b in (corners[0], corners[1], corners[3])) + "Z"

    def _thing(self, name: str, step: Step) -> str:
        """A diamond where something is said to be, on the floor where its distance is said."""
        far = step.distance if math.isfinite(step.distance) else 2.5
        point = np.array([[max(far, 0.3) * math.cos(step.bearing), max(far, 0.3) * math.sin(step.bearing)]])
        x, y = self._floor(point)[0]
        words = step.landmark or step.action.name.lower()
        if not math.isfinite(x + y) or not 0 <= x <= self.width:
            return self._label(name, 30 * self._unit if step.bearing > 0 else self.width, 0.75 * self.height, words)
        y = min(max(y, 10.0), self.height - 10.0)
        size = 9 * self._unit
        shape = f"M{x - size:.1f} {y:.1f}L{x:.1f} {y - size:.1f}L{x + size:.1f} {y:.1f}L{x:.1f} {y + size:.1f}Z"
        return f'<path class="thing" d="{shape}"/>' + self._label(name, float(x), float(y), words)

    def _label(self, name: str, x: float, y: float, text: str) -> str:
        """Words beside a point, inside the picture, not over other words."""
        size = 15 * self._unit
        wide, high = 0.58 * size * len(text) + 0.8 * size, 1.5 * size
        left = max(min(x + size, self.width - wide - 4), 4)
        first = min(max(y - high - 0.4 * size, 4), self.height - high - 4)
        below, above = int((self.height - high - first) // (high + 2)), int(first // (high + 2))
        places = (first + lines * (high + 2) for lines in (*range(below + 1), *range(-1, -above - 1, -1)))
        top = next((top for top in places if not self._taken(left, left + wide, top, top + high)), first)
        self._labels.append((left, left + wide, top, top + high))
        box = f'<rect x="{left:.1f}" y="{top:.1f}" width="{wide:.1f}" height="{high:.1f}" rx="{size / 4:.1f}"/>'
        at = f'x="{left + 0.4 * size:.1f}" y="{top + 1.08 * size:.1f}" font-size="{size:.1f}"'
        return f"{box}<text {at}>{escape(text)}</text>"

    def _taken(self, left: float, right: float, top: float, bottom: float) -> bool:
        """Whether there are words."""
        return any(left < b and a < right and top < d and c < bottom for a, b, c, d in self._labels)


def route_of(steps: Sequence[Step]) -> Points:
    """[N, 2] points [m] of the way on the floor, the wearer at the origin facing x; [0, 2] where there is none."""
    heading, at, points = 0.0, np.zeros(2), list[Any]()
    moved = turned = False
    for step in steps:
        if step.action is Action.TURN and not math.isnan(step.bearing):
            heading, turned = heading + step.bearing, True
        elif step.action is Action.MOVE:
            bearing = heading + (0.0 if math.isnan(step.bearing) else step.bearing)
            far = step.distance if math.isfinite(step.distance) else UNSTATED
            points += _line(at, bearing, min(far, 50.0))
            at = at + min(far, 50.0) * np.array([math.cos(bearing), math.sin(bearing)])
            moved = True
    if turned and not moved:
        points += _line(at, heading, UNSTATED)
    return np.array(points, float).reshape(-1, 2)


def _line(start: Points, bearing: float, far: float) -> list[Points]:
    first = min(NEAR, far / 2) if not start.any() else 0.0
    ahead = np.array([math.cos(bearing), math.sin(bearing)])
    return [start + along * ahead for along in np.linspace(first, far, max(2, round((far - first) / STRIDE) + 1))]


def side_of(bearing: float) -> str:
    """As 35° left."""
    degrees = round(math.degrees(bearing))
    return "ahead" if degrees == 0 else f"{abs(degrees)}° {'left' if degrees > 0 else 'right'}"
