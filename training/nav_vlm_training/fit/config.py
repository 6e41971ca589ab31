"""The settings of a training run: those that are usual, the paper's, its repository's, and their checks."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields, replace
from typing import Any

from nav_vlm_node.errors import UserError
from nav_vlm_training.augment.plan import Augment
from nav_vlm_training.variants import Stage, Variant, variant_of

DIRECTION, SAME_STEPS, LOSS, AUTO = "direction_accuracy", "same_steps", "loss", "auto"
CHOICES = {
    "optimizer": ("adam", "adamw"),
    "schedule": ("constant", "cosine"),
    "metric": (AUTO, DIRECTION, SAME_STEPS, LOSS),
    "precision": ("fp32", "bf16"),
}


@dataclass(frozen=True, kw_only=True)
class FitConfig:
    """Everything that a result depends on besides model and data.

    rank, alpha, dropout: of LoRA; 0, 0 and None for the variant's. batch: questions per update, over all processes
    and parts; micro_batch: those that go through the model at once. warmup: updates, at the beginning of each
    stage. clip: largest norm of the gradient, 0 for no limit. samples: questions to learn from, drawn by `seed`, 0
    for all. metric: of the answers generated for the validation questions (or their loss), by which the best
    weights are chosen; "auto" is direction_accuracy, and same_steps where no validation question has a visible
    target. evaluate_every: epochs. patience: evaluations without a better one after which the run ends, 0 for
    never. beams, no_repeat_ngram: of the generation for validation; 1 and 0 are what the wearer gets. mirror,
    light, rephrase: see Augment. balanced: draw questions so that every direction comes equally often.
    """

    variant: str = "lm_only"
    rank: int = 0
    alpha: int = 0
    dropout: float | None = None
    seed: int = 0
    optimizer: str = "adamw"
    rate: float = 3e-4
    weight_decay: float = 0.01
    schedule: str = "cosine"
    warmup: int = 30
    clip: float = 1.0
    batch: int = 32
    micro_batch: int = 8
    epochs: int = 10
    samples: int = 0
    precision: str = "fp32"
    metric: str = AUTO
    evaluate_every: float = 1.0
    patience: int = 3
    val_questions: int = 256
    max_new_tokens: int = 96
    beams: int = 1
    no_repeat_ngram: int = 0
    mirror: bool = False
    light: int = 0
    rephrase: int = 0
    balanced: bool = False

    @property
    def augment(self) -> Augment:
        """The part that is about augmentation."""
        return Augment(mirror=self.mirror, light=self.light, rephrase=self.rephrase)

    @property
    def plan(self) -> Variant:
        """The variant with the rank and alpha of these settings."""
        variant = variant_of(self.variant)
        dropout = variant.dropout if self.dropout is None else self.dropout
        return replace(variant, rank=self.rank or variant.rank, alpha=self.alpha or variant.alpha, dropout=dropout)


# arXiv 2509.07488: learning rate, batch, optimiser, epochs and early stopping are the paper's; it does not say how long
# to wait, nor a schedule. Each question stands there with two rephrasings.
PAPER = FitConfig(
    optimizer="adam", rate=5e-5, weight_decay=0.0, schedule="constant", warmup=0, clip=0.0, batch=32, epochs=30,
    patience=3, rephrase=2,
)  # fmt: skip
# Its repository, github.com/Shaw-git/VLM_Navigation. Not taken over: the attention mask that is dropped in training and
# generation, float16 weights, answers cut at 32 tokens, and the prompt padded to its longest.
PAPER_REPOSITORY = FitConfig(
    optimizer="adamw", rate=5e-4, weight_decay=0.01, schedule="cosine", warmup=0, clip=1.0, batch=8, epochs=10,
    patience=0, seed=47, metric=LOSS, beams=5, no_repeat_ngram=2, max_new_tokens=64, rephrase=2,
)  # fmt: skip
SETTINGS: dict[str, FitConfig] = {"usual": FitConfig(), "paper": PAPER, "paper_repository": PAPER_REPOSITORY}

_FROM_ZERO = (
    "rank", "alpha", "dropout", "seed", "weight_decay", "warmup", "clip", "samples", "patience", "no_repeat_ngram",
    "light", "rephrase",
)  # fmt: skip
_MOST = {"seed": 2**62, "evaluate_every": 1e9}  # what PyTorch takes; what can be counted


def resolve(settings: str, given: Mapping[str, Any]) -> FitConfig:
    """Named settings with what is given in place of theirs. Raises UserError for what cannot be."""
    if settings not in SETTINGS:
        raise UserError(f"no settings {settings!r}: give one of {', '.join(SETTINGS)}")
    for name, value in given.items():
        option = f"--{name.replace('_', '-')} {value}"
        if name in CHOICES and value not in CHOICES[name]:
            raise UserError(f"{option}: give one of {', '.join(CHOICES[name])}")
        if isinstance(value, bool) or not isinstance(value, (int, float)):
            continue
        least = 0 if name in _FROM_ZERO else 1 if isinstance(value, int) else math.ulp(0.0)
        if name in _MOST and value > _MOST[name]:
            raise UserError(f"{option}: give a number up to {_MOST[name]:g}")
        if not math.isfinite(value) or value < least:
            raise UserError(f"{option}: give a number {'above 0' if 0 < least < 1 else f'from {least} up'}")
    config = replace(SETTINGS[settings], **given)
    for name in ("rate", "dropout"):
        value = getattr(config, name)
        if value is not None and not value < 1:
            raise UserError(f"--{name} {value}: give a number below 1")
    variant_of(config.variant)
    return config


def to_json(config: FitConfig) -> dict[str, Any]:
    """Every setting by its name."""
    return asdict(config)


def from_json(data: Mapping[str, Any]) -> FitConfig:
    """What `to_json` wrote; a setting that came later has its usual value."""
    names = {field.name for field in fields(FitConfig)}
    return FitConfig(**{name: value for name, value in data.items() if name in names})


@dataclass(frozen=True)
class Span:
    """The updates [start, end) of one stage; `last`: none follows."""

    stage: Stage
    start: int
    end: int
    last: bool


def timeline(variant: Variant, updates: int) -> tuple[Span, ...]:
    """The stages of a run of so many updates; () where nothing is trained."""
    spans: list[Span] = []
    start, share = 0, 0.0
    for index, stage in enumerate(variant.stages):
        share += stage.share
        last = index == len(variant.stages) - 1
        end = updates if last else round(updates * share)
        spans.append(Span(stage, start, end, last))
        start = end
    return tuple(spans)


def span_at(spans: tuple[Span, ...], step: int) -> Span:
    """The stage that update `step` belongs to; at the end, the last."""
    return next((span for span in spans if step < span.end), spans[-1])


def rate_at(config: FitConfig, span: Span, step: int) -> float:
    """The learning rate of update `step`: up to the peak within `warmup` updates, then constant or down to 0.

    Warming up takes no more than a fifth of a stage, or a short run would never get warm.
    """
    peak = config.rate * variant_of(config.variant).rate_scale
    done, updates = step - span.start, max(1, span.end - span.start)
    warmup = min(config.warmup, -(-updates // 5))
    if done < warmup:
        return peak * (done + 1) / warmup
    if config.schedule == "constant":
        return peak
    return peak * 0.5 * (1 + math.cos(math.pi * (done - warmup) / max(1, updates - warmup)))
