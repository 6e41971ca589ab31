"""Stage 1: the vision model and the Q-Former learn to see, from rendered frames with dense truth.

The run folder holds `checkpoint.pt` (everything to go on exactly where it stopped) and `log.jsonl`.
The learning rate stays level and falls to nothing over the last part of the planned samples, so a run
can be prolonged by giving a larger plan before the fall has begun. A run can also start from the vision side
of a model that is there; its read-outs then learn alone first, so that they do not spoil what they read. From such a
start LoRA can learn in place of the weights: what an adapter sees then differs from what its base sees.
"""

from __future__ import annotations

import json
import math
import os
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt
import torch
from torch import nn
from tqdm import tqdm
from transformers import Blip2ForConditionalGeneration

from nav_vlm_node.vlm.adapters import attach_new
from nav_vlm_sim.records import CELL, PIXEL_CLASSES
from nav_vlm_training.embedded.architecture import (
    GRID_POSITIONS,
    VIEW,
    build_model,
    load_base,
    make_config,
    mixed_precision,
    perceive,
    speed_up_patches,
    take_adapter,
)
from nav_vlm_training.embedded.perception import Heads, dense_loss, set_loss, set_metrics, tensors, to_cells
from nav_vlm_training.embedded.targets import Frames, degrees_per_cell, mirror, room_to_shift, shift

# All linear layers of the vision side: what LoRA is on where only an adapter's eyes learn.
EYES = {"vision_model": ("qkv", "projection", "fc1", "fc2"), "qformer": ("query", "key", "value", "dense")}
MEAN = torch.tensor([0.48145466, 0.4578275, 0.40821073])  # CLIP's, as in transformers' BlipImageProcessor
STD = torch.tensor([0.26862954, 0.26130258, 0.27577711])


@dataclass(frozen=True, kw_only=True)
class PretrainConfig:
    """samples: frames to see in all. decay: share of them over which the rate falls to zero.

    start: a model directory to take the first weights of the vision side from, "" for new ones. settle: updates of the
    read-outs alone, after such a start. rank, alpha: of LoRA on those weights, which then stay as they are; rank 0 for
    none. adapter: a folder whose LoRA on the vision side goes on learning, "" for a new one.
    """

    samples: int = 300_000
    start: str = ""
    settle: int = 250
    rank: int = 0
    alpha: int = 32
    adapter: str = ""
    batch: int = 64
    rate: float = 2e-3
    warmup: int = 200
    decay: float = 0.5
    set_weight: float = 0.15
    seed: int = 0
    device: str = "cpu"
    evaluate_every: int = 500
    checkpoint_every: int = 250


def to_pixels(rgb: torch.Tensor) -> torch.Tensor:
    """uint8 [B, H, W, 3] -> pixel_values float32 [B, 3, H, W], as the processor makes them."""
    return ((rgb.float() / 255 - MEAN.to(rgb.device)) / STD.to(rgb.device)).permute(0, 3, 1, 2)


def photometric(pixels: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
    """Changes of light, contrast, white balance and noise that keep the truth true."""
    b = len(pixels)

    def normal(*shape: int) -> torch.Tensor:
        return torch.randn(*shape, generator=generator).to(pixels.device)

    pixels = pixels * (1 + 0.2 * normal(b, 1, 1, 1)) + 0.25 * normal(b, 1, 1, 1) + 0.08 * normal(b, 3, 1, 1)
    noise = normal(*pixels.shape).mul_(0.12 * abs(normal(b, 1, 1, 1)).clamp(max=1))
    return pixels.add_(noise)


Batch = tuple[torch.Tensor, torch.Tensor, torch.Tensor, dict[str, torch.Tensor]]


def make_batch(frames: Frames, rows: npt.NDArray[np.intp], rng: np.random.Generator) -> Batch:
    """Pictures, cells, depth and truth of some rows; the whole batch is mirrored or not, each row shifted or not."""
    rgb, cells, depth, truth = frames.rgb(rows), frames.cells(rows), frames.depth(rows), frames.targets[rows]
    if rng.random() < 0.5:
        rgb, cells, depth, truth = rgb[:, :, ::-1], cells[:, :, ::-1], depth[:, :, ::-1], mirror(truth)
    rgb, cells, depth = rgb.copy(), cells.copy(), depth.copy()
    for i in range(len(rows)):
        if rng.random() < 0.35:  # a lens is never as sharp as a renderer
            rgb[i] = cv2.addWeighted(rgb[i], (a := rng.random()), cv2.blur(rgb[i], (3, 3)), 1 - a, 0)
        if rng.random() < 0.5:
            left, right = room_to_shift(cells[i])
            by = int(rng.integers(-left, right + 1)) if left + right else 0
            if by:
                one = np.array([i])
                moved = shift(truth[one], -by * degrees_per_cell(frames.view))
                for name, values in vars(moved).items():
                    getattr(truth, name)[i] = values[0]
                rgb[i], cells[i], depth[i] = (
                    np.roll(rgb[i], by * CELL, 1),
                    np.roll(cells[i], by, 1),
                    np.roll(depth[i], by, 1),
                )
    return torch.from_numpy(rgb), torch.from_numpy(cells), torch.from_numpy(depth), tensors(truth)


def _first_model(config: PretrainConfig) -> Blip2ForConditionalGeneration:
    """A model with the first weights of its vision side; its language model is never used."""
    model = build_model(make_config(512, 3, 0, 1), config.seed)
    speed_up_patches(model)
    if config.start:
        given = load_base(Path(config.start))
        for name in ("vision_model", "qformer"):
            getattr(model, name).load_state_dict(getattr(given, name).state_dict())
        model.query_tokens.data.copy_(given.query_tokens)
    if config.rank:
        tuned = attach_new(model, rank=config.rank, alpha=config.alpha, targets=EYES)
        if config.adapter:
            take_adapter(tuned, Path(config.adapter), EYES)
    return model


class Pretraining:
    """Model, read-outs, optimisers and counters of one run."""

    def __init__(self, config: PretrainConfig, out: Path) -> None:
        self.config, self.out = config, out
        out.mkdir(parents=True, exist_ok=True)
        self.model = _first_model(config)
        self.heads, self.position = Heads(), nn.Linear(192, GRID_POSITIONS.shape[1])
        self.device = torch.device(config.device)
        self.parts = nn.ModuleList([self.model.vision_model, self.model.qformer, self.heads, self.position]).to(
            self.device
        )
        self.model.query_tokens.data = self.model.query_tokens.data.to(self.device)
        matrices = [] if config.rank else [
            p
            for m in (self.model.vision_model, self.model.qformer)
            for n, p in m.named_parameters()
            if p.ndim == 2 and "encoder" in n
        ]  # fmt: skip
        chosen = {id(p) for p in matrices}
        rest = [
            p for p in (*self.parts.parameters(), self.model.query_tokens) if p.requires_grad and id(p) not in chosen
        ]
        muon = torch.optim.Muon
        self.optimizers: list[torch.optim.Optimizer] = [
            *([muon(matrices, lr=config.rate, weight_decay=0.05, adjust_lr_fn="match_rms_adamw")] if matrices else []),
            torch.optim.AdamW(
                [
                    {"params": [p for p in rest if p.ndim > 1], "weight_decay": 0.03},
                    {"params": [p for p in rest if p.ndim < 2], "weight_decay": 0.0},
                ],
                lr=config.rate,
                betas=(0.9, 0.98),
            ),
        ]
        self.parameters = [*matrices, *rest]
        self.settle = config.settle if config.start else 0
        self.step = 0
        self.seconds = 0.0

    @property
    def seen(self) -> int:
        """Frames so far."""
        return self.step * self.config.batch

    def rate(self) -> float:
        """The learning rate of the next step."""
        c = self.config
        left = 1 - self.seen / c.samples
        since = self.step if self.settling else self.step - self.settle
        return c.rate * min(1.0, (since + 1) / c.warmup, max(left, 0.0) / c.decay)

    @property
    def settling(self) -> bool:
        """Whether the read-outs learn alone."""
        return self.step < self.settle

    def train_step(
        self,
        pixels: torch.Tensor,
        cells: torch.Tensor,
        depth: torch.Tensor,
        truth: dict[str, torch.Tensor],
        weight: torch.Tensor,
    ) -> dict[str, float]:
        """One update; returns the losses."""
        for optimizer in self.optimizers:
            for group in optimizer.param_groups:
                group["lr"] = self.rate()
        with mixed_precision(self.device):
            with torch.set_grad_enabled(not self.settling):
                patches, queries = perceive(self.model, pixels)
            logits, log_depth = self.heads.dense(patches)
            where = self.position(patches[:, 1:])
            read = self.heads.read(queries)
        dense = dense_loss(logits, log_depth, cells, depth, weight)
        sets = set_loss(read, truth)
        position = nn.functional.mse_loss(where.float(), GRID_POSITIONS.to(self.device).expand(len(pixels), -1, -1))
        loss = dense + position + self.config.set_weight * sets
        loss.backward()
        nn.utils.clip_grad_norm_(self.parameters, 1.0)
        for optimizer in self.optimizers:
            optimizer.step()
            optimizer.zero_grad(set_to_none=True)
        self.step += 1
        return {"dense": dense.item(), "position": position.item(), "set": sets.item()}

    @torch.no_grad()
    def evaluate(self, frames: Frames, most: int = 1152) -> dict[str, float]:
        """Figures on held-out frames."""
        self.parts.eval()
        reads: list[dict[str, torch.Tensor]] = []
        right = 0.0
        rows = np.arange(min(len(frames), most))
        for block in np.array_split(rows, max(1, len(rows) // 96)):
            with mixed_precision(self.device):
                patches, queries = perceive(self.model, to_pixels(torch.from_numpy(frames.rgb(block)).to(self.device)))
                logits, _ = self.heads.dense(patches)
                reads.append({k: v.cpu() for k, v in self.heads.read(queries).items()})
            right += float(
                (logits.argmax(-1).cpu() == to_cells(torch.from_numpy(frames.cells(block)))).float().mean()
            ) * len(block)
        self.parts.train()
        read = {k: torch.cat([r[k] for r in reads]) for k in reads[0]}
        return {"cells_right": round(right / len(rows), 4)} | set_metrics(read, tensors(frames.targets[rows]))

    def save(self) -> None:
        """Writes checkpoint.pt, whole or not at all."""
        state = {
            "config": asdict(self.config), "step": self.step, "seconds": self.seconds, "settle": self.settle,
            "vision_model": self.model.vision_model.state_dict(), "qformer": self.model.qformer.state_dict(),
            "query_tokens": self.model.query_tokens.data, "heads": self.heads.state_dict(),
            "position": self.position.state_dict(), "optimizers": [o.state_dict() for o in self.optimizers],
        }  # fmt: skip
        draft = self.out / "checkpoint.pt.draft"
        torch.save(state, draft)
        os.replace(draft, self.out / "checkpoint.pt")

    def resume(self) -> bool:
        """Takes up the run in `out`, if there is one."""
        path = self.out / "checkpoint.pt"
        if not path.exists():
            return False
        state: dict[str, Any] = torch.load(path, map_location=self.device, weights_only=True)
        self.step, self.seconds, self.settle = state["step"], state["seconds"], state["settle"]
        self.model.vision_model.load_state_dict(state["vision_model"])
        self.model.qformer.load_state_dict(state["qformer"])
        self.model.query_tokens.data.copy_(state["query_tokens"])
        self.heads.load_state_dict(state["heads"])
        self.position.load_state_dict(state["position"])
        for optimizer, saved in zip(self.optimizers, state["optimizers"], strict=True):
            optimizer.load_state_dict(saved)
        return True

    def log(self, record: dict[str, Any]) -> None:
        """Adds a line to log.jsonl."""
        with (self.out / "log.jsonl").open("a") as file:
            file.write(
                json.dumps({"step": self.step, "seen": self.seen, "seconds": round(self.seconds)} | record) + "\n"
            )


def class_weights(frames: Frames) -> torch.Tensor:
    """[classes] rare things count more: (1 / share) ** 0.35, mean 1 over the pixels."""
    cells = frames.cells(np.arange(0, len(frames), max(1, len(frames) // 1000)))
    count = torch.bincount(torch.from_numpy(cells.flatten().astype(np.int64)), minlength=len(PIXEL_CLASSES)).float()
    weight = (count.sum() / (count + 1)) ** 0.35
    return weight / (weight * count).sum() * count.sum()


def pretrain(
    config: PretrainConfig, shards: list[Path], held_out: list[Path], out: Path, *, seconds: float = math.inf
) -> dict[str, float]:
    """Trains, or goes on, until the plan is done; returns the last figures.

    seconds: stop after this time with everything saved; the same call goes on from there.
    """
    run = Pretraining(config, out)
    went_on = run.resume()
    frames, check = Frames(shards, VIEW), Frames(held_out, VIEW)
    started = {
        "event": "resumed" if went_on else "started",
        "config": asdict(config),
        "frames": len(frames),
        "torch": torch.__version__,
    }
    run.log(started)
    weight = class_weights(frames).to(run.device)
    total = math.ceil(config.samples / config.batch)
    bar = tqdm(total=total * config.batch, initial=run.seen, unit="frame", smoothing=0.05)
    figures: dict[str, float] = {}
    began = time.monotonic() - run.seconds
    until = time.monotonic() + seconds
    ahead = ThreadPoolExecutor(1)  # the next batch is read and changed while this one is learned from

    def drawn(step: int) -> tuple[torch.Generator, Batch]:
        rng = np.random.default_rng([config.seed, step])
        generator = torch.Generator().manual_seed(int(rng.integers(2**62)))
        return generator, make_batch(frames, rng.integers(0, len(frames), config.batch), rng)

    try:
        coming = ahead.submit(drawn, run.step)
        while run.step < total and time.monotonic() < until:
            generator, (rgb, cells, depth, truth) = coming.result()
            coming = ahead.submit(drawn, run.step + 1)
            pixels = photometric(to_pixels(rgb.to(run.device)), generator)
            losses = run.train_step(
                pixels,
                cells.to(run.device),
                depth.to(run.device),
                {k: v.to(run.device) for k, v in truth.items()},
                weight,
            )
            run.seconds = time.monotonic() - began
            bar.update(config.batch)
            if run.step % 25 == 0:
                bar.set_postfix(losses)
            if run.step % config.evaluate_every == 0 or run.step == total:
                figures = run.evaluate(check)
                run.log({"rate": run.rate(), **losses, **figures})
                bar.write(f"{run.seen} frames: {figures}")
            if run.step % config.checkpoint_every == 0:
                run.save()
        run.save()
    except KeyboardInterrupt:
        run.save()
        bar.write(f"interrupted after {run.seen} frames; the same command goes on from here")
        raise
    finally:
        ahead.shutdown()
        bar.close()
    return figures
