"""Whether two texts ask for the same: their steps, compared."""

from __future__ import annotations

import math
from collections.abc import Sequence

from nav_vlm_node.instruction import Step
from nav_vlm_node.language import parse

_EPS = 1e-9  # radians and metres: rounding, nothing else


def same_steps(one: Sequence[Step], other: Sequence[Step]) -> bool:
    """Whether both are the same steps in the same order; what neither states is equal."""
    return len(one) == len(other) and all(map(_same, one, other))


def says_the_same(one: str, other: str) -> bool:
    """Whether two texts parse to the same steps, at least one, and neither holds what is not understood."""
    a, b = parse(one), parse(other)
    return bool(a.steps) and not a.unparsed and not b.unparsed and same_steps(a.steps, b.steps)


def _same(one: Step, other: Step) -> bool:
    if (one.action, one.landmark) != (other.action, other.landmark):
        return False
    pairs = ((one.bearing, other.bearing), (one.distance, other.distance))
    return all((math.isnan(a) and math.isnan(b)) or abs(a - b) < _EPS for a, b in pairs)
