"""How a search looks around: one way after the other, each once, then on to another place."""

from __future__ import annotations

import math
from collections import deque
from dataclasses import dataclass, field

from nav_vlm_node.score import wrap
from nav_vlm_node.session.trail import Place, apart

LOOK = math.radians(60)  # one turn of a search: the next picture overlaps the last one
SEEN = math.radians(40)  # a heading this near to one that was looked at is not looked at again
LOOKS = 6  # in a row, at most, before the wearer goes on to another place
REMEMBERED = 3 * LOOKS  # looks
HERE = 1.2  # metres: from within this circle a heading that was looked at stays looked at


@dataclass
class Looking:
    """turned: looks in a row that found nothing. roamed: legs in a row to where nobody was yet."""

    turned: int = 0
    roamed: int = 0
    _looked: deque[Place] = field(default_factory=lambda: deque(maxlen=REMEMBERED))

    @property
    def enough(self) -> bool:
        """Whether nobody is to look on from here."""
        return self.turned >= LOOKS

    def look(self, place: Place) -> None:
        """Keeps that a picture from a place was looked at."""
        self._looked.append(place)

    def fresh(self, place: Place) -> float | None:
        """A turn to where nobody has looked from here [rad], to the same side as the last: it goes round once."""
        if self.enough:
            return None
        here = [p for p in self._looked if apart(p, place) < HERE]
        turns = [LOOK, -LOOK, 2 * LOOK, -2 * LOOK, math.pi]
        turns = [turn for turn in turns if all(abs(wrap(place.yaw + turn - p.yaw)) > SEEN for p in here)]
        if len(here) > 1:
            last = wrap(here[-1].yaw - here[-2].yaw)
            turns = [turn for turn in turns if turn * last > 0] or turns
        return min(turns, key=abs, default=None)
