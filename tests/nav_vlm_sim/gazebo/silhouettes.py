"""Whether two simulators show the same things in the same places: their silhouettes, intersection over union."""

from __future__ import annotations

import itertools
from collections.abc import Mapping

import numpy as np
import numpy.typing as npt

from nav_vlm_sim.gazebo.bodies import silhouette_colour
from nav_vlm_sim.gazebo.world import BACKGROUND

Picture = npt.NDArray[np.uint8]
Items = npt.NDArray[np.integer]
"""[H, W] index into scene.items, or NOTHING."""

NOTHING = -1
SMALLEST = 0.004  # of the picture: an item that covers less, in both, is mostly edge
LEAST = 0.9  # of intersection over union


def items_by_colour(rgb: Picture, count: int) -> Items:
    """What each pixel of a picture [H, W, 3] shows whose things have their own colours; count: of the items."""
    colours: dict[tuple[int, ...], int] = {silhouette_colour(item): item for item in range(count)}
    return _painted(rgb, colours | {silhouette_colour(None): NOTHING, BACKGROUND: NOTHING})


def items_by_likeness(rgb: Picture, wanted: Items) -> Items:
    """As `items_by_colour` where a simulator bends colours: an item's is the one that most of its wanted pixels have.

    Two items that would have the same colour are not found.
    """
    colours: dict[tuple[int, ...], int] = {}
    for item in np.unique(wanted):
        values, counts = np.unique(rgb[wanted == item], axis=0, return_counts=True)
        colour = tuple(int(value) for value in values[counts.argmax()])
        colours[colour] = NOTHING if colour in colours else int(item)
    return _painted(rgb, colours)


def _painted(rgb: Picture, colours: Mapping[tuple[int, ...], int]) -> Items:
    """Pixels of these colours; a pixel of another, on an edge, is as the neighbour that it is most like."""
    palette = np.array(list(colours), int)
    known = np.full(rgb.shape[:2], -1)  # index into the palette
    for index, colour in enumerate(palette):
        known[(rgb == colour.astype(np.uint8)).all(-1)] = index
    best, least = known.copy(), np.where(known >= 0, 0, 1 << 30)
    padded = np.pad(known, 1, constant_values=-1)
    height, width = rgb.shape[:2]
    for dy, dx in itertools.product(range(3), repeat=2):
        beside = padded[dy : dy + height, dx : dx + width]
        away = np.where(beside >= 0, ((rgb.astype(int) - palette[beside]) ** 2).sum(-1), 1 << 30)
        best, least = np.where(away < least, beside, best), np.minimum(away, least)
    items = np.array([*colours.values(), NOTHING])  # the last for what is like nothing near it
    return np.asarray(items[best])


def agreement(one: Items, other: Items) -> dict[int, float]:
    """Intersection over union of every item that is large enough in either picture."""
    least = SMALLEST * one.size
    seen = [item for item in np.union1d(one, other) if item != NOTHING]
    large = [item for item in seen if max((one == item).sum(), (other == item).sum()) >= least]
    return {int(item): _overlap(one == item, other == item) for item in large}


def whole(one: Items, other: Items) -> float:
    """Of all pixels that show an item in either picture, the share that shows the same one in both."""
    shown = (one != NOTHING) | (other != NOTHING)
    return float((one == other)[shown].mean()) if shown.any() else 1.0


def _overlap(one: npt.NDArray[np.bool_], other: npt.NDArray[np.bool_]) -> float:
    return float((one & other).sum() / (one | other).sum())


def worst(found: Mapping[int, float]) -> float:
    """1 where nothing was compared."""
    return min(found.values(), default=1.0)
