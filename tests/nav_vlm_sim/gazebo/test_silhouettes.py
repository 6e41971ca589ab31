"""The comparison of silhouettes sees what is wrong."""

from __future__ import annotations

import numpy as np
import pytest

from nav_vlm_node.errors import UserError
from nav_vlm_sim.gazebo.bodies import MOST_SILHOUETTES, silhouette_colour
from nav_vlm_sim.gazebo.world import BACKGROUND
from tests.nav_vlm_sim.gazebo.silhouettes import (
    LEAST,
    NOTHING,
    Items,
    agreement,
    items_by_colour,
    items_by_likeness,
    whole,
    worst,
)


def two_items() -> Items:
    items = np.full((40, 60), NOTHING)
    items[5:25, 10:30] = 0
    items[10:38, 35:50] = 7
    return items


def drawn(items: Items) -> np.ndarray:
    rgb = np.zeros((*items.shape, 3), np.uint8)
    for item in np.unique(items[items != NOTHING]):
        rgb[items == item] = silhouette_colour(int(item))
    return rgb


def test_every_item_has_a_colour_of_its_own() -> None:
    colours = {silhouette_colour(None), *(silhouette_colour(item) for item in range(MOST_SILHOUETTES))}
    assert len(colours) == MOST_SILHOUETTES + 1
    assert BACKGROUND not in colours
    assert all(0 <= value <= 255 for colour in colours for value in colour)
    with pytest.raises(UserError, match="silhouettes have colours for"):
        silhouette_colour(MOST_SILHOUETTES)


def test_the_same_picture_agrees() -> None:
    items = two_items()
    assert (items_by_colour(drawn(items), 8) == items).all()
    assert agreement(items, items) == {0: 1.0, 7: 1.0}
    assert whole(items, items) == 1.0


def test_bent_colours_are_recognised() -> None:
    items = two_items()
    bent = (255 * (drawn(items) / 255) ** 0.45).astype(np.uint8)
    assert (items_by_likeness(bent, items) == items).all()


@pytest.mark.parametrize("columns", [3, -3])
def test_a_shift_is_seen(columns: int) -> None:
    items = two_items()
    shifted = np.roll(items, columns, axis=1)
    assert worst(agreement(items, shifted)) < 0.75
    assert worst(agreement(items, items_by_likeness(drawn(shifted), items))) < 0.75
    assert whole(items, shifted) < 0.8


def test_what_only_one_shows_is_seen() -> None:
    items = two_items()
    without = np.where(items == 7, NOTHING, items)
    assert agreement(items, without) == {0: 1.0, 7: 0.0}
    assert agreement(without, items) == {0: 1.0, 7: 0.0}


def test_smoothed_edges_belong_to_one_side_or_the_other() -> None:
    items = two_items()
    fine = drawn(items.repeat(4, 0).repeat(4, 1))
    soft = np.roll(fine, (1, 2), (0, 1)).reshape(40, 4, 60, 4, 3).mean((1, 3)).round().astype(np.uint8)
    found = items_by_colour(soft, 215)
    assert set(np.unique(found)) == {NOTHING, 0, 7}
    assert worst(agreement(items, found)) > LEAST
