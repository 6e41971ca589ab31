"""Where a run stands, on disk: whole or not at all, and enough to go on to the bit."""

from __future__ import annotations

import math
import os
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file, save
from torch import nn

from nav_vlm_node.errors import UserError

CHECKPOINT, BEST = "checkpoint.pt", "best.safetensors"


@dataclass
class Progress:
    """step: updates done. evaluated: the step of the last evaluation, -1 before the first. best, best_loss, best_step:
    the best evaluation so far; higher is better, and where that is equal, the lower loss. waited: evaluations since
    then that count for patience. ended: nothing is left to do."""

    step: int = 0
    evaluated: int = -1
    best: float = -math.inf
    best_loss: float = math.inf
    best_step: int = -1
    waited: int = 0
    ended: bool = False


def save_checkpoint(
    run: Path, progress: Progress, trained: Mapping[str, nn.Parameter], optimizer: torch.optim.Optimizer
) -> None:
    """Weights that are trained, the optimiser, and the counters. Random numbers need no keeping: they come from the
    seed and the step. Raises UserError for a full disk; what was there stays."""
    state = {
        "progress": asdict(progress),
        "trained": {name: parameter.detach() for name, parameter in trained.items()},
        "optimizer": optimizer.state_dict(),
    }
    path = run / CHECKPOINT
    draft = path.with_name(f".{path.name}.draft")
    try:
        torch.save(state, draft)
        os.replace(draft, path)
    except (OSError, RuntimeError) as error:  # torch's writer raises RuntimeError for a full disk
        draft.unlink(missing_ok=True)
        raise _cannot_write(run, error) from None


def load_checkpoint(
    run: Path, trained: Mapping[str, nn.Parameter], optimizer: torch.optim.Optimizer
) -> Progress | None:
    """Takes up what was saved; None where there is nothing. Raises UserError for a file that is damaged."""
    path = run / CHECKPOINT
    if not path.exists():
        return None
    try:
        state: dict[str, Any] = torch.load(path, map_location="cpu", weights_only=True)
        progress = Progress(**state["progress"])
        _put(trained, state["trained"])
        optimizer.load_state_dict(state["optimizer"])
    except Exception as error:  # a damaged file raises anything, from zipfile's errors to KeyError
        line = (str(error).strip().splitlines() or [type(error).__name__])[0]
        raise UserError(f"{path} is damaged ({line}); delete it to begin the run again") from None
    return progress


def save_best(run: Path, trained: Mapping[str, nn.Parameter]) -> None:
    """Keep the weights of the best evaluation so far. Raises UserError for a full disk."""
    path = run / BEST
    draft = path.with_name(f".{path.name}.draft")
    try:
        draft.write_bytes(save({name: parameter.detach().contiguous() for name, parameter in trained.items()}))
        draft.replace(path)
    except OSError as error:
        draft.unlink(missing_ok=True)
        raise _cannot_write(run, error) from None


def load_best(run: Path, trained: Mapping[str, nn.Parameter]) -> None:
    """Put those weights back. Raises UserError where they are not there or damaged."""
    try:
        _put(trained, load_file(run / BEST))
    except Exception as error:  # safetensors raises its own type for a damaged file
        line = (str(error).strip().splitlines() or [type(error).__name__])[0]
        raise UserError(f"{run / BEST} cannot be read ({line}); begin the run again in another --run") from None


@torch.no_grad()
def _put(trained: Mapping[str, nn.Parameter], kept: Mapping[str, torch.Tensor]) -> None:
    if set(trained) != set(kept):
        raise ValueError("it holds other weights than this variant trains")
    for name, parameter in trained.items():
        parameter.copy_(kept[name])


def _cannot_write(run: Path, error: Exception) -> UserError:
    reason = getattr(error, "strerror", None) or str(error).splitlines()[0]
    return UserError(f"cannot write to {run}: {reason}; put that right and give the same command again")
