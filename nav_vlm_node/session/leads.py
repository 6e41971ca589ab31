"""Which open doors and signs were seen on the way, which were passed, and which is next."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

from nav_vlm_node.instruction import NAN, Instruction
from nav_vlm_node.score import wrap
from nav_vlm_node.session.clues import BEFORE, EXIT_SIGN, OPEN_DOOR, SAME, Clue, seen_in
from nav_vlm_node.session.looking import HERE
from nav_vlm_node.session.sightings import AGREE
from nav_vlm_node.session.trail import Place, Spot, apart, beyond, heading_to


@dataclass
class Leads:
    """What leads on to a goal that is not in view."""

    _clues: list[Clue] = field(default_factory=list)
    _under: set[int] = field(default_factory=set)  # of _clues, the signs that the wearer is at now

    def passed(self, last: Place, place: Place, ways: Iterable[Clue | None]) -> list[Clue]:
        """The doors that the wearer has come through between two places, left behind now. Signs that they have come to
        count as visited. ways: what they were on the way to."""
        ways = list(ways)
        doors = [c for c in self._clues if c.passed_by(last, place, any(c is way for way in ways))]
        for door in doors:
            door.leave_behind()
        under = {k for k, c in enumerate(self._clues) if c.landmark == EXIT_SIGN and apart(c, place) < HERE}
        for k in under - self._under:
            self._clues[k].visits += 1
        self._under = under
        return doors

    def of(self, instruction: Instruction, place: Place) -> tuple[Clue | None, float]:
        """The open door or sign that an answer from a place sends to or locates, kept, and how far it is [m]."""
        landmark, direction, reach = seen_in(instruction, (OPEN_DOOR, EXIT_SIGN))
        if not landmark:
            return None, NAN
        spot = beyond(place, place.yaw + direction, reach)
        alike = [clue for clue in self._clues if clue.landmark == landmark and apart(clue, spot) < SAME]
        if not alike:
            self._clues.append(Clue(landmark, spot.x, spot.y))
        found = min(alike, key=lambda clue: apart(clue, spot)) if alike else self._clues[-1]
        found.seen_at(spot.x, spot.y, place)
        return found, reach

    def frame_around(self, place: Place) -> Clue | None:
        """The door in whose frame the wearer stands: what was seen of it from farther away is better than a look."""
        for door in self._doors():
            near = not door.visits and apart(door, place) <= BEFORE
            if near and not door.out_of_reach(apart(door, place)):
                return door
        return None

    def one_of_several(self, door: Clue, place: Place, looks: Iterable[Spot]) -> bool:
        """Whether another open door was seen elsewhere, were it only by one of these looks, that nobody has gone
        through."""
        doors = self._doors()
        return any(
            all(apart(spot, known) >= SAME for known in doors if known.visits or known is door)
            and abs(wrap(heading_to(place, spot) - heading_to(place, door))) >= AGREE
            for spot in [*looks, *(other for other in doors if not other.visits)]
        )

    def next_door(self, place: Place, *, again: bool) -> Clue | None:
        """The nearest door that was not gone through. again: or the one that was least."""
        doors = [door for door in self._doors() if again or not door.visits]
        return min(doors, key=lambda door: (door.visits, apart(door, place)), default=None)

    def _doors(self) -> list[Clue]:
        return [clue for clue in self._clues if clue.landmark == OPEN_DOOR]
