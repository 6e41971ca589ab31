"""Where a body can be: the walls and things of a building on the floor, how far they are, and the shortest safe path.

Everything solid is a convex polygon; a walker is a disc. Metres, in the plan's frame.
"""

from __future__ import annotations

import heapq
import itertools
import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

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
        self._edges, self._owner = _edges(self.solids)
        self._starts = np.flatnonzero(np.diff(self._owner, prepend=-1))
        self._walls = np.array([solid.kind == "wall" for solid in self.solids])[self._owner]
        low = np.min([solid.corners.min(0) for solid in self.solids], axis=0)
        high = np.max([solid.corners.max(0) for solid in self.solids], axis=0)
        self.low, self.high = low, high
        self._fields: dict[tuple[float, tuple[Point, ...]], npt.NDArray[np.float64]] = {}
        self._grid: npt.NDArray[np.float64] | None = None

    def nearest(self, x: float, y: float) -> tuple[float, Solid]:
        """Metres from a point to the nearest solid, 0 within one, and that solid."""
        distances = _distances(self._edges, np.array([[x, y]]))[0]
        best = int(np.argmin(distances))
        return float(distances[best]), self.solids[self._owner[best]]

    def distances(self, x: float, y: float) -> npt.NDArray[np.float64]:
        """[solids] metres from a point to each."""
        edges = _distances(self._edges, np.array([[x, y]]))[0]
        found = np.full(len(self.solids), np.inf)
        np.minimum.at(found, self._owner, edges)
        return found

    def gaps(self, points: Vector) -> npt.NDArray[np.float64]:
        """[P, solids] metres from points [P, 2] to each solid."""
        return np.asarray(np.minimum.reduceat(_distances(self._edges, points), self._starts, axis=1))

    def around(self, x: float, y: float, reach: float) -> Space:
        """Only the solids within `reach` metres of a point, and always the nearest: asked about faster."""
        gaps = self.gaps(np.array([[x, y]]))[0]
        limit = max(reach, float(gaps.min()))
        return Space([solid for solid, gap in zip(self.solids, gaps, strict=True) if gap <= limit])

    def clear(self, start: Point, end: Point, margin: float) -> bool:
        """Whether a disc of that radius can go straight from one point to the other."""
        length = math.dist(start, end)
        points = np.linspace(start, end, max(2, math.ceil(length / (CELL / 2)) + 1))
        return bool(_distances(self._edges, points).min() >= margin)

    def in_sight(self, start: Point, end: Point) -> bool:
        """Whether no wall lies between two points."""
        walls = self._walls
        points = np.linspace(start, end, max(2, math.ceil(math.dist(start, end) / (CELL / 2)) + 1))
        return not walls.any() or bool(_distances(self._edges[walls], points).min() > 0.01)

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
        i, j = (round(float(v)) for v in (np.asarray(point) - self.low) / CELL)
        nx, ny = self._clearance().shape
        return min(max(i, 0), nx - 1), min(max(j, 0), ny - 1)

    def _point(self, cell: tuple[int, int]) -> Point:
        return float(self.low[0] + CELL * cell[0]), float(self.low[1] + CELL * cell[1])

    def _field(self, goals: tuple[Point, ...], margin: float) -> npt.NDArray[np.float64]:
        """[nx, ny] metres to the nearest goal; near goals, cells that are too tight may be crossed. Kept."""
        known = self._fields.get((margin, goals))
        if known is not None:
            return known
        free = self._clearance() >= margin
        cost = np.full(free.shape, np.inf)
        queue: list[tuple[float, tuple[int, int]]] = []
        for cell in {self._cell(goal) for goal in goals}:
            area = _window(cell, AT_GOAL)
            free[area] |= self._clearance()[area] > TOUCHING
            cost[cell] = 0.0
            queue.append((0.0, cell))
        heapq.heapify(queue)
        nx, ny = free.shape
        while queue:
            so_far, (i, j) = heapq.heappop(queue)
            if so_far > cost[i, j]:
                continue
            for di, dj, step in _NEIGHBOURS:
                x, y = i + di, j + dj
                if 0 <= x < nx and 0 <= y < ny and free[x, y] and so_far + step < cost[x, y]:
                    cost[x, y] = so_far + step
                    heapq.heappush(queue, (so_far + step, (x, y)))
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


def _edges(solids: Sequence[Solid]) -> tuple[Vector, npt.NDArray[np.intp]]:
    """[E, 6] edges as x, y, dx, dy, and the outward normal; and whose they are."""
    rows, owner = [], []
    for index, solid in enumerate(solids):
        corners = np.asarray(solid.corners, np.float64)
        following = np.roll(corners, -1, axis=0)
        edge = following - corners
        area = float((corners[:, 0] * following[:, 1] - following[:, 0] * corners[:, 1]).sum())
        normal = np.stack([edge[:, 1], -edge[:, 0]], 1) * (1 if area > 0 else -1)
        normal /= np.maximum(np.linalg.norm(normal, axis=1, keepdims=True), 1e-9)
        rows.append(np.concatenate([corners, edge, normal], axis=1))
        owner += [index] * len(corners)
    return np.concatenate(rows) if rows else np.zeros((0, 6)), np.asarray(owner, np.intp)


def _distances(edges: Vector, points: Vector) -> npt.NDArray[np.float64]:
    """[P, E] metres from points to edges; 0 for all edges of a rectangle that a point lies in."""
    offset = points[:, None, :] - edges[None, :, :2]  # [P, E, 2]
    along = edges[None, :, 2:4]
    t = ((offset * along).sum(2) / np.maximum((along**2).sum(2), 1e-12)).clip(0, 1)
    gap = offset - t[..., None] * along
    distance = np.sqrt((gap**2).sum(2))
    outside = (offset * edges[None, :, 4:]).sum(2)  # [P, E] beyond this edge's line
    if edges.shape[0] % 4 == 0:  # all solids are rectangles
        inside = (outside.reshape(len(points), -1, 4) < 0).all(2)
        distance = np.where(np.repeat(inside, 4, axis=1), 0.0, distance)
    return distance
