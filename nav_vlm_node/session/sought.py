"""Where the goal is believed to be, and where it is not, whatever a picture says."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass, field

from nav_vlm_node.instruction import NAN
from nav_vlm_node.session.clues import GOAL, Clue
from nav_vlm_node.session.looking import REMEMBERED
from nav_vlm_node.session.trail import Place, Spot, apart

NEAR = 1.0  # metres, from where a goal fills the picture, and nobody can tell one door from another
REACHED = 0.5  # metres from where the goal should be: it is not there
BEEN = 0.7  # metres around where the wearer has been: their cane would have found the goal
ELSEWHERE = 0.3  # of a goal's distance, by which two looks at one goal differ at most
ABSENT = 1.2  # metres around where the goal was said to be and never came nearer
DOUBTS = 5  # sightings of the goal that lead no nearer, after which it is not believed


@dataclass
class Sought:
    """seen: where the goal was last. misled: the wearer was led to one that was not there. announced: they were told
    that it should be within reach."""

    seen: Clue = field(default_factory=lambda: Clue(GOAL, NAN, NAN))
    misled: bool = False
    announced: bool = False
    _absent: deque[Spot] = field(default_factory=lambda: deque(maxlen=REMEMBERED))

    def possible(self, spot: Spot, place: Place, been: Iterable[Place]) -> bool:
        """Whether it may be at a spot that is seen from a place: nobody has been there, and it is not absent there."""
        passed = any(apart(p, spot) < BEEN for p in been if apart(p, place) > BEEN)
        return not (passed or any(apart(p, spot) < ABSENT for p in self._absent))

    def rule_out(self, spot: Spot) -> None:
        """It is not there."""
        self._absent.append(spot)

    def sight(self, spot: Place, distance: float) -> None:
        """A look from so far away [m] puts it at a spot, of which it was possible."""
        if apart(self.seen, spot) > max(ABSENT, ELSEWHERE * distance):  # of another one it came no nearer yet
            self.seen.nearest = distance
        self.seen.x, self.seen.y = spot.x, spot.y

    def recedes(self, distance: float) -> bool:
        """Whether sighting after sighting has led no nearer. Asked once for each that was walked to."""
        return self.seen.out_of_reach(distance, DOUBTS)

    def lose(self) -> None:
        """It is not where it was seen."""
        self.seen, self.misled, self.announced = Clue(GOAL, NAN, NAN), True, False
