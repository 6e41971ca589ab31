"""Stages 2 and 3: the language model learns to describe what the vision side sees; an adapter, to guide.

The base is trained to describe: where the asked-for thing is, what is in the way, what a sign says. The
adapter (LoRA by peft, on the language model alone) turns that into instructions: hazards first, a turn, a
distance, and what to do when the thing is not in view.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from torch import nn
from tqdm import tqdm
from transformers import PreTrainedTokenizerFast

from nav_vlm_node.instruction import Action, Step
from nav_vlm_node.language import parse, render_canonical
from nav_vlm_node.score import Answer, judge, summarise
from nav_vlm_node.vlm.prompt import encode_prompts, encode_targets
from nav_vlm_sim.dataset import truth_of
from nav_vlm_sim.questions import NAMES, Question, Rng, ask
from nav_vlm_sim.truth import Observation
from nav_vlm_training.embedded.architecture import NUM_QUERY_TOKENS
from nav_vlm_training.embedded.features import Features

Pair = tuple[str, str]  # question, answer

ON_THE_WAY = ("What is in the way to the {}?", "What stands between me and the {}?", "Is the way to the {} blocked?")
SIGN_ASKED = ("Which way does the exit sign point?", "What does the exit sign say?", "Read the exit sign.")


def _plainly(steps: tuple[Step, ...]) -> tuple[Step, ...]:
    """A describer does not warn: hazards become things with a place."""
    return tuple(replace(s, action=Action.LOCATE) if s.action is Action.CAUTION else s for s in steps)


def describing(observation: Observation, rng: Rng) -> Pair:
    """A question and a describer's answer, for the base."""
    u = rng.random()
    shown = [n for n, t in observation.targets.items() if t.visible]
    if u < 0.25 and shown:
        name = shown[int(rng.integers(len(shown)))]
        target = observation.targets[name]
        words = NAMES[name][int(rng.integers(len(NAMES[name])))]
        nothing = (Step(Action.NO_HAZARD, distance=target.distance),)
        steps = _plainly(target.hazards[:1]) or nothing
        return ON_THE_WAY[int(rng.integers(len(ON_THE_WAY)))].format(words), render_canonical(steps)
    if u < 0.32:
        signs = [s for s in observation.seen if s.kind == "exit sign" and s.visible and s.arrow]
        if signs or observation.targets["exit sign"].visible is False:
            points = {"left": math.pi / 2, "right": -math.pi / 2, "ahead": 0.0}
            step = (
                Step(Action.SIGN, points[signs[0].arrow], landmark="exit sign")
                if signs
                else Step(Action.NOT_VISIBLE, landmark="exit sign")
            )
            return SIGN_ASKED[int(rng.integers(len(SIGN_ASKED)))], render_canonical((step,))
    question = next(ask(observation, rng))
    return question.text, render_canonical(_plainly(question.plain))


def guiding(observation: Observation, rng: Rng) -> Pair:
    """A question and a guide's answer, for the adapter."""
    question = next(ask(observation, rng))
    return question.text, render_canonical(question.guide)


@dataclass(frozen=True, kw_only=True)
class LanguageConfig:
    """steps: updates. images: per step, with `each` questions about every one. rate: peak, cosine to a fiftieth."""

    steps: int
    rate: float
    images: int = 32
    each: int = 4
    warmup: int = 200
    seed: int = 0


def lm_loss(model: Any, tokenizer: PreTrainedTokenizerFast, queries: torch.Tensor, pairs: list[Pair]) -> torch.Tensor:
    """Cross entropy of the answers. queries: [B, Q, D], one row per pair. model: Blip2 or the PeftModel around it."""
    ids, mask = encode_prompts(tokenizer, [q for q, _ in pairs], NUM_QUERY_TOKENS, model.config.image_token_id, "right")
    labels = encode_targets(tokenizer, [a for _, a in pairs])
    embeds = model.get_input_embeddings()(ids.to(queries.device))
    projected = model.language_projection(queries)
    embeds = torch.cat([projected.to(embeds.dtype), embeds[:, NUM_QUERY_TOKENS:]], dim=1)
    out = model.language_model(
        inputs_embeds=embeds, attention_mask=mask.to(queries.device), labels=labels.to(queries.device)
    )
    loss: torch.Tensor = out.loss
    return loss


def train_language(
    model: Any,
    tokenizer: PreTrainedTokenizerFast,
    parameters: list[nn.Parameter],
    features: Features,
    make_pair: Callable[[Observation, Rng], Pair],
    config: LanguageConfig,
    report: Callable[[int, float], None] = lambda step, loss: None,
) -> None:
    """Trains `parameters` on questions made afresh for every step."""
    optimizer = torch.optim.AdamW(parameters, lr=config.rate, weight_decay=0.02, betas=(0.9, 0.98))
    device = parameters[0].device
    bar = tqdm(range(config.steps), unit="step", smoothing=0.05)
    for step in bar:
        done = step / config.steps
        for group in optimizer.param_groups:
            group["lr"] = (
                config.rate * min(1, (step + 1) / config.warmup) * (0.49 * (1 + math.cos(math.pi * done)) + 0.02)
            )
        rng = np.random.default_rng([config.seed, step, 7])
        rows = rng.integers(0, len(features), config.images)
        pairs = [make_pair(features.observations[r], rng) for r in rows for _ in range(config.each)]
        queries = (
            torch.from_numpy(features.queries[rows].astype(np.float32)).to(device).repeat_interleave(config.each, 0)
        )
        with torch.autocast(device.type, torch.bfloat16):
            loss = lm_loss(model, tokenizer, queries, pairs)
        loss.backward()
        nn.utils.clip_grad_norm_(parameters, 1.0)
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)
        if step % 20 == 0:
            bar.set_postfix(loss=f"{loss.item():.3f}")
        if (step + 1) % 500 == 0 or step + 1 == config.steps:
            report(step + 1, loss.item())


@torch.no_grad()
def answer(
    model: Any,
    tokenizer: PreTrainedTokenizerFast,
    features: Features,
    asked: list[tuple[int, Question]],
    batch: int = 128,
) -> list[str]:
    """Greedy answers to questions about rows of `features`."""
    texts: list[str] = []
    device = model.query_tokens.device
    for start in range(0, len(asked), batch):
        part = asked[start : start + batch]
        queries = torch.from_numpy(features.queries[[r for r, _ in part]].astype(np.float32)).to(device)
        ids, mask = encode_prompts(
            tokenizer, [q.text for _, q in part], NUM_QUERY_TOKENS, model.config.image_token_id, "right"
        )
        embeds = model.get_input_embeddings()(ids.to(device))
        embeds = torch.cat([model.language_projection(queries), embeds[:, NUM_QUERY_TOKENS:]], dim=1)
        out = model.language_model.generate(
            inputs_embeds=embeds, attention_mask=mask.to(device), max_new_tokens=64, do_sample=False, num_beams=1
        )
        texts += tokenizer.batch_decode(out, skip_special_tokens=True)
    return texts


def check(
    model: Any, tokenizer: PreTrainedTokenizerFast, features: Features, *, each: int = 3, seed: int = 5
) -> dict[str, Any]:
    """Scores of the model on questions about `features`."""
    rng = np.random.default_rng(seed)
    asked = []
    for row, observation in enumerate(features.observations):
        questions = ask(observation, rng)
        asked += [(row, next(questions)) for _ in range(each)]
    texts = answer(model, tokenizer, features, asked)
    outcomes = [
        judge(Answer(parse(text).steps), truth_of(question, features.observations[row]))
        for (row, question), text in zip(asked, texts, strict=True)
    ]
    return summarise(outcomes).to_json() | {
        "examples": [(q.text, render_canonical(q.guide), t) for (_, q), t in zip(asked[:12], texts[:12], strict=True)]
    }
