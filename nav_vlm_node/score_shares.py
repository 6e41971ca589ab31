"""Shares whose questions are not independent: those about one scene, or on one walk, are right and wrong together.

Wilson's interval for so many independent questions would be too narrow. It is taken for the number of independent ones
that would say as much (Korn and Graubard 1998, "Confidence intervals for proportions with small expected number of
positive counts estimated from survey data").
"""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from dataclasses import replace

import numpy as np
import numpy.typing as npt

from nav_vlm_node.score import Share, wilson


def clustered(
    above: Sequence[float] | npt.NDArray[np.float64],
    below: Sequence[float] | npt.NDArray[np.float64],
    clusters: Sequence[Hashable],
) -> Share:
    """The sum of `above` by that of `below`, both [N], from 0 up, with its 95 % interval; all NaN where nothing counts.

    below: 0 for a question that does not count. clusters: [N], of which scene or walk each is.
    """
    numbers: dict[Hashable, int] = {}
    index = [numbers.setdefault(one, len(numbers)) for one in clusters]
    hits, asked = (np.bincount(index, weights=part, minlength=1) for part in (above, below))
    n, scenes = float(asked.sum()), int((asked > 0).sum())
    if not n:
        return wilson(0, 0)
    value = min(1.0, float(hits.sum()) / n)
    # The design effect is the variance over that of independent questions; where nothing is known of it, one scene's
    # all say the same.
    alike = max(1.0, n / scenes)
    if 0 < value < 1 and scenes > 1:
        variance = scenes / (scenes - 1) * float(((hits - value * asked) ** 2).sum()) / n**2
        alike = max(1.0, variance * n / (value * (1 - value)))
    return replace(wilson(value * n / alike, n / alike), n=round(n))
