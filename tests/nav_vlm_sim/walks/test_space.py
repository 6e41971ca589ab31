"""Where a body can be: distances as a plain calculation gives them, paths that keep away and are short."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from nav_vlm_sim.furniture import Vector
from nav_vlm_sim.walks.floorplan import WALL
from nav_vlm_sim.walks.space import AT_GOAL, AT_START, CELL, SAFE, TIGHT, Point, Solid, Space, length_of
from tests.nav_vlm_sim.walks.telling import along

SIDE = 6.0  # metres, of the room that everything is in
places = st.floats(0.0, SIDE)
points = st.tuples(places, places)
inner = st.tuples(*[st.floats(SAFE + 0.2, SIDE - SAFE - 0.2)] * 2)
beside = st.tuples(st.floats(0.15, 2.75) | st.floats(3.25, SIDE - 0.15), st.floats(0.15, SIDE - 0.15))  # of the middle


def polygon(x: float, y: float, a: float, b: float, yaw: float, corners: int = 4) -> Vector:
    """[corners, 2] of an ellipse's inscribed polygon."""
    angles = yaw + np.arange(corners) * math.tau / corners
    return np.stack([x + a * np.cos(angles), y + b * np.sin(angles)], 1)


shapes = st.builds(
    polygon, places, places, st.floats(0.1, 0.8), st.floats(0.1, 0.8), st.floats(0, 3), st.integers(3, 6)
)
WALLS = [
    Solid(np.array(corners, np.float64), "wall")
    for corners in (
        [(-0.1, -0.1), (SIDE + 0.1, -0.1), (SIDE + 0.1, 0), (-0.1, 0)],
        [(-0.1, SIDE), (SIDE + 0.1, SIDE), (SIDE + 0.1, SIDE + 0.1), (-0.1, SIDE + 0.1)],
        [(-0.1, 0), (0, 0), (0, SIDE), (-0.1, SIDE)],
        [(SIDE, 0), (SIDE + 0.1, 0), (SIDE + 0.1, SIDE), (SIDE, SIDE)],
    )
]


def room(*corners: Vector, kind: str = "box") -> Space:
    return Space([*WALLS, *(Solid(one, kind, k) for k, one in enumerate(corners))])


def distance(point: Point, corners: Vector) -> float:
    """Metres from a point to a convex polygon, 0 within: edge by edge."""
    x, y = point
    ends = corners.tolist()
    found, sides = math.inf, []
    for (ax, ay), (bx, by) in zip(ends, [*ends[1:], ends[0]], strict=True):
        dx, dy = bx - ax, by - ay
        t = min(max(((x - ax) * dx + (y - ay) * dy) / (dx * dx + dy * dy), 0.0), 1.0)
        found = min(found, math.hypot(x - ax - t * dx, y - ay - t * dy))
        sides.append(dx * (y - ay) - dy * (x - ax) > 0)
    return 0.0 if all(sides) or not any(sides) else found


@settings(deadline=None)
@given(points, st.lists(shapes, min_size=1, max_size=5))
def test_distances_are_those_of_polygons(point: Point, corners: list[Vector]) -> None:
    space = room(*corners)
    expected = [distance(point, solid.corners) for solid in space.solids]
    assert space.distances(*point) == pytest.approx(expected, abs=1e-9)
    assert space.gaps(np.array([point]))[0] == pytest.approx(expected, abs=1e-9)
    gap, solid = space.nearest(*point)
    assert gap == pytest.approx(min(expected), abs=1e-9)
    assert distance(point, solid.corners) == pytest.approx(gap, abs=1e-9)


@settings(max_examples=50, deadline=None)
@given(points, points, st.lists(shapes, max_size=4), st.floats(0.02, 0.5))
def test_clear_is_the_same_with_and_without_the_grid(a: Point, b: Point, corners: list[Vector], margin: float) -> None:
    plain, gridded = room(*corners), room(*corners)
    gridded.path(a, [b])  # draws the grid
    assert gridded._grid is not None
    assert plain._grid is None
    assert gridded.clear(a, b, margin) == plain.clear(a, b, margin)
    outside = (a[0] + 2 * SIDE, a[1])
    assert gridded.clear(outside, (b[0] + 2 * SIDE, b[1]), margin)


@settings(max_examples=40, deadline=None)
@given(points, points, st.lists(shapes, max_size=3), st.floats(0.05, 0.5))
def test_clear_and_in_sight_are_what_every_point_between_says(
    a: Point, b: Point, corners: list[Vector], margin: float
) -> None:
    space = room(*corners, kind="wall")
    between = [(a[0] + (b[0] - a[0]) * t, a[1] + (b[1] - a[1]) * t) for t in np.linspace(0, 1, 150).tolist()]
    least = min(distance(point, solid.corners) for point in between for solid in space.solids)
    assume(abs(least - margin) > 0.03)  # points are half a cell apart
    assert space.clear(a, b, margin) == (least > margin)
    assert space.in_sight(a, b) or least < 0.04


@settings(deadline=None)
@given(beside, beside)
def test_a_wall_hides_and_a_thing_does_not(a: Point, b: Point) -> None:
    across = np.array([(2.9, 0), (3.1, 0), (3.1, SIDE), (2.9, SIDE)])
    assert room(across, kind="wall").in_sight(a, b) == ((a[0] < 3) == (b[0] < 3))
    assert room(across, kind="table").in_sight(a, b)


@settings(max_examples=40, deadline=None)
@given(inner, inner, st.lists(shapes, max_size=5))
def test_a_path_keeps_its_margin_and_is_no_detour(start: Point, goal: Point, corners: list[Vector]) -> None:
    corners = [one for one in corners if min(distance(start, one), distance(goal, one)) > TIGHT]
    space = room(*corners)
    path = space.path(start, [goal])
    if not path:
        assert corners, "nothing is in the way"
        return
    assert path[0] == start
    assert path[-1] == goal
    gaps = [
        space.nearest(*point)[0]
        for point in along(path, 0.05)
        if math.dist(point, start) > CELL * (AT_START + 1) and math.dist(point, goal) > CELL * (AT_GOAL + 2)
    ]
    assert min(gaps, default=1.0) > TIGHT - 0.07  # the grid's error, and what pulling straight may take
    if space.clear(start, goal, SAFE + 0.15):
        assert length_of(path) < math.dist(start, goal) + 0.25


def gap_in_a_wall(width: float) -> Space:
    """A wall across the room, with a gap in the middle."""
    half, middle, y = width / 2, SIDE / 2, SIDE / 2
    parts: list[Any] = [
        [(0, y), (middle - half, y), (middle - half, y + WALL), (0, y + WALL)],
        [(middle + half, y), (SIDE, y), (SIDE, y + WALL), (middle + half, y + WALL)],
    ]
    return room(*(np.array(part, np.float64) for part in parts), kind="wall")


@pytest.mark.parametrize(("width", "ends"), [(1.0, 1), (0.64, 1), (0.4, 0)])
def test_a_path_goes_through_what_a_body_fits_through(width: float, ends: int) -> None:
    path = gap_in_a_wall(width).path((1.0, 1.0), [(5.0, 5.0)])
    assert len(path[-1:]) == ends
    if path:
        crossing = [x for x, y in along(path, 0.05) if SIDE / 2 < y < SIDE / 2 + WALL]
        assert max(abs(x - SIDE / 2) for x in crossing) < width / 2 - 0.2


@settings(max_examples=25, deadline=None)
@given(inner, st.lists(inner, min_size=1, max_size=4))
def test_a_path_ends_at_the_nearest_goal(start: Point, goals: list[Point]) -> None:
    space = room()
    path = space.path(start, goals)
    assert path[-1] in goals
    assert length_of(path) <= min(math.dist(start, goal) for goal in goals) * 1.09 + 0.3  # on a grid of eight ways


def test_there_is_no_path_to_nowhere_or_out_of_a_cage() -> None:
    assert room().path((1.0, 1.0), []) == []
    assert gap_in_a_wall(0.02).path((1.0, 1.0), [(5.0, 5.0)]) == []
