"""What the frozen vision side makes of many frames, kept in memory, with the truth that goes with each.

Every frame is kept as it is and again in changed forms (mirrored, shifted, other light): the same exact
changes as in pretraining, made to the picture and to all that is true of it.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import cv2
import numpy as np
import numpy.typing as npt
import torch
from tqdm import tqdm
from transformers import Blip2ForConditionalGeneration

from nav_vlm_node.instruction import Step
from nav_vlm_sim.records import CELL
from nav_vlm_sim.truth import Observation
from nav_vlm_training.embedded.architecture import perceive
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
    """queries: float16 [N, Q, D], outputs of the Q-Former; observations: what is true of each."""

    queries: npt.NDArray[np.float16]
    observations: list[Observation]

    def __len__(self) -> int:
        return len(self.observations)


@torch.no_grad()
def extract(
    model: Blip2ForConditionalGeneration,
    frames: Frames,
    rows: npt.NDArray[np.intp],
    *,
    augment: bool,
    seed: int = 0,
    batch: int = 96,
) -> Features:
    """Query outputs of some frames. augment: each frame once in a changed form instead of as it is."""
    model.eval()
    queries, observations = [], []
    device = model.query_tokens.device
    blocks = np.array_split(rows, max(1, math.ceil(len(rows) / batch)))
    for number, block in enumerate(tqdm(blocks, unit_scale=batch, unit="frame", desc="features")):
        rng = np.random.default_rng([seed, number])
        rgb = frames.rgb(block)
        for i, row in enumerate(block):
            observation = frames.observations[row]
            if augment:
                mirrored = bool(rng.random() < 0.5)
                cells = frames.cells(np.array([row]))[0]
                if mirrored:
                    rgb[i], cells = rgb[i, :, ::-1].copy(), cells[:, ::-1]
                if rng.random() < 0.35:
                    rgb[i] = cv2.addWeighted(rgb[i], (a := rng.random()), cv2.blur(rgb[i], (3, 3)), 1 - a, 0)
                left, right = room_to_shift(cells)
                by = int(rng.integers(-left, right + 1)) if left + right and rng.random() < 0.5 else 0
                rgb[i] = np.roll(rgb[i], by * CELL, 1)
                observation = changed(
                    observation, mirrored=mirrored, turn=-math.radians(by * degrees_per_cell(frames.view))
                )
            observations.append(observation)
        pixels = to_pixels(torch.from_numpy(rgb).to(device))
        if augment:
            pixels = photometric(pixels, torch.Generator().manual_seed(int(rng.integers(2**62))))
        with torch.autocast(device.type, torch.bfloat16):
            _, output = perceive(model, pixels)
        queries.append(output.float().cpu().numpy().astype(np.float16))
    return Features(np.concatenate(queries), observations)


def joined(parts: list[Features]) -> Features:
    """All of them as one."""
    return Features(np.concatenate([p.queries for p in parts]), [o for p in parts for o in p.observations])
