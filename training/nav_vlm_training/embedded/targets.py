"""What the simulator knows of each frame, as arrays to learn from; and the two exact augmentations.

Mirroring swaps left and right in picture and truth. Shifting the view sideways is the same as a camera
worn with a yaw: every bearing moves by the same angle. Both keep the truth true.
"""

from __future__ import annotations

import json
import math
from dataclasses import dataclass, fields
from pathlib import Path

import numpy as np
import numpy.typing as npt

from nav_vlm_node.view import View
from nav_vlm_sim.records import CELL, observation_from_json
from nav_vlm_sim.truth import TARGETS, Observation

Array = npt.NDArray[np.float32]

HAZARDS = (
    "",
    "table",
    "chair",
    "sofa",
    "box",
    "plant",
    "person",
    "stairs",
    "wall",
    "door",
    "exit",
    "toilet",
    "lift",
    "open door",
)
ARROWS = ("", "left", "right", "ahead")
UNSURE = -1


@dataclass
class Targets:
    """Rows of truth; angles in degrees, left positive; distances in metres; 0 where there is nothing.

    visible: [N, T] 1, 0 or UNSURE. bearing, distance: [N, T]. hazard: [N, T] index into HAZARDS, of the first
    thing on the way, with hazard_bearing and hazard_distance. ahead: [N], UNSURE where not known. arrow: [N],
    index into ARROWS, UNSURE where no exit sign is in view.
    """

    visible: Array
    bearing: Array
    distance: Array
    hazard: Array
    hazard_bearing: Array
    hazard_distance: Array
    ahead: Array
    ahead_bearing: Array
    ahead_distance: Array
    arrow: Array

    def __getitem__(self, rows: npt.NDArray[np.intp]) -> Targets:
        return Targets(**{f.name: getattr(self, f.name)[rows].copy() for f in fields(self)})


def targets_of(observations: list[Observation]) -> Targets:
    """The arrays of some frames."""
    n, t = len(observations), len(TARGETS)

    def two() -> Array:
        return np.zeros((n, t), np.float32)

    def one() -> Array:
        return np.zeros(n, np.float32)

    out = Targets(two(), two(), two(), two(), two(), two(), one(), one(), one(), np.full(n, UNSURE, np.float32))
    for i, observation in enumerate(observations):
        for k, name in enumerate(TARGETS):
            target = observation.targets[name]
            out.visible[i, k] = UNSURE if target.visible is None else float(target.visible)
            if target.visible:
                out.bearing[i, k], out.distance[i, k] = math.degrees(target.bearing), target.distance
                if target.hazards:
                    first = target.hazards[0]
                    out.hazard[i, k] = HAZARDS.index(first.landmark)
                    out.hazard_bearing[i, k], out.hazard_distance[i, k] = math.degrees(first.bearing), first.distance
        if not observation.ahead_known:
            out.ahead[i] = UNSURE
        elif observation.ahead:
            out.ahead[i] = HAZARDS.index(observation.ahead.landmark)
            out.ahead_bearing[i], out.ahead_distance[i] = (
                math.degrees(observation.ahead.bearing),
                observation.ahead.distance,
            )
        signs = [s for s in observation.seen if s.kind == "exit sign" and s.visible]
        if signs:
            out.arrow[i] = ARROWS.index(signs[0].arrow)
    return out


def mirror(t: Targets) -> Targets:
    """The truth of the mirrored picture."""
    flipped = np.where(t.arrow == 1, 2, np.where(t.arrow == 2, 1, t.arrow)).astype(np.float32)
    swapped = {name: -getattr(t, name) for name in ("bearing", "hazard_bearing", "ahead_bearing")}
    return Targets(**{f.name: getattr(t, f.name) for f in fields(t)} | swapped | {"arrow": flipped})


def shift(t: Targets, degrees: float) -> Targets:
    """The truth after every bearing moved by `degrees` (left positive). What is straight ahead is no longer known."""
    moved = {
        "bearing": t.bearing + degrees * (t.visible == 1),
        "hazard_bearing": t.hazard_bearing + degrees * (t.hazard > 0),
        "ahead": np.full_like(t.ahead, UNSURE),
    }
    return Targets(**{f.name: getattr(t, f.name) for f in fields(t)} | moved)


class Frames:
    """The frames of some shards, memory-mapped. len() is the number of frames."""

    def __init__(self, shards: list[Path], view: View) -> None:
        if not shards:
            raise ValueError("no shards: render some first")
        self.view = view
        self._rgb = [np.load(s / "rgb.npy", mmap_mode="r") for s in shards]
        self._cells = [np.load(s / "cells.npy", mmap_mode="r") for s in shards]
        self._depth = [np.load(s / "depth.npy", mmap_mode="r") for s in shards]
        self.observations = [
            observation_from_json(json.loads(line)) for s in shards for line in (s / "truth.jsonl").open()
        ]
        self.targets = targets_of(self.observations)
        self._shard = np.repeat(np.arange(len(shards)), [len(a) for a in self._rgb])
        self._row = np.concatenate([np.arange(len(a)) for a in self._rgb])

    def __len__(self) -> int:
        return len(self._shard)

    def rgb(self, rows: npt.NDArray[np.intp]) -> npt.NDArray[np.uint8]:
        """[B, H, W, 3]."""
        return np.stack([self._rgb[self._shard[r]][self._row[r]] for r in rows])

    def cells(self, rows: npt.NDArray[np.intp]) -> npt.NDArray[np.uint8]:
        """[B, H / CELL, W / CELL], index into PIXEL_CLASSES."""
        return np.stack([self._cells[self._shard[r]][self._row[r]] for r in rows])

    def depth(self, rows: npt.NDArray[np.intp]) -> npt.NDArray[np.float32]:
        """[B, H / CELL, W / CELL] metres."""
        return np.stack([self._depth[self._shard[r]][self._row[r]] for r in rows]).astype(np.float32)


def room_to_shift(cells: npt.NDArray[np.uint8]) -> tuple[int, int]:
    """How many cells a picture's content [H / CELL, W / CELL] may move to the left and to the right."""
    used = np.flatnonzero((cells != 0).any(axis=0))
    return (int(used[0]), int(cells.shape[1] - 1 - used[-1])) if len(used) else (0, 0)


def degrees_per_cell(view: View) -> float:
    """The bearing that one cell spans."""
    return math.degrees(view.hfov) / view.width * CELL
