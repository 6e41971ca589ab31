"""From a plan to everything that a run works with: data, model, what is trained of it."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from torch import nn

from nav_vlm_node import paths, results
from nav_vlm_node.errors import UserError
from nav_vlm_node.vlm.card import ModelCard, model_sha256, read_model_card
from nav_vlm_node.vlm.load import choose_device, choose_dtype, load_model, load_tokenizer
from nav_vlm_node.vlm.preprocess import Preprocessor
from nav_vlm_node.vlm.prompt import PROMPT_TEMPLATE, encode_prompts
from nav_vlm_training.augment.example import Example, can_be_mirrored
from nav_vlm_training.augment.mirror import mirrored_text
from nav_vlm_training.augment.plan import Pool
from nav_vlm_training.augment.rephrase import Rephraser, rephrase_all
from nav_vlm_training.data.balance import sampling_weights
from nav_vlm_training.data.samples import Dataset, Pictures, Sample, read_dataset, select
from nav_vlm_training.evaluation.shots import choose_shots, with_shots
from nav_vlm_training.fit.batches import without_tokens
from nav_vlm_training.fit.config import FitConfig, to_json
from nav_vlm_training.fit.features import Eyes, FeatureCache
from nav_vlm_training.fit.processes import Processes
from nav_vlm_training.fit.scoring import resolve_metric
from nav_vlm_training.variants import VISION, Variant, attach, trained_counts

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

TRAIN, VAL = "train", "val"
PACKAGES = (*results.PACKAGES, "safetensors", "tokenizers")


@dataclass(frozen=True, kw_only=True)
class FitPlan:
    """What to train on what, and where. model: None for the embedded one. cache: of features, None for the run's own
    folder. rephraser: a folder with a seq2seq model that says things in other words, None for the grammar alone.
    save_every: updates between two checkpoints."""

    data: Path
    run: Path
    config: FitConfig
    model: Path | None = None
    cached: bool = True
    cache: Path | None = None
    rephraser: Path | None = None
    device: str = "auto"
    command: str = ""
    save_every: int = 100
    quiet: bool = False


@dataclass(frozen=True, kw_only=True)
class Setup:
    """All that does not change while a run goes on.

    config: with what "auto" and the variant's own came to. model: the Blip2ForConditionalGeneration; wrapped: the
    PeftModel around it, or itself. trained: by name. shots: solved questions for the prompt. head: the first line of
    the record.
    """

    plan: FitPlan
    config: FitConfig
    variant: Variant
    data: Dataset
    pool: Pool
    val: Sequence[Sample]
    card: ModelCard
    model: Any
    wrapped: Any
    tokenizer: PreTrainedTokenizerBase
    trained: Mapping[str, nn.Parameter]
    eyes: Eyes
    shots: Sequence[tuple[str, str]]
    head: Mapping[str, Any]


def set_up(plan: FitPlan, processes: Processes) -> Setup:
    """Reads and checks everything before anything is written. Raises UserError."""
    variant = plan.config.plan
    if plan.config.batch % processes.world:
        raise UserError(f"--batch {plan.config.batch} cannot be shared by {processes.world} processes: give a multiple")
    data = read_dataset(plan.data)
    learnt, val = _split(data, TRAIN, plan.config.samples, plan), _split(data, VAL, plan.config.val_questions, plan)
    config = replace(
        plan.config, metric=resolve_metric(plan.config.metric, val), rank=variant.rank, alpha=variant.alpha,
        dropout=variant.dropout,
    )  # fmt: skip
    card = read_model_card(plan.model or paths.embedded_model())
    # A base stays in the type it is worked with, and its adapter in float32 (peft sees to that). Where all weights are
    # trained they are kept in float32: in bfloat16 small changes would be rounded away.
    low = config.precision == "bf16"
    number = choose_dtype("bfloat16" if low else "float32", processes.device)
    model: Any = load_model(card, processes.device, torch.float32 if variant.everything else number)
    tokenizer = load_tokenizer(card, model)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(config.seed)
        wrapped = attach(model, variant)
    trained = {name: parameter for name, parameter in model.named_parameters() if parameter.requires_grad}
    processes.same_weights(list(trained.values()))
    weights = model_sha256(card.weights)
    if processes.first:
        _warn_of_letters(tokenizer, learnt, plan)
    examples = [Example(sample, sample.question.strip(), sample.text.strip()) for sample in learnt]
    cache = FeatureCache(plan.cache or plan.run / "features") if plan.cached and _can_cache(variant) else None
    eyes = Eyes(
        model, Preprocessor.from_directory(card.directory, int(model.config.vision_config.image_size)),
        Pictures(data.folder, card.view), card.view, folder=data.folder, weights=weights, frames=variant.frames,
        cache=cache,
    )  # fmt: skip
    head = {
        "config": to_json(config), "trained": trained_counts(model), "prompt": PROMPT_TEMPLATE,
        "model": card.name, "model_sha256": weights,
        "data": data.name, "data_sha256": data.sha256, "learnt": len(learnt), "validated": len(val),
        "rephraser": _rephraser_sha256(plan) if config.rephrase else None,
        "device": str(processes.device), "processes": processes.world,
        **results.record(plan.command, seeds={"fit": config.seed}, packages=PACKAGES),
    }  # fmt: skip
    return Setup(
        plan=plan, config=config, variant=variant, data=data, pool=_pool(examples, config, card, plan), val=val,
        card=card, model=model, wrapped=wrapped, tokenizer=tokenizer, trained=trained, eyes=eyes,
        shots=_shots(examples, variant, config, tokenizer, [sample.question for sample in val]), head=head,
    )  # fmt: skip


def device_of(plan: FitPlan) -> torch.device:
    """Raises UserError for a device that is not there."""
    return choose_device(plan.device)


def _split(data: Dataset, split: str, limit: int, plan: FitPlan) -> list[Sample]:
    if split not in data.splits:
        raise UserError(
            f"{plan.data} has no questions in the split {split!r}, only in {', '.join(data.splits)}; divide it anew: "
            "nav-vlm-train prepare --from sim --splits train=0.8,val=0.1,test=0.1"
        )
    chosen = select(data.samples, (split,), limit, plan.config.seed)
    for sample in chosen:
        if not sample.text.strip():
            raise UserError(f'{plan.data} line {sample.number + 1} has no answer to learn from; give it a "text"')
    return chosen


def _warn_of_letters(tokenizer: PreTrainedTokenizerBase, learnt: Sequence[Sample], plan: FitPlan) -> None:
    odd = without_tokens(tokenizer, [sample.text.strip() for sample in learnt])
    if odd:
        print(
            f"{len(odd)} of {len(learnt)} answers hold letters that the model has no token for: it learns <unk>. The "
            f"first is in line {learnt[odd[0]].number + 1} of {plan.data}; spell them otherwise, or take another base",
            file=sys.stderr,
        )


def _rephraser_sha256(plan: FitPlan) -> str | None:
    return model_sha256(tuple(sorted(plan.rephraser.glob("*.safetensors")))) if plan.rephraser else None


def _shots(
    examples: list[Example], variant: Variant, config: FitConfig, tokenizer: PreTrainedTokenizerBase, asked: list[str]
) -> list[tuple[str, str]]:
    """As many as fit before the longest question."""
    shots = choose_shots([(e.said, e.told) for e in examples], variant.shots, config.seed)
    longest = max(asked, key=len)
    while shots:
        try:
            encode_prompts(tokenizer, [with_shots(longest, shots)], 0, -1, "right")
        except UserError:
            shots.pop()
        else:
            break
    return shots


def _can_cache(variant: Variant) -> bool:
    """Whether the vision model is frozen at least for a stage at the beginning, or always."""
    return not variant.stages or VISION not in variant.stages[0].parts


def _pool(examples: list[Example], config: FitConfig, card: ModelCard, plan: FitPlan) -> Pool:
    may = [config.mirror and can_be_mirrored(example, card.view) for example in examples]
    reworded: Mapping[str, Sequence[str]] = {}
    if config.rephrase:
        model = Rephraser(plan.rephraser) if plan.rephraser else None
        reworded = rephrase_all({example.told for example in examples}, config.rephrase, config.seed, model)
        if config.mirror:
            reworded = {told: [t for t in texts if mirrored_text(t) is not None] for told, texts in reworded.items()}
    weights = tuple(sampling_weights([e.sample.truth for e in examples])) if config.balanced else None
    return Pool(examples, may, reworded, weights)
