"""Which walks of an evaluation are worth looking at: what went wrong, and some of everything else."""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeVar

from nav_vlm_node.errors import UserError
from nav_vlm_sim.walks.episode import Episode, Turn

T = TypeVar("T")

MOST, MOST_BAD = 60, 40  # walks on a page, and those among them that went wrong
PICTURES, REVERSALS = 1200, 10  # on a page, about 8 MB; of a long walk, so many reversals for certain


@dataclass(frozen=True)
class Kept:
    """A walk as an evaluation keeps it. plan: a seed, or the path of a YAML, as text. number: which of the plan's."""

    guide: str
    plan: str
    number: int
    episode: Episode

    @property
    def reversals(self) -> int:
        """How often the wearer was sent to the other side."""
        return sum(turn.reversal is True for turn in self.episode.turns)

    @property
    def bad(self) -> int:
        """0: lost; 1: arrived with a collision; 2: with a reversal; 3: nothing went wrong."""
        if not self.episode.arrived:
            return 0
        return 1 if self.episode.touches.collisions else 2 if self.reversals else 3


def kept(walks: Mapping[str, Episode], guides: Sequence[str]) -> list[Kept]:
    """The walks of these guides, of what `records.read` found; in the same order whoever walked first. Raises
    UserError for a key that no evaluation wrote."""
    found = []
    for key, episode in walks.items():
        named = re.fullmatch(r"(\S+) (.+) (\d+) \d+", key)
        if named is None:
            raise UserError(f"{key!r} names no walk; give another --out")
        if named[1] in guides:
            found.append(Kept(named[1], named[2], int(named[3]), episode))
    return sorted(found, key=lambda walk: (guides.index(walk.guide), walk.plan, walk.number, walk.episode.seed))


def picked(walks: Iterable[Kept]) -> list[Kept]:
    """At most MOST of them: first what went wrong, of the guides that rarely go wrong before the others; then the
    guides and classes by turns."""
    walks = list(walks)
    wrong = [walk for walk in walks if walk.bad < 3]
    often = {guide: sum(walk.guide == guide for walk in wrong) for guide in {walk.guide for walk in wrong}}
    chosen = sorted(wrong, key=lambda walk: (often[walk.guide], walk.guide, walk.bad))[:MOST_BAD]
    chosen.sort(key=lambda walk: walk.bad)
    taken = {id(walk) for walk in chosen}
    groups: dict[tuple[str, str], list[Kept]] = {}
    for walk in sorted(walks, key=lambda walk: -walk.bad):
        if id(walk) not in taken:
            groups.setdefault((walk.guide, walk.episode.walk.kind), []).append(walk)
    return [*chosen, *by_turns(list(groups.values()))][:MOST]


def by_turns(groups: Sequence[Sequence[T]]) -> list[T]:
    """The first of each group, then the second of each, and so on."""
    rows = itertools.zip_longest(*([(one,) for one in group] for group in groups))
    return [one[0] for row in rows for one in row if one is not None]


def pictured(turns: Sequence[Turn], most: int) -> list[int]:
    """Which turns are shown with a picture, at most so many (more than REVERSALS + 1): all of a short walk; of a long
    one reversals, and some from end to end."""
    if len(turns) <= most:
        return list(range(len(turns)))
    chosen = set([k for k, turn in enumerate(turns) if turn.reversal][:REVERSALS])
    others = [k for k in range(len(turns)) if k not in chosen]
    room = most - len(chosen)
    chosen |= {others[round(n * (len(others) - 1) / (room - 1))] for n in range(room)}
    return sorted(chosen)
