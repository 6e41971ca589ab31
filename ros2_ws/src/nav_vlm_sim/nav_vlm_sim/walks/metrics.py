"""What many walks say of a guide: shares and means with their 95 % intervals.

SPL: Anderson et al. 2018, "On Evaluation of Embodied Navigation Agents". nDTW: Ilharco et al. 2019, "General Evaluation
for Instruction Conditioned Navigation using Dynamic Time Warping".
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from nav_vlm_node.instruction import Status
from nav_vlm_node.score import OFF_CENTRE, Share, wilson
from nav_vlm_node.score_shares import clustered
from nav_vlm_sim.walks.episode import Episode, Turn
from nav_vlm_sim.walks.space import Point

RESAMPLES = 2000
NO_EVENT = -math.log(0.025)  # 3.69 over n is the upper 95 % bound of a Poisson mean where n walks saw no event: its
# two-sided exact interval (Garwood 1936, "Fiducial limits for the Poisson distribution")
NEAR_WAY = 1.0  # metres, nDTW's scale: how far from the reference still is near it
SPACING = 0.25  # metres between the points that are compared
Numbers = npt.NDArray[np.float64]


def spl(episode: Episode) -> float:
    """Success weighted by path length, 0..1."""
    if not episode.arrived:
        return 0.0
    return 1.0 if episode.shortest <= 0 else episode.shortest / max(episode.length, episode.shortest)


def ndtw(episode: Episode) -> float:
    """How near the walked way keeps to the shortest safe one, 0..1; 0 where there is none."""
    if not episode.reference:
        return 0.0
    walked = spaced([(moment.x, moment.y) for moment in episode.track])
    meant = spaced(episode.reference)
    gaps = np.linalg.norm(walked[:, None] - meant[None], axis=2)
    best = np.full(len(meant) + 1, np.inf)
    best[0] = 0.0
    for row in gaps:
        before, best = best, np.full(len(meant) + 1, np.inf)
        for j, gap in enumerate(row):
            best[j + 1] = gap + min(before[j + 1], before[j], best[j])
    return float(math.exp(-best[-1] / (len(meant) * NEAR_WAY)))


def spaced(points: Sequence[Point]) -> Numbers:
    """[N, 2] points SPACING metres apart along a way; one point for a way without length."""
    if not points:
        return np.zeros((1, 2))
    kept = np.asarray(points, float)
    lengths = np.concatenate([[0.0], np.cumsum(np.linalg.norm(np.diff(kept, axis=0), axis=1))])
    at = np.arange(0.0, lengths[-1] + 1e-9, SPACING)
    return np.stack([np.interp(at, lengths, kept[:, k]) for k in range(2)], axis=1)


# name -> (what it is, of one episode)
MEANS: dict[str, tuple[str, Callable[[Episode], float]]] = {
    "spl": ("success weighted by path length", spl),
    "ndtw": ("nearness to the shortest safe path", ndtw),
    "collisions_per_episode": ("touched at 0.5 m/s or faster", lambda e: float(e.touches.collisions)),
    "contacts_per_episode": ("touched more slowly", lambda e: float(e.touches.contacts)),
    "near_misses_per_episode": ("passed at full speed within 0.1 m", lambda e: float(e.touches.near_misses)),
    "time_s": ("seconds", lambda e: e.time),
    "length_m": ("metres walked", lambda e: e.length),
    "silent_s": ("seconds without a word or a step, turning too", lambda e: e.silent),
    "instructions_per_episode": ("questions asked", lambda e: float(len(e.turns))),
}
COUNTS = ("collisions_per_episode", "contacts_per_episode", "near_misses_per_episode")
# name -> (what it is, above the line, below it): of all episodes together
RATIOS: dict[str, tuple[str, Callable[[Episode], float], Callable[[Episode], float]]] = {
    "instructions_per_metre": ("per metre of the shortest path", lambda e: float(len(e.turns)), lambda e: e.shortest),
    "words_per_metre": ("per metre of the shortest path", lambda e: float(e.words), lambda e: e.shortest),
}

# name -> (what it is, whether a turn counts; None where it is not asked about): of all turns together
SHARES: dict[str, tuple[str, Callable[[Turn], bool | None]]] = {
    "reversal_rate": ("directions to the wrong side", lambda t: t.reversal),
    "reversals_per_question": (
        "of all questions asked where the way lies aside",
        lambda t: t.reversal is True if abs(t.wanted) >= OFF_CENTRE else None,
    ),
    "away_rate": ("of all directions, those more than a right angle off the way", lambda t: t.away),
    "goal_reversal_rate": (
        "of directions to the goal, where the others lead to signs and open doors",
        lambda t: t.reversal if t.status == Status.OK.name else None,
    ),
    "search_reversal_rate": ("of looks to a side, and of legs by memory", lambda t: t.astray),
    "search_leg_reversal_rate": ("of those legs alone", lambda t: t.astray if t.leg else None),
    "abstention_rate": ("answers without a direction", lambda t: math.isnan(t.direction) and not t.searching),
    "search_rate": ("answers that only search", lambda t: t.searching),
}


def share(episodes: Sequence[Episode], counted: Callable[[Turn], bool | None]) -> Share:
    """How many of the turns that are asked about count, with its 95 % interval: one walk's turns are alike."""
    answers = [(walk, answer) for walk, episode in enumerate(episodes) for answer in map(counted, episode.turns)]
    asked = [(walk, answer) for walk, answer in answers if answer is not None]
    return clustered([float(answer) for _, answer in asked], [1.0] * len(asked), [walk for walk, _ in asked])


def summarise(episodes: Sequence[Episode]) -> dict[str, Any]:
    """All measures of some walks under one guide, as JSON: {"value", "low", "high", "n"} each."""
    found: dict[str, Any] = {"episodes": len(episodes)}
    found["success_rate"] = wilson(sum(e.arrived for e in episodes), len(episodes)).to_json()
    for name, (_, of) in MEANS.items():
        numbers = np.array([of(episode) for episode in episodes])
        found[name] = _interval(numbers, np.ones(len(numbers)))
        if name in COUNTS and len(numbers) and not numbers.any():  # resampled, nothing stays nothing
            found[name]["high"] = NO_EVENT / len(numbers)
    for name, (_, above, below) in RATIOS.items():
        found[name] = _interval(np.array([above(e) for e in episodes]), np.array([below(e) for e in episodes]))
    for name, (_, counted) in SHARES.items():
        found[name] = share(episodes, counted).to_json()
    return found


def _interval(above: Numbers, below: Numbers) -> dict[str, Any]:
    """The ratio of two sums and its 95 % bootstrap interval over episodes, of the resamples that have one; a mean where
    `below` is all ones."""
    if not len(above) or not below.sum():
        return {"value": None, "low": None, "high": None, "n": len(above)}
    picks = np.random.default_rng(812).integers(0, len(above), (RESAMPLES, len(above)))
    over, under = above[picks].sum(1), below[picks].sum(1)
    low, high = np.quantile(over[under > 0] / under[under > 0], [0.025, 0.975])
    return {"value": float(above.sum() / below.sum()), "low": float(low), "high": float(high), "n": len(above)}


def differences(of: Sequence[Episode], than: Sequence[Episode]) -> dict[str, Any]:
    """How much more often one guide's walks arrive than another's, and how much higher their SPL is, on the walks that
    both have taken; the interval is of the pairs."""

    def walk(episode: Episode) -> tuple[Any, ...]:
        return episode.plan, episode.walk, episode.seed

    other = {walk(episode): episode for episode in than}
    pairs = [(episode, other[walk(episode)]) for episode in of if walk(episode) in other]
    ones = np.ones(len(pairs))
    return {
        "success_rate": _interval(np.array([float(a.arrived) - b.arrived for a, b in pairs]), ones),
        "spl": _interval(np.array([spl(a) - spl(b) for a, b in pairs]), ones),
    }


def by_class(episodes: Mapping[str, Sequence[Episode]], classes: str) -> dict[str, Any]:
    """The summary of every guide over these classes together, and of each class alone; of those after the first also
    what the first has more than they, walk by walk."""
    found: dict[str, Any] = {}
    first: list[Episode] | None = None
    for guide, of in episodes.items():
        asked = [episode for episode in of if episode.walk.kind in classes]
        found[guide] = summarise(asked)
        if first is None:
            first = asked
        else:
            found[guide]["first_more"] = differences(first, asked)
        found[guide]["classes"] = {
            kind: summarise([e for e in of if e.walk.kind == kind]) for kind in sorted({e.walk.kind for e in of})
        }
    return found
