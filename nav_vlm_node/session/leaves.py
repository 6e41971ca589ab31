"""The leaves of open doors that stand in the way, and how a door is gone through beside its own."""

from __future__ import annotations

import math
from dataclasses import dataclass, field

from nav_vlm_node.instruction import NAN, Action, Instruction
from nav_vlm_node.score import wrap
from nav_vlm_node.session.clues import OPEN_DOOR, SAME
from nav_vlm_node.session.trail import IN_WAY, Place, Spot, along, apart, beyond, heading_to

STRAIGHT = math.radians(2.5)  # a leaf and its door nearer than this do not tell on which side the leaf is
AROUND = math.radians(15)  # from the line on which a door was seen, away from its leaf: a way through beside it
ROOM = 1.7  # metres to a door, under which there is no room to go another way than straight on


@dataclass
class Leaves:
    """Where leaves of open doors stand, by what was warned of."""

    _spots: list[Place] = field(default_factory=list)

    def heed(self, instruction: Instruction, place: Place) -> None:
        """Keeps what an answer from a place warns of; of one leaf, the last look."""
        for step in instruction.steps:
            if (
                step.action is Action.CAUTION
                and step.landmark == OPEN_DOOR
                and not math.isnan(step.bearing + step.distance)
            ):
                spot = beyond(place, place.yaw + step.bearing, step.distance)
                self._spots = [known for known in self._spots if apart(known, spot) >= SAME] + [spot]

    def between(self, place: Place, spot: Spot) -> Place | None:
        """The leaf on the straight way from a place to a spot."""
        for leaf in self._spots:
            ahead, aside = along(place, heading_to(place, spot), leaf)
            if 0.0 < ahead < apart(place, spot) and abs(aside) < IN_WAY:
                return leaf
        return None

    def beside(self, place: Spot) -> Place | None:
        """The leaf that is near a place."""
        return min((s for s in self._spots if apart(s, place) < SAME), key=lambda s: apart(s, place), default=None)

    def way_round(self, place: Place, door: Spot) -> float:
        """The heading in which to go through a door that is seen from a place, turned away from its leaf where that
        stands in the straight way [rad]. NaN for straight on: there is none, or no telling on which side it hangs, or
        no room."""
        leaf = self.between(place, door)
        if leaf is None or apart(place, door) <= ROOM:
            return NAN
        heading = heading_to(place, door)
        off = wrap(heading_to(place, leaf) - heading)
        return wrap(heading + math.copysign(AROUND, off)) if abs(off) > STRAIGHT else NAN
