"""The way round to what legs straight on do not reach."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

from nav_vlm_node.session.trail import Place, apart

NEARLY = 0.5  # metres, which are not worth a leg


@dataclass
class Detour:
    """Spots that are gone to one after the other, and a look at what they lead to from the last."""

    _spots: list[Place] = field(default_factory=list)  # still to be gone to, first to last
    _looks: bool = False  # from where the last one led, next

    @property
    def under_way(self) -> bool:
        """Whether there is a spot that nobody was sent to yet."""
        return bool(self._spots)

    def begin(self, spots: Iterable[Place]) -> None:
        """Goes round by these."""
        self._spots = list(spots)

    def abandon(self) -> None:
        """Nobody is on the way to anything any more."""
        self._spots, self._looks = [], False

    def next(self, place: Place, barred: Callable[[Place, Place], bool]) -> Place | None:
        """The spot to go to now, for somebody at a place; None where that was the last, or the way there is barred."""
        while self._spots:
            spot = self._spots.pop(0)
            self._looks = not self._spots
            if barred(place, spot):
                self._spots.clear()
            elif apart(place, spot) >= NEARLY:
                return spot
        return None

    def over(self) -> bool:
        """Whether it has just ended, so that a look is due. Asked once."""
        looks, self._looks = self._looks, False
        return looks
