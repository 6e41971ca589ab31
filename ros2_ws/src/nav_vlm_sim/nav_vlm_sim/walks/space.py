"""Where a body can be: the walls and things of a building on the floor, how far they are, and the shortest safe path.

Everything solid is a convex polygon; a walker is a disc. Metres, in the plan's frame.
"""

from __future__ import annotations

import heapq
import itertools
import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import cv2
import numpy as np
import numpy.typing as npt

from nav_vlm_sim.furniture import Vector
from nav_vlm_sim.walks.building import Building

Point = tuple[float, float]

CELL = 0.1  # metres, of the grid on which paths are looked for
SAFE, TIGHT = 0.35, 0.26  # metres that a path keeps from everything solid: where it can, and where it must
FINE = 5  # so many pixels to a cell, for the distances of cells
AT_START, AT_GOAL = 3, 5  # cells around the ends within which it may be tighter
TOUCHING = 0.02  # metres
GRID_ERROR = 0.13  # metres that a cell's clearance is at most off anywhere in it: half its diagonal, and the drawing
_NEIGHBOURS = [(i, j, CELL * math.hypot(i, j)) for i in (-1, 0, 1) for j in (-1, 0, 1) if i or j]


@dataclass(frozen=True, eq=False)
class Solid:
    """corners: [N, 2] of a convex polygon. kind: "wall", or what it is. item: its index in the scene, -1 for a wall."""

    corners: Vector
    kind: str
    item: int = -1


def solids_of(building: Building, *, leave_out: Iterable[int] = ()) -> list[Solid]:
    """Everything solid in a building, without the items of these indices (people who walk)."""
    skipped = set(leave_out)
    named: list[tuple[Vector, str, int]] = []
    for index, item in enumerate(building.scene.items):
        if len(item.leaf):
            named.append((item.leaf_corners(), "door", index))
        elif len(item.footprint):
            named.append((item.corners(), item.kind, index))
    found = []
    for corners in building.solids():
        kind, index = next(((k, i) for own, k, i in named if np.array_equal(own, corners)), ("wall", -1))
        if index not in skipped:
            found.append(Solid(corners, kind, index))
    return found


class Space:
    """What is solid, for questions about distances. Solids that move are asked about separately."""

    def __init__(self, solids: Sequence[Solid]) -> None:
        self.solids = tuple(solids)
        self._edges = _edges(self.solids)
        self._walls = _edges([solid for solid in self.solids if solid.kind == "wall"])
        low = np.min([solid.corners.min(0) for solid in self.solids], axis=0)
        high = np.max([solid.corners.max(0) for solid in self.solids], axis=0)
        self.low, self.high = low, high
        self._fields: dict[tuple[float, tuple[Point, ...]], npt.NDArray[np.float64]] = {}
        self._grid: npt.NDArray[np.float64] | None = None

    def nearest(self, x: float, y: float) -> tuple[float, Solid]:
        """Metres from a point to the nearest solid, 0 within one, and that solid."""
        distances = self.distances(x, y)
        best = int(np.argmin(distances))
        return float(distances[best]), self.solids[best]

    def distances(self, x: float, y: float) -> npt.NDArray[np.float64]:
        """[solids] metres from a point to each, 0 within one."""
        return np.asarray(_gaps(self._edges, np.array([[x, y]]))[0])

    def gaps(self, points: Vector) -> npt.NDArray[np.float64]:
        """[P, solids] metres from points [P, 2] to each solid, 0 within one."""
        return _gaps(self._edges, points)

    def around(self, x: float, y: float, reach: float) -> Space:
        """Only the solids within `reach` metres of a point, and always the nearest: asked about faster."""
        gaps = self.gaps(np.array([[x, y]]))[0]
        limit = max(reach, float(gaps.min()))
        return Space([solid for solid, gap in zip(self.solids, gaps, strict=True) if gap <= limit])

    def clear(self, start: Point, end: Point, margin: float) -> bool:
        """Whether a disc of that radius can go straight from one point to the other."""
        points = _between(start, end)
        if self._grid is not None and ((points >= self.low) & (points <= self.high)).all():
            roughly = self._grid[self._cells(points)]
            if roughly.min() < margin - GRID_ERROR:
                return False
            points = points[roughly <= margin + GRID_ERROR]
        return not len(points) or bool(_gaps(self._edges, points).min() >= margin)

    def in_sight(self, start: Point, end: Point) -> bool:
        """Whether no wall lies between two points."""
        return not len(self._walls.rows) or bool(_gaps(self._walls, _between(start, end)).min() > 0.01)

    def path(self, start: Point, goals: Sequence[Point]) -> list[Point]:
        """The shortest path to the nearest of some goals, SAFE metres from everything, TIGHT where there is no other.

        On a grid (Dijkstra 1959), then pulled straight; [] for none. Both ends may be nearer to something solid.
        """
        for margin in (SAFE, TIGHT):
            cells = self._down(start, self._field(tuple(goals), margin)) if goals else []
            if cells:
                points = [self._point(cell) for cell in cells]
                end = min(goals, key=lambda goal: math.dist(goal, points[-1]))
                return self._straightened([start, *points, end], margin)
        return []

    def _clearance(self) -> npt.NDArray[np.float64]:
        """[nx, ny] metres from each cell's middle to the nearest solid."""
        if self._grid is None:
            nx, ny = (int(n) + 1 for n in np.ceil((self.high - self.low) / CELL))
            picture = np.full((FINE * ny, FINE * nx), 255, np.uint8)
            for solid in self.solids:
                corners = np.round((solid.corners - self.low) / CELL * FINE + FINE // 2).astype(np.int32)
                cv2.fillConvexPoly(picture, corners, 0)
            away = cv2.distanceTransform(picture, cv2.DIST_L2, cv2.DIST_MASK_PRECISE)
            self._grid = away[FINE // 2 :: FINE, FINE // 2 :: FINE].T.astype(np.float64) * (CELL / FINE)
        return self._grid

    def _cell(self, point: Point) -> tuple[int, int]:
        columns, rows = self._cells(np.array([point]))
        return int(columns[0]), int(rows[0])

    def _cells(self, points: Vector) -> tuple[npt.NDArray[np.intp], npt.NDArray[np.intp]]:
        """[P], [P] the cells that points [P, 2] are in, or outside, the nearest."""
        last = np.array(self._clearance().shape) - 1
        found = np.round((points - self.low) / CELL).astype(np.intp).clip(0, last)
        return found[:, 0], found[:, 1]

    def _point(self, cell: tuple[int, int]) -> Point:
        return float(self.low[0] + CELL * cell[0]), float(self.low[1] + CELL * cell[1])

    def _field(self, goals: tuple[Point, ...], margin: float) -> npt.NDArray[np.float64]:
        """[nx, ny] metres to the nearest goal; near goals, cells that are too tight may be crossed. Kept."""
        known = self._fields.get((margin, goals))
        if known is not None:
            return known
        free = self._clearance() >= margin
        cells = {self._cell(goal) for goal in goals}
        for cell in cells:
            area = _window(cell, AT_GOAL)
            free[area] |= self._clearance()[area] > TOUCHING
        cost = _flooded(free, cells)
        self._fields[margin, goals] = cost
        return cost

    def _down(self, start: Point, cost: npt.NDArray[np.float64]) -> list[tuple[int, int]]:
        """The cells from near the start down to a goal; [] where none is to be had."""
        i, j = self._cell(start)
        area = _window((i, j), AT_START)
        corner = area[0].start, area[1].start
        near = np.argwhere(np.isfinite(cost[area])) + corner
        if not len(near):
            return []
        away = CELL * np.linalg.norm(near - (i, j), axis=1)
        first = near[int(np.argmin(2 * away + cost[near[:, 0], near[:, 1]]))]
        cells = [(int(first[0]), int(first[1]))]
        while cost[cells[-1]] > 0:
            i, j = cells[-1]
            around = [(i + di, j + dj) for di, dj, _ in _NEIGHBOURS]
            inside = [cell for cell in around if 0 <= cell[0] < cost.shape[0] and 0 <= cell[1] < cost.shape[1]]
            cells.append(min(inside, key=lambda cell: cost[cell] + CELL * math.dist(cell, (i, j))))
        return cells

    def _straightened(self, points: list[Point], margin: float) -> list[Point]:
        """The same path without the corners that it does not need."""
        kept, index = [points[0]], 0
        while index < len(points) - 1:
            step = len(points) - 1
            while step > index + 1 and not self.clear(points[index], points[step], margin - 0.02):
                step -= max(1, (step - index) // 8)
            index = max(step, index + 1)
            kept.append(points[index])
        return kept


def _window(cell: tuple[int, int], reach: int) -> tuple[slice, slice]:
    i, j = cell
    return slice(max(0, i - reach), i + reach + 1), slice(max(0, j - reach), j + reach + 1)


def length_of(path: Sequence[Point]) -> float:
    """Metres."""
    return sum(math.dist(a, b) for a, b in itertools.pairwise(path))


def _between(start: Point, end: Point) -> Vector:
    """[P, 2] points from one to the other, half a cell apart."""
    return np.linspace(start, end, max(2, math.ceil(math.dist(start, end) / (CELL / 2)) + 1))


def _flooded(free: npt.NDArray[np.bool_], cells: Iterable[tuple[int, int]]) -> npt.NDArray[np.float64]:
    """[nx, ny] metres over free cells to the nearest of some cells, inf where there is no way (Dijkstra 1959).

    On plain lists, a border of cells that are not free around them: several times as fast as on arrays.
    """
    wide = free.shape[1] + 2
    is_free = np.pad(free, 1).ravel().tolist()
    steps = [(i * wide + j, step) for i, j, step in _NEIGHBOURS]
    cost = [math.inf] * len(is_free)
    queue = [(0.0, (i + 1) * wide + j + 1) for i, j in cells]
    for _, place in queue:
        cost[place] = 0.0
    heapq.heapify(queue)
    while queue:
        so_far, place = heapq.heappop(queue)
        if so_far > cost[place]:
            continue
        for offset, step in steps:
            beside, there = place + offset, so_far + step
            if is_free[beside] and there < cost[beside]:
                cost[beside] = there
                heapq.heappush(queue, (there, beside))
    return np.array(cost).reshape(-1, wide)[1:-1, 1:-1]


class _Edges(NamedTuple):
    """rows: [E, 6] edges as x, y, dx, dy, and the outward normal. starts: [S] the first edge of each solid."""

    rows: Vector
    starts: npt.NDArray[np.intp]


def _edges(solids: Sequence[Solid]) -> _Edges:
    rows, starts = [np.zeros((0, 6))], np.cumsum([0, *(len(solid.corners) for solid in solids)])[:-1]
    for solid in solids:
        corners = np.asarray(solid.corners, np.float64)
        following = np.roll(corners, -1, axis=0)
        edge = following - corners
        area = float((corners[:, 0] * following[:, 1] - following[:, 0] * corners[:, 1]).sum())
        normal = np.stack([edge[:, 1], -edge[:, 0]], 1) * (1 if area > 0 else -1)
        normal /= np.maximum(np.linalg.norm(normal, axis=1, keepdims=True), 1e-9)
        rows.append(np.concatenate([corners, edge, normal], axis=1))
    return _Edges(np.concatenate(rows), starts)


def _gaps(edges: _Edges, points: Vector) -> npt.NDArray[np.float64]:
    """[P, S] metres from points to solids, 0 within them."""
    rows = edges.rows
    offset = points[:, None, :] - rows[None, :, :2]  # [P, E, 2]
    along = rows[None, :, 2:4]
    t = ((offset * along).sum(2) / np.maximum((along**2).sum(2), 1e-12)).clip(0, 1)
    gap = offset - t[..., None] * along
    distance = np.minimum.reduceat(np.sqrt((gap**2).sum(2)), edges.starts, axis=1)
    beyond = (offset * rows[None, :, 4:]).sum(2)  # [P, E] outside this edge's line
    inside = np.maximum.reduceat(beyond, edges.starts, axis=1) < 0
    return np.where(inside, 0.0, distance)
