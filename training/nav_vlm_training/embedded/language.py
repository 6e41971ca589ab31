"""Stages 2 and 3: the language model learns to describe what the vision side sees; an adapter, to guide.

The base is trained to describe: where the asked-for thing is, what is in the way, what a sign says. The
adapter (LoRA by peft, on the language model alone) turns that into instructions: hazards first, a turn, a
distance, and what to do when the thing is not in view.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import nn
from tqdm import tqdm
from transformers import PreTrainedTokenizerFast

from nav_vlm_node.instruction import Action, Step
from nav_vlm_node.language import parse, render_canonical
from nav_vlm_node.score import Answer, judge, summarise
from nav_vlm_node.vlm.prompt import IGNORE, encode_prompts, encode_targets
from nav_vlm_sim.dataset import truth_of
from nav_vlm_sim.questions import NAMES, Question, Rng, ask
from nav_vlm_sim.truth import Observation
from nav_vlm_training.embedded.architecture import NUM_QUERY_TOKENS, mixed_precision, query
from nav_vlm_training.embedded.features import Features
from nav_vlm_training.embedded.perception import Heads, set_loss, tensors
from nav_vlm_training.embedded.targets import targets_of
from nav_vlm_training.embedded.wording import as_said

Pair = tuple[str, str]  # question, answer

WARY = 0.3
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
    return as_said(question, rng), render_canonical(_plainly(question.plain))


def guiding(observation: Observation, rng: Rng) -> Pair:
    """A question and a guide's answer, for the adapter.

    Where the answer would warn of nothing, another question takes its place with probability WARY: to say that the way
    is free when it is not costs more than a needless warning, and a model warns as often as what it learned from.
    """
    questions = ask(observation, rng)
    question = next(questions)
    if rng.random() < WARY and not _warns(question):
        question = next(questions)
    return as_said(question, rng), render_canonical(question.guide)


def _warns(question: Question) -> bool:
    return any(step.action is Action.CAUTION for step in question.guide)


@dataclass(frozen=True, kw_only=True)
class LanguageConfig:
    """steps: updates. images: per step, with `each` questions about every one. rate: peak, cosine to a fiftieth.

    qformer_rate: the Q-Former's own, where it learns too, and its read-outs'. set_weight: of the set loss that keeps
    it knowing where things are. chunks: parts of a batch, answers of about one length in each.
    """

    steps: int
    rate: float
    images: int = 32
    each: int = 4
    warmup: int = 100
    seed: int = 0
    qformer_rate: float = 4e-4
    set_weight: float = 0.2
    chunks: int = 3


class SoftNumbers:
    """What the loss wants where an answer has a number: a little of its neighbours too, for 35 degrees is nearly 30.

    Gaussian over the numbers that are single tokens: DEGREES wide for bearings, RATIO (in logarithm) for distances.
    Every other token is wanted as it is.
    """

    DEGREES, RATIO = 3.0, 0.08
    LEAST, MOST = 0.25, 60.0  # no answer here has a number outside

    def __init__(self, tokenizer: PreTrainedTokenizerFast) -> None:
        values = {i: float(t[1:]) for t, i in tokenizer.get_vocab().items() if re.fullmatch(r"\u2581\d+(\.\d+)?", t)}
        numbers = {i: value for i, value in values.items() if self.LEAST <= value <= self.MOST}
        self._degrees: int = tokenizer.convert_tokens_to_ids("\u2581degrees")
        bearings = {i: value for i, value in numbers.items() if value % 5 == 0}
        distances = {i: math.log(value) for i, value in numbers.items() if value * 2 == round(value * 2)}
        self._bearing = self._table(len(tokenizer), bearings, self.DEGREES)
        self._distance = self._table(len(tokenizer), distances, self.RATIO)
        self._number = torch.zeros(len(tokenizer), dtype=torch.bool)
        self._number[list(numbers)] = True

    @staticmethod
    def _table(size: int, values: dict[int, float], width: float) -> torch.Tensor:
        """[size, size] what is wanted for each token."""
        table = torch.eye(size)
        ids, at = torch.tensor(list(values)), torch.tensor(list(values.values()))
        table[ids[:, None], ids] = torch.softmax(-0.5 * ((at[:, None] - at) / width) ** 2, dim=1)
        return table

    def loss(self, logits: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
        """Sum over the tokens of the cross entropy. logits: [B, T, V]; labels: [B, T], IGNORE where there is none."""
        following = torch.nn.functional.pad(labels[:, 1:], (0, 1), value=IGNORE)
        at = labels != IGNORE
        wanted, bearing = labels[at], (following == self._degrees)[at]
        log = torch.log_softmax(logits[at].float(), dim=-1)
        number = self._number.to(labels.device)[wanted]
        plain = -log[~number].gather(1, wanted[~number, None]).sum()
        tables = self._bearing.to(labels.device), self._distance.to(labels.device)
        soft = torch.where(bearing[number, None], tables[0][wanted[number]], tables[1][wanted[number]])
        return plain - (soft * log[number]).sum()


def lm_loss(
    model: Any,
    tokenizer: PreTrainedTokenizerFast,
    numbers: SoftNumbers,
    queries: torch.Tensor,
    pairs: list[Pair],
    chunks: int = 1,
) -> torch.Tensor:
    """Mean cross entropy of the answers' tokens.

    queries: [B, Q, D], outputs of the Q-Former, one row per pair. model: Blip2 or the PeftModel around it. The batch
    goes through in `chunks` of answers of about one length, so that short ones are not padded to the longest.
    """
    labels = encode_targets(tokenizer, [a for _, a in pairs]).to(queries.device)
    lengths = (labels != IGNORE).sum(1)
    total = queries.new_zeros((), dtype=torch.float32)
    projected = model.language_projection(queries)
    for part in torch.tensor_split(torch.argsort(lengths), chunks):
        questions = [pairs[i][0] for i in part.tolist()]
        ids, mask = encode_prompts(tokenizer, questions, NUM_QUERY_TOKENS, model.config.image_token_id, "right")
        embeds = model.get_input_embeddings()(ids.to(queries.device))
        embeds = torch.cat([projected[part].to(embeds.dtype), embeds[:, NUM_QUERY_TOKENS:]], dim=1)
        wanted = labels[part, : int(lengths[part].max())]
        out = model.language_model(
            inputs_embeds=embeds,
            attention_mask=mask.to(queries.device),
            decoder_input_ids=model.language_model.prepare_decoder_input_ids_from_labels(labels=wanted),
        )
        total = total + numbers.loss(out.logits, wanted)
    return total / lengths.sum()


@torch.no_grad()
def make_queries_distinct(model: Any, features: Features, most: int = 2000) -> None:
    """The projection's first weights: what tells the queries apart comes out as loud as all they hold besides.

    T5 knows where a token stands only relative to others, so which query a vector comes from must be in the vector.
    After perception it is, but as a few percent of the variance, too faint to be looked things up by. The projection
    is wider than the Q-Former: the directions that discriminate the queries best (Fisher's, by the scatter within and
    between them) get dimensions of their own, scaled up; the rest is a random rotation of the whole output.
    """
    rows = np.linspace(0, len(features) - 1, min(most, len(features))).astype(int)
    seen = torch.cat(
        [
            query(model, _patches(features, part, model.device))
            for part in np.array_split(rows, math.ceil(len(rows) / 100))
        ]
    ).cpu()
    count, queries, width = seen.shape
    means = seen.mean(0)
    centre = means.mean(0)
    within = (seen - means).flatten(0, 1).T @ (seen - means).flatten(0, 1) / (count * queries)
    values, vectors = torch.linalg.eigh(within + 1e-4 * within.trace() / width * torch.eye(width))
    whiten = vectors * values.rsqrt()  # [D, D], columns
    _, _, between = torch.linalg.svd((means - centre) @ whiten, full_matrices=False)
    apart = whiten @ between[: min(queries - 1, model.language_projection.out_features - width)].T  # [D, K]
    told = (seen - centre) @ apart
    apart = apart * (((seen - centre) ** 2).sum(-1).mean() / (told**2).sum(-1).mean()).sqrt()
    out = model.language_projection.out_features
    stacked = torch.zeros(out, width)
    stacked[:width] = torch.eye(width)
    stacked[width : width + apart.shape[1]] = apart.T
    rotation = torch.linalg.qr(torch.randn(out, out, generator=torch.Generator().manual_seed(0)))[0]
    weight = rotation @ stacked
    scale = math.sqrt(out) / (((seen - centre) @ weight.T) ** 2).sum(-1).mean().sqrt()
    model.language_projection.weight.copy_(weight * scale)
    model.language_projection.bias.copy_(-(weight @ centre) * scale)


def _patches(features: Features, rows: npt.NDArray[np.intp], device: torch.device) -> torch.Tensor:
    return torch.from_numpy(features.patches[rows].astype(np.float32)).to(device)


@dataclass(frozen=True)
class Checkpoint:
    """Where a stage that was interrupted goes on. of: what it is a stage of; another's is not taken up."""

    path: Path
    of: str
    every: int = 200

    def save(self, step: int, trained: list[nn.Parameter], optimizer: torch.optim.Optimizer) -> None:
        """Whole or not at all."""
        draft = self.path.with_name(f".{self.path.name}.draft")
        torch.save({"of": self.of, "step": step, "trained": trained, "optimizer": optimizer.state_dict()}, draft)
        draft.replace(self.path)

    def resume(self, trained: list[nn.Parameter], optimizer: torch.optim.Optimizer) -> int:
        """Takes up what was saved; returns the step to go on with, 0 where there is nothing to take up."""
        if not self.path.exists():
            return 0
        state = torch.load(self.path, map_location="cpu", weights_only=True)
        if state["of"] != self.of:
            return 0
        with torch.no_grad():
            for parameter, kept in zip(trained, state["trained"], strict=True):
                parameter.copy_(kept)
        optimizer.load_state_dict(state["optimizer"])
        return int(state["step"])


def train_language(
    model: Any,
    tokenizer: PreTrainedTokenizerFast,
    features: Features,
    make_pair: Callable[[Observation, Rng], Pair],
    config: LanguageConfig,
    checkpoint: Checkpoint,
    heads: Heads | None = None,
) -> None:
    """Trains what requires a gradient (not in the vision model) on questions made afresh for every step.

    heads: the read-outs of perception, where the Q-Former learns too: the set loss goes on through them.
    """
    eyes = [p for n, p in model.named_parameters() if p.requires_grad and n.startswith(("qformer", "query_tokens"))]
    words = [p for p in model.parameters() if p.requires_grad and not any(p is q for q in eyes)]
    eyes += list(heads.parameters()) if heads else []
    optimizer = torch.optim.AdamW(
        [{"params": words, "peak": config.rate}, {"params": eyes, "peak": config.qformer_rate}][: 2 if eyes else 1],
        lr=config.rate, weight_decay=0.02, betas=(0.9, 0.98),
    )  # fmt: skip
    numbers, truth = SoftNumbers(tokenizer), targets_of(features.observations) if heads else None
    device = words[0].device
    start = checkpoint.resume([*words, *eyes], optimizer)
    bar = tqdm(range(start, config.steps), initial=start, total=config.steps, unit="step", smoothing=0.05)
    for step in bar:
        for group in optimizer.param_groups:
            fall = 0.49 * (1 + math.cos(math.pi * step / config.steps)) + 0.02
            group["lr"] = group["peak"] * min(1, (step + 1) / config.warmup) * fall
        rng = np.random.default_rng([config.seed, step, 7])
        rows = rng.integers(0, len(features), config.images)
        pairs = [make_pair(features.observations[r], rng) for r in rows for _ in range(config.each)]
        with mixed_precision(device):
            queries = query(model, _patches(features, rows, device))
            loss = lm_loss(model, tokenizer, numbers, queries.repeat_interleave(config.each, 0), pairs, config.chunks)
            read = heads.read(queries) if heads else {}
        sets = torch.zeros(())
        if truth:
            sets = set_loss(read, {k: v.to(device) for k, v in tensors(truth[rows]).items()})
        (loss + config.set_weight * sets).backward()
        nn.utils.clip_grad_norm_([*words, *eyes], 1.0)
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)
        if step % 20 == 0:
            bar.set_postfix(loss=f"{loss.item():.3f}", set=f"{sets.item():.3f}")
        if (step + 1) % checkpoint.every == 0:
            checkpoint.save(step + 1, [*words, *eyes], optimizer)


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
        queries = query(model, _patches(features, np.array([r for r, _ in part]), device))
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
