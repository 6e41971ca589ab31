"""What was seen, where, and from where: what one look says is worth more where another one agrees."""

from __future__ import annotations

import math
from collections import deque
from dataclasses import dataclass, field

from nav_vlm_node.score import wrap
from nav_vlm_node.session.clues import SAME, Clue
from nav_vlm_node.session.looking import REMEMBERED
from nav_vlm_node.session.trail import AWAY, Place, Spot, apart, heading_to

AGREE = math.radians(20)  # two looks that put a thing into headings as near as this agree
ANOTHER = 0.4, math.radians(10)  # metres, radians: a look from nearer than both is not another one
FARTHER = 0.5  # metres, by which a look from farther away is from farther away


@dataclass
class Sightings:
    """Of the goal, doors and signs, each with the place of the look."""

    # what, where, from
    _seen: deque[tuple[str, Place, Place]] = field(default_factory=lambda: deque(maxlen=REMEMBERED))

    def add(self, landmark: str, spot: Place, place: Place) -> None:
        """Keeps that a look from a place showed a thing at a spot."""
        self._seen.append((landmark, spot, place))

    def agree(self, landmark: str, heading: float, place: Place) -> bool:
        """Whether another look than one from this place put the thing into about that heading from here [rad]."""
        return any(
            name == landmark
            and abs(wrap(heading_to(place, spot) - heading)) < AGREE
            and (apart(eye, place) >= ANOTHER[0] or abs(wrap(eye.yaw - place.yaw)) >= ANOTHER[1])
            for name, spot, eye in self._seen
        )

    def from_afar(self, landmark: str, spot: Spot, distance: float) -> bool:
        """Whether a look from farther away than this [m] has shown the thing about at that spot."""
        return any(
            name == landmark and apart(known, spot) < SAME and apart(eye, known) > distance + FARTHER
            for name, known, eye in self._seen
        )

    def from_farthest(self, clue: Clue, place: Place) -> Place | None:
        """The look at it that was farthest from a place."""
        eyes = [
            eye
            for name, spot, eye in self._seen
            if name == clue.landmark and apart(spot, clue) < SAME and apart(eye, place) >= AWAY
        ]
        return max(eyes, key=lambda eye: apart(eye, place), default=None)

    def of(self, landmark: str) -> list[Place]:
        """Where looks put the thing."""
        return [spot for name, spot, _ in self._seen if name == landmark]

    def forget(self, landmark: str) -> None:
        """No look at it counts any more."""
        self._seen = deque((seen for seen in self._seen if seen[0] != landmark), REMEMBERED)
