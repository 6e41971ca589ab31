"""Learning to see: every patch says what it shows and how far, every query where its landmark is.

Dense targets and the set loss are learned together. Alone, the dense targets give features that hold
no positions, and a Q-Former on top of those learned nothing about direction.
"""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import nn

from nav_vlm_sim.records import CELL, PIXEL_CLASSES
from nav_vlm_sim.truth import TARGETS
from nav_vlm_training.embedded.architecture import PATCH, VIEW, VISION_WIDTH
from nav_vlm_training.embedded.targets import ARROWS, HAZARDS, UNSURE, Targets

SIDE = PATCH // CELL  # cells along a patch's side
GRID = VIEW.width // PATCH
BEARINGS = torch.arange(-60.0, 60.1, 2.5)  # degrees, centres of bins
DISTANCES = torch.linspace(math.log(0.4), math.log(16.0), 32)  # log metres
AHEAD_QUERY, SIGN_QUERY = len(TARGETS), len(TARGETS) + 1
NB, ND, NH = len(BEARINGS), len(DISTANCES), len(HAZARDS)


class Heads(nn.Module):
    """Linear read-outs, used in training only. The k-th query answers for the k-th of TARGETS."""

    def __init__(self, width: int = VISION_WIDTH) -> None:
        super().__init__()
        self.cells = nn.Linear(width, SIDE * SIDE * (len(PIXEL_CLASSES) + 1))
        self.target = nn.Linear(width, 1 + 2 * (NB + ND) + NH)
        self.ahead = nn.Linear(width, NB + ND + NH)
        self.sign = nn.Linear(width, len(ARROWS))

    def dense(self, patches: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Patch features [B, 1 + P, D] -> class logits [B, cells, C] and log depth [B, cells], in `to_cells` order."""
        out = self.cells(patches[:, 1:]).float().view(len(patches), -1, len(PIXEL_CLASSES) + 1)
        return out[..., :-1], out[..., -1]

    def read(self, queries: torch.Tensor) -> dict[str, torch.Tensor]:
        """Query outputs [B, Q, D] -> logits: visible [B, T], bearing [B, T, NB], distance [B, T, ND], and the like of
        hazard, ahead and arrow."""
        t = self.target(queries[:, : len(TARGETS)]).float()
        a = self.ahead(queries[:, AHEAD_QUERY]).float()
        visible, bearing, distance, hazard, hb, hd = t.split([1, NB, ND, NH, NB, ND], dim=-1)
        ahead, ab, ad = a.split([NH, NB, ND], dim=-1)
        return {
            "visible": visible[..., 0], "bearing": bearing, "distance": distance,
            "hazard": hazard, "hazard_bearing": hb, "hazard_distance": hd,
            "ahead": ahead, "ahead_bearing": ab, "ahead_distance": ad,
            "arrow": self.sign(queries[:, SIGN_QUERY]).float(),
        }  # fmt: skip


def to_cells(grid: torch.Tensor) -> torch.Tensor:
    """[B, rows, columns] of cells -> [B, cells], patch by patch as the vision model orders its patches."""
    b = len(grid)
    return grid.view(b, GRID, SIDE, GRID, SIDE).transpose(2, 3).reshape(b, -1)


def _soft(values: torch.Tensor, centres: torch.Tensor, width: float) -> torch.Tensor:
    """[..., bins] a distribution over bins around each value."""
    return torch.softmax(-0.5 * ((values[..., None] - centres) / width) ** 2, dim=-1)


def _match(
    logits: torch.Tensor, values: torch.Tensor, centres: torch.Tensor, width: float, where: torch.Tensor
) -> torch.Tensor:
    """Mean cross entropy to the soft bins, over `where`."""
    loss = -(_soft(values, centres, width) * F.log_softmax(logits, dim=-1)).sum(-1)
    return (loss * where).sum() / where.sum().clamp(min=1)


def _log(distance: torch.Tensor) -> torch.Tensor:
    return distance.clamp(0.4, 16.0).log()


def set_loss(read: dict[str, torch.Tensor], truth: dict[str, torch.Tensor]) -> torch.Tensor:
    """How far the queries' read-outs are from the truth (tensors of `Targets`)."""
    sure = (truth["visible"] != UNSURE).float()
    shown = (truth["visible"] == 1).float()
    blocked = shown * (truth["hazard"] > 0)
    visible = F.binary_cross_entropy_with_logits(read["visible"], truth["visible"].clamp(min=0), reduction="none")
    hazard = F.cross_entropy(read["hazard"].flatten(0, 1), truth["hazard"].flatten().long(), reduction="none").view_as(
        shown
    )
    known = (truth["ahead"] != UNSURE).float()
    ahead = F.cross_entropy(read["ahead"], truth["ahead"].clamp(min=0).long(), reduction="none")
    something = known * (truth["ahead"] > 0)
    sign = (truth["arrow"] != UNSURE).float()
    arrow = F.cross_entropy(read["arrow"], truth["arrow"].clamp(min=0).long(), reduction="none")
    return (
        3.0 * (visible * sure).sum() / sure.sum().clamp(min=1)
        + _match(read["bearing"], truth["bearing"], BEARINGS, 2.5, shown)
        + _match(read["distance"], _log(truth["distance"]), DISTANCES, 0.1, shown)
        + (hazard * shown).sum() / shown.sum().clamp(min=1)
        + _match(read["hazard_bearing"], truth["hazard_bearing"], BEARINGS, 2.5, blocked)
        + _match(read["hazard_distance"], _log(truth["hazard_distance"]), DISTANCES, 0.1, blocked)
        + (ahead * known).sum() / known.sum().clamp(min=1)
        + 0.5 * _match(read["ahead_bearing"], truth["ahead_bearing"], BEARINGS, 2.5, something)
        + 0.5 * _match(read["ahead_distance"], _log(truth["ahead_distance"]), DISTANCES, 0.1, something)
        + 1.0 * (arrow * sign).sum() / sign.sum().clamp(min=1)
    )


def dense_loss(
    logits: torch.Tensor, log_depth: torch.Tensor, cells: torch.Tensor, depth: torch.Tensor, weight: torch.Tensor
) -> torch.Tensor:
    """What the patches show (weighted by class) and how far; cells, depth: [B, rows, columns]."""
    what = F.cross_entropy(logits.flatten(0, 1), to_cells(cells).flatten().long(), weight)
    inside = (to_cells(cells) != 0).float()
    error = F.smooth_l1_loss(log_depth, to_cells(depth).clamp(0.2, 16).log(), beta=0.2, reduction="none")
    return what + 2.0 * (error * inside).sum() / inside.sum().clamp(min=1)


def expected(logits: torch.Tensor, centres: torch.Tensor) -> torch.Tensor:
    """The mode of a binned read-out, refined by its neighbours: [..., bins] -> [...]."""
    p = torch.softmax(logits, -1)
    best = p.argmax(-1, keepdim=True)
    near = (torch.arange(len(centres)) - best).abs() <= 2
    p = p * near
    return (p * centres).sum(-1) / p.sum(-1)


def set_metrics(read: dict[str, torch.Tensor], truth: dict[str, torch.Tensor]) -> dict[str, float]:
    """Plain figures of perception: errors in degrees, shares 0..1."""
    shown, sure = truth["visible"] == 1, truth["visible"] != UNSURE
    said = read["visible"] > 0
    error = (expected(read["bearing"], BEARINGS) - truth["bearing"]).abs()[shown]
    distance = expected(read["distance"], DISTANCES).exp()
    off = (distance - truth["distance"]).abs()[shown] / truth["distance"][shown]
    blocked = shown & (truth["hazard"] > 0)
    hazard = read["hazard"].argmax(-1)
    known, sign = truth["ahead"] != UNSURE, truth["arrow"] > 0
    figures = {
        "visible": (said == (truth["visible"] == 1))[sure],
        "visible_recall": said[shown],
        "bearing_mean": error,
        "bearing_15": error <= 15,
        "distance_25": off <= 0.25,
        "hazard_recall": (hazard > 0)[blocked],
        "hazard_named": (hazard == truth["hazard"])[blocked],
        "hazard_false": (hazard > 0)[shown & ~blocked],
        "ahead_right": (read["ahead"].argmax(-1) == truth["ahead"])[known],
        "arrow_right": (read["arrow"].argmax(-1) == truth["arrow"])[sign],
    }
    return {name: round(float(values.float().mean()), 4) for name, values in figures.items()}


def tensors(targets: Targets) -> dict[str, torch.Tensor]:
    """The arrays as tensors, by name."""
    return {name: torch.from_numpy(array) for name, array in vars(targets).items()}
