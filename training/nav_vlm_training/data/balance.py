"""Which way the answers of a data set go, whether one way outweighs the rest, and sampling that evens it out."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Sequence

from nav_vlm_node.score import OFF_CENTRE, Truth

DIRECTIONS = ("ahead", "left", "right", "behind")
MOST_OF_ALL = 0.5  # a direction with a larger share of all directions than this outweighs the rest
HEAVIEST = 10.0  # times as often as without weights, at most: few examples must not be learnt by heart


def direction_of(truth: Truth) -> str:
    """One of DIRECTIONS where the truth has one; else "not visible", "hazard", "clear", "unknown" or "describe"."""
    if truth.kind == "target":
        if not truth.visible or math.isnan(truth.bearing):
            return "not visible"
        off = abs(truth.bearing)
        if off < OFF_CENTRE:
            return "ahead"
        return "behind" if off > math.pi - OFF_CENTRE else "left" if truth.bearing > 0 else "right"
    if truth.kind == "hazard":
        return "hazard" if truth.hazards else "clear"
    return truth.kind


def shares(names: Iterable[str]) -> dict[str, float]:
    """The share of each, the largest first."""
    counted = Counter(names)
    return {name: round(count / counted.total(), 4) for name, count in counted.most_common()}


def unbalanced(truths: Iterable[Truth]) -> str:
    """One line where one direction outweighs the rest; "" where none does."""
    counted = Counter(name for truth in truths if (name := direction_of(truth)) in DIRECTIONS)
    if not counted:
        return ""
    name, count = counted.most_common(1)[0]
    if count <= MOST_OF_ALL * counted.total():
        return ""
    way = "straight ahead" if name == "ahead" else name
    share = f"{100 * count / counted.total():.0f} % of the directions are {way} ({count} of {counted.total()})"
    return (
        f"unbalanced: {share}; one answer to everything is right that often, so sample in balance and compare "
        "with the constant baseline"
    )


def sampling_weights(truths: Sequence[Truth]) -> list[float]:
    """How often to draw each sample so that every direction comes equally often; mean 1.

    What has no direction keeps its share. No weight is more than HEAVIEST times that of a sample without a direction.
    """
    names = [direction_of(truth) for truth in truths]
    counted = Counter(name for name in names if name in DIRECTIONS)
    even = counted.total() / max(1, len(counted))
    raw = [min(HEAVIEST, even / counted[name]) if name in counted else 1.0 for name in names]
    mean = sum(raw) / max(1, len(raw))
    return [weight / mean for weight in raw]
