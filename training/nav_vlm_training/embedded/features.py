"""What the frozen vision model makes of many frames, kept in memory, with the truth that goes with each.

Every frame is kept as it is and again in changed forms (mirrored, shifted, other light): the same exact
changes as in pretraining, made to the picture and to all that is true of it.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt
import torch
from tqdm import tqdm
from transformers import Blip2ForConditionalGeneration

from nav_vlm_node.instruction import Step
from nav_vlm_sim.records import CELL
from nav_vlm_sim.truth import Observation
from nav_vlm_training.embedded.architecture import mixed_precision
from nav_vlm_training.embedded.pretrain import photometric, to_pixels
from nav_vlm_training.embedded.targets import Frames, degrees_per_cell, room_to_shift

OPPOSITE = {"left": "right", "right": "left"}


def changed(observation: Observation, *, mirrored: bool, turn: float) -> Observation:
    """What is true after the picture was mirrored, then every bearing moved by `turn` radians.

    After a turn it is no longer known what is straight ahead, where the floor there may not be in the picture.
    """
    sign = -1.0 if mirrored else 1.0

    def step(s: Step) -> Step:
        return replace(s, bearing=sign * s.bearing + turn)

    return Observation(
        seen=tuple(
            replace(s, bearing=sign * s.bearing + turn, arrow=OPPOSITE.get(s.arrow, s.arrow) if mirrored else s.arrow)
            for s in observation.seen
        ),
        targets={
            name: replace(t, bearing=sign * t.bearing + turn, hazards=tuple(map(step, t.hazards)))
            for name, t in observation.targets.items()
        },
        ahead=step(observation.ahead) if observation.ahead else None,
        ahead_known=observation.ahead_known and turn == 0.0,
    )


@dataclass
class Features:
    """patches: float16 [N, 1 + P, D], outputs of the vision model; observations: what is true of each.

    rows, mirrored, turn: [N] which frame each is of, and how it was changed (turn in radians).
    """

    patches: npt.NDArray[np.float16]
    rows: npt.NDArray[np.int64]
    mirrored: npt.NDArray[np.bool_]
    turn: npt.NDArray[np.float64]
    observations: list[Observation]

    def __len__(self) -> int:
        return len(self.rows)

    def save(self, folder: Path) -> None:
        """Writes the arrays; what is true of them follows from the frames."""
        folder.mkdir(parents=True, exist_ok=True)
        for name in ("patches", "rows", "mirrored", "turn"):
            draft = folder / f".{name}.npy"
            np.save(draft, getattr(self, name))
            draft.rename(folder / f"{name}.npy")

    @classmethod
    def load(cls, folder: Path, frames: Frames) -> Features | None:
        """What `save` wrote; None where it is not whole."""
        paths = [folder / f"{name}.npy" for name in ("patches", "rows", "mirrored", "turn")]
        if not all(p.exists() for p in paths):
            return None
        patches, rows, mirrored, turn = (np.load(p) for p in paths)
        return cls(patches, rows, mirrored, turn, _observations(frames, rows, mirrored, turn))


def _observations(
    frames: Frames, rows: npt.NDArray[np.int64], mirrored: npt.NDArray[np.bool_], turn: npt.NDArray[np.float64]
) -> list[Observation]:
    return [
        changed(frames.observations[r], mirrored=bool(m), turn=float(t)) if m or t else frames.observations[r]
        for r, m, t in zip(rows, mirrored, turn, strict=True)
    ]


@torch.no_grad()
def extract(
    model: Blip2ForConditionalGeneration,
    frames: Frames,
    rows: npt.NDArray[np.int64],
    *,
    augment: bool,
    seed: int = 0,
    batch: int = 96,
) -> Features:
    """Patch features of some frames. augment: each frame once in a changed form instead of as it is."""
    model.eval()
    device = model.query_tokens.device
    patches = []
    mirrored, turn = np.zeros(len(rows), bool), np.zeros(len(rows))
    blocks = np.array_split(np.arange(len(rows)), max(1, math.ceil(len(rows) / batch)))
    for number, block in enumerate(tqdm(blocks, unit_scale=batch, unit="frame", desc="features")):
        rng = np.random.default_rng([seed, number])
        rgb = frames.rgb(rows[block])
        if augment:
            cells = frames.cells(rows[block])
            for i, at in enumerate(block):
                mirrored[at], turn[at] = _change(rgb[i], cells[i], frames, rng)
        pixels = to_pixels(torch.from_numpy(rgb).to(device))
        if augment:
            pixels = photometric(pixels, torch.Generator().manual_seed(int(rng.integers(2**62))))
        with mixed_precision(device):
            output = model.vision_model(pixels).last_hidden_state
        patches.append(output.float().cpu().numpy().astype(np.float16))
    return Features(np.concatenate(patches), rows, mirrored, turn, _observations(frames, rows, mirrored, turn))


def _change(
    rgb: npt.NDArray[np.uint8], cells: npt.NDArray[np.uint8], frames: Frames, rng: np.random.Generator
) -> tuple[bool, float]:
    """Changes a picture [H, W, 3] in place; returns whether it was mirrored, and its turn in radians."""
    mirrored = bool(rng.random() < 0.5)
    if mirrored:
        rgb[:], cells = rgb[:, ::-1].copy(), cells[:, ::-1]
    if rng.random() < 0.35:
        rgb[:] = cv2.addWeighted(rgb, (a := rng.random()), cv2.blur(rgb, (3, 3)), 1 - a, 0)
    left, right = room_to_shift(cells)
    by = int(rng.integers(-left, right + 1)) if left + right and rng.random() < 0.5 else 0
    rgb[:] = np.roll(rgb, by * CELL, 1)
    return mirrored, -math.radians(by * degrees_per_cell(frames.view))


def joined(parts: list[Features]) -> Features:
    """All of them as one."""
    return Features(
        np.concatenate([p.patches for p in parts]),
        np.concatenate([p.rows for p in parts]),
        np.concatenate([p.mirrored for p in parts]),
        np.concatenate([p.turn for p in parts]),
        [o for p in parts for o in p.observations],
    )
