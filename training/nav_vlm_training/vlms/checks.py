"""What would spoil a comparison without a word, tried on two rows before anything is trained.

A model whose image tokens are missing answers without looking; one whose question may look at the answer that follows
learns to copy. Neither fails, and both would be a figure in a table.
"""

from __future__ import annotations

import numpy as np
import torch

from nav_vlm_node.errors import UserError
from nav_vlm_training.vlms.loading import OtherModel
from nav_vlm_training.vlms.model import answer_logits
from nav_vlm_training.vlms.prompts import EXAMPLE, Image, Prompts

SAID = ("Turn left 30 degrees, then move 4 metres to the door.", "I do not know that place.")
ROUNDING = {torch.float32: 1e-3, torch.bfloat16: 3e-2, torch.float16: 3e-2}  # of the largest value


def checked_prompts(other: OtherModel, example: Image) -> Prompts:
    """How the model is asked, tried out. example: a picture. Raises UserError where its answers would mean nothing."""
    for answer_type in (0, 1):  # families with token types differ in what marks an answer
        prompts = Prompts(other, example, answer_type)
        if other.seq2seq or not _looks_ahead(other, prompts, example):
            break
    else:
        raise UserError(
            f"{other.name} ({other.family}) sees the answer while it reads the question, so it would only learn to copy"
        )
    if not _looks_at_the_picture(other, prompts, example):
        raise UserError(
            f"{other.name} ({other.family}) answers without looking at the picture; save its processor again"
        )
    return prompts


@torch.no_grad()
def _looks_ahead(other: OtherModel, prompts: Prompts, image: Image) -> bool:
    row = prompts.row(image, EXAMPLE)
    logits = answer_logits(other, prompts.taught([row, row], SAID))
    asked = logits[:, : row["input_ids"].shape[1]].float()
    return _differ(asked[0], asked[1], other)


@torch.no_grad()
def _looks_at_the_picture(other: OtherModel, prompts: Prompts, image: Image) -> bool:
    contrary = np.ascontiguousarray(255 - image[::-1, ::-1])
    rows = [prompts.row(one, EXAMPLE) for one in (image, contrary)]
    logits = answer_logits(other, prompts.taught(rows, [SAID[0]] * 2)).float()
    learnt = logits[:, -5:]
    return not torch.equal(learnt[0], learnt[1])


def _differ(one: torch.Tensor, two: torch.Tensor, other: OtherModel) -> bool:
    near = ROUNDING.get(other.model.dtype, 1e-3) * max(1e-6, float(one.abs().max()))
    return bool((one - two).abs().max() > near)
