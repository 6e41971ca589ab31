"""The small models of other families learn what our base learnt: to describe. Where a thing is, what is in the way.

Questions and answers are made afresh for every update, as for the base (`nav_vlm_training.embedded.language`), about
frames that its vision side never saw. The vision tower is frozen: what it makes of the frames is worked out once.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn
from tqdm import tqdm
from transformers import PreTrainedTokenizerFast

from nav_vlm_node.language import parse
from nav_vlm_node.score import Answer, judge, summarise
from nav_vlm_node.vlm.prompt import IGNORE, build_prompt, encode_prompts, encode_targets
from nav_vlm_sim.dataset import truth_of
from nav_vlm_sim.questions import ask
from nav_vlm_training.embedded.features import Features
from nav_vlm_training.embedded.language import Checkpoint, Pair, SoftNumbers, describing
from nav_vlm_training.embedded.targets import Frames
from nav_vlm_training.vlms.checks import checked_prompts
from nav_vlm_training.vlms.loading import load_other
from nav_vlm_training.vlms.model import answers
from nav_vlm_training.vlms.prompts import Row, Shapes, joined, shapes

Loss = Callable[[Any, PreTrainedTokenizerFast, SoftNumbers, torch.Tensor, Sequence[Sequence[Pair]]], torch.Tensor]


@dataclass(frozen=True, kw_only=True)
class DescribeConfig:
    """steps: updates. rate: peak, cosine to a fiftieth. images: per update, with `each` questions about every one."""

    steps: int
    rate: float
    images: int
    each: int
    warmup: int = 100
    seed: int = 0


@dataclass(frozen=True)
class Packed:
    """Questions about a picture with their answers, one behind the other in one row, behind the picture; int64 [B, T].

    ids: 0 where a picture's features go and where nothing is. positions: as if each question were the only one.
    wanted: the token that follows, IGNORE where it is no answer's. group: 0 picture, 1, 2, ... question, -1 nothing.
    """

    ids: torch.Tensor
    positions: torch.Tensor
    wanted: torch.Tensor
    group: torch.Tensor

    @property
    def mask(self) -> torch.Tensor:
        """Who may look at whom, bool [B, 1, T, T]: at the picture, and at what stands before in the same question."""
        group = self.group
        same = (group[:, :, None] == group[:, None, :]) | (group[:, None, :] == 0)
        return (same & torch.ones(same.shape[1:], dtype=torch.bool).tril()).unsqueeze(1)


def pack(tokenizer: PreTrainedTokenizerFast, asked: Sequence[Sequence[Pair]], image_tokens: int) -> Packed:
    """Rows for `asked`, the pairs about each picture. A picture's tokens are worked out once for all its questions."""
    eos = int(tokenizer.convert_tokens_to_ids(str(tokenizer.eos_token)))
    rows = []
    for pairs in asked:
        ids, positions = [0] * image_tokens, list(range(image_tokens))
        wanted, group = [IGNORE] * image_tokens, [0] * image_tokens
        for number, (question, answer) in enumerate(pairs, 1):
            prompt = tokenizer(build_prompt(question), add_special_tokens=False)["input_ids"]
            told = [*tokenizer(answer, add_special_tokens=False)["input_ids"], eos]
            ids += prompt + told[:-1]
            wanted += [IGNORE] * (len(prompt) - 1) + told
            positions += range(image_tokens, image_tokens + len(prompt) + len(told) - 1)
            group += [number] * (len(prompt) + len(told) - 1)
        rows.append((ids, positions, wanted, group))
    width = max(len(row[0]) for row in rows)
    fill = (0, 0, IGNORE, -1)
    return Packed(
        *(torch.tensor([row[k] + [fill[k]] * (width - len(row[k])) for row in rows]) for k in range(4))
    )  # fmt: skip


def llava_loss(
    model: Any,
    tokenizer: PreTrainedTokenizerFast,
    numbers: SoftNumbers,
    patches: torch.Tensor,
    asked: Sequence[Sequence[Pair]],
) -> torch.Tensor:
    """Mean over the answers' tokens. patches: [B, 1 + P, D], the tower's last layer, from before its normalisation."""
    seen = model.model.multi_modal_projector(patches[:, 1:])
    packed = pack(tokenizer, asked, seen.shape[1])
    embeds = model.get_input_embeddings()(packed.ids)
    embeds = torch.cat([seen.to(embeds.dtype), embeds[:, seen.shape[1] :]], dim=1)
    hidden = model.model.language_model(
        inputs_embeds=embeds, attention_mask=packed.mask, position_ids=packed.positions, use_cache=False
    ).last_hidden_state
    at = packed.group > 0  # the picture's own tokens predict nothing
    logits = torch.zeros(*at.shape, len(tokenizer))
    logits[at] = model.lm_head(hidden[at]).float()
    return numbers.loss(logits, packed.wanted) / (packed.wanted != IGNORE).sum()


def instructblip_loss(
    model: Any,
    tokenizer: PreTrainedTokenizerFast,
    numbers: SoftNumbers,
    patches: torch.Tensor,
    asked: Sequence[Sequence[Pair]],
) -> torch.Tensor:
    """Mean over the answers' tokens. patches: [B, 1 + P, D], from before the vision model's last normalisation."""
    pairs = [pair for some in asked for pair in some]
    seen = model.vision_model.post_layernorm(patches).repeat_interleave(len(asked[0]), 0)
    queries = int(model.config.num_query_tokens)
    ids, mask = encode_prompts(tokenizer, [q for q, _ in pairs], queries, model.config.image_token_id, "right")
    read = model.qformer(
        input_ids=ids[:, queries:],
        attention_mask=mask,
        query_embeds=model.query_tokens.expand(len(pairs), -1, -1),
        encoder_hidden_states=seen,
        encoder_attention_mask=torch.ones(seen.shape[:2], dtype=torch.long),
    ).last_hidden_state[:, :queries]
    embeds = model.get_input_embeddings()(ids)
    embeds = torch.cat([model.language_projection(read).to(embeds.dtype), embeds[:, queries:]], dim=1)
    labels = encode_targets(tokenizer, [a for _, a in pairs])
    language = model.language_model
    before = language.prepare_decoder_input_ids_from_labels(labels=labels)
    logits = language(inputs_embeds=embeds, attention_mask=mask, decoder_input_ids=before).logits
    return numbers.loss(logits, labels) / (labels != IGNORE).sum()


LOSSES: dict[str, Loss] = {"llava": llava_loss, "instructblip": instructblip_loss}


def learn_to_describe(
    model: Any,
    tokenizer: PreTrainedTokenizerFast,
    features: Features,
    config: DescribeConfig,
    checkpoint: Checkpoint,
    *,
    quiet: bool = False,
) -> float:
    """Train all but the vision model, on the CPU; an interrupted run goes on from `checkpoint`. Returns the last loss.

    features: of the tower's last layer, from before its normalisation.
    """
    loss_of = LOSSES[model.config.model_type]
    trained = [p for name, p in model.named_parameters() if "vision" not in name]
    model.requires_grad_(False)
    for parameter in trained:
        parameter.requires_grad_(True)
    model.train()
    optimizer = torch.optim.AdamW(trained, lr=config.rate, weight_decay=0.02, betas=(0.9, 0.98))
    numbers = SoftNumbers(tokenizer)
    start = checkpoint.resume(trained, optimizer)
    smooth = math.nan
    bar = tqdm(range(start, config.steps), initial=start, total=config.steps, unit="step", disable=quiet)
    for step in bar:
        fall = 0.49 * (1 + math.cos(math.pi * step / config.steps)) + 0.02
        for group in optimizer.param_groups:
            group["lr"] = config.rate * min(1, (step + 1) / config.warmup) * fall
        rng = np.random.default_rng([config.seed, step, 7])
        rows = rng.integers(0, len(features), config.images)
        asked = [[describing(features.observations[r], rng) for _ in range(config.each)] for r in rows]
        patches = torch.from_numpy(features.patches[rows].astype(np.float32))
        loss = loss_of(model, tokenizer, numbers, patches, asked)
        loss.backward()
        nn.utils.clip_grad_norm_(trained, 1.0)
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)
        smooth = loss.item() if math.isnan(smooth) else 0.95 * smooth + 0.05 * loss.item()
        if step % 20 == 0:
            bar.set_postfix(loss=f"{smooth:.3f}")
        if (step + 1) % checkpoint.every == 0:
            checkpoint.save(step + 1, trained, optimizer)
    model.eval()
    return smooth


def check(directory: Path, frames: Frames, *, questions: int = 300, seed: int = 5) -> dict[str, Any]:
    """Scores of a saved model that was never told to guide, on that many questions about frames spread over `frames`.

    What it says is parsed, as the base's descriptions are. The keys are those of `nav_vlm_node.score.summarise`.
    """
    other = load_other(directory, torch.device("cpu"), torch.float32)
    rows = np.linspace(0, len(frames) - 1, questions).astype(np.intp)
    prompts = checked_prompts(other, frames.rgb(rows[:1])[0])
    rng = np.random.default_rng(seed)
    asked = [(row, next(ask(frames.observations[row], rng))) for row in rows]
    alike: dict[Shapes, list[tuple[int, Row]]] = {}
    for number, (row, question) in enumerate(asked):
        made = prompts.row(frames.rgb(np.array([row]))[0], question.text)
        alike.setdefault(shapes(made), []).append((number, made))
    outcomes = []
    for part in alike.values():
        for start in range(0, len(part), 64):
            some = part[start : start + 64]
            for (number, _), written in zip(some, answers(other, joined([r for _, r in some]), 64), strict=True):
                row, question = asked[number]
                truth = truth_of(question, frames.observations[row])
                outcomes.append(judge(Answer(parse(written.text).steps), truth))
    return summarise(outcomes).to_json()
