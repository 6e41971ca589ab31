"""What pictures warned of: where memory sends the wearer, it is warned of again, and no search leads to it."""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass, field

from nav_vlm_node.instruction import Action, Instruction, Step
from nav_vlm_node.score import wrap
from nav_vlm_node.session.clues import OPEN_DOOR, SAME
from nav_vlm_node.session.trail import IN_WAY, LEG, Place, Spot, along, apart, beyond, heading_to

MOVES = ("person",)  # where it was a question ago it need not be now
THINGS = 32  # that are remembered


@dataclass
class Warned:
    """Things that stand about, by what was warned of."""

    _spots: deque[tuple[str, Place]] = field(default_factory=lambda: deque(maxlen=THINGS))

    def heed(self, instruction: Instruction, place: Place) -> None:
        """Keeps what an answer from a place warns of; of one thing, the last look."""
        known = [(name, spot) for name, spot in self._spots if name not in MOVES]
        for step in instruction.steps:
            if step.action is Action.CAUTION and math.isfinite(step.bearing) and math.isfinite(step.distance):
                spot = beyond(place, place.yaw + step.bearing, step.distance)
                known = [(n, s) for n, s in known if n != step.landmark or apart(s, spot) >= SAME]
                known.append((step.landmark, spot))
        self._spots = deque(known, THINGS)

    def meets(self, place: Place, heading: float) -> bool:
        """Whether a leg in that heading [rad] leads to one of them."""
        return any(True for _ in self._on(place, heading, LEG))

    def between(self, place: Place, spot: Spot) -> bool:
        """Whether one of them is on the straight way from a place to a spot; the leaves of open doors do not count."""
        on = self._on(place, heading_to(place, spot), apart(place, spot))
        return any(name != OPEN_DOOR for name, _ in on)

    def before(self, place: Place, steps: Iterable[Step]) -> list[Step]:
        """Warnings, as they are now, of what the legs of these steps lead to and the steps do not warn of.

        Not of the leaves of open doors: the way through is beside them.
        """
        steps = tuple(steps)
        said = [s.landmark for s in steps if s.action is Action.CAUTION]
        found: dict[tuple[str, Place], Step] = {}
        at = place
        for step in steps:
            if step.action is Action.TURN and math.isfinite(step.bearing):
                at = at._replace(yaw=wrap(at.yaw + step.bearing))
            if step.action is Action.MOVE:
                length = LEG if math.isnan(step.distance) else min(step.distance, LEG)
                for name, spot in self._on(at, at.yaw, length):
                    if name not in (*said, OPEN_DOOR):
                        bearing = wrap(heading_to(place, spot) - place.yaw)
                        found[name, spot] = Step(Action.CAUTION, bearing, apart(place, spot), name)
                at = beyond(at, at.yaw, length)
        return sorted(found.values(), key=lambda step: step.distance)

    def _on(self, place: Place, heading: float, length: float) -> Iterable[tuple[str, Place]]:
        for name, spot in self._spots:
            ahead, aside = along(place, heading, spot)
            if 0.0 < ahead < length + IN_WAY and abs(aside) < IN_WAY:
                yield name, spot
