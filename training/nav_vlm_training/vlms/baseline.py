"""Another family's model on a data set, tuned with the same budget and judged as ours: all of `nav-vlm-train baseline`
but the command line."""

from __future__ import annotations

import hashlib
import sys
import time
from collections.abc import Sequence
from contextlib import nullcontext
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from tqdm import tqdm

from nav_vlm_node import paths, results
from nav_vlm_node.errors import UserError
from nav_vlm_node.score_curves import words_per_answer
from nav_vlm_node.vlm.card import read_model_card
from nav_vlm_node.vlm.load import choose_device, choose_dtype
from nav_vlm_training.data.samples import Dataset, Pictures, Sample, read_dataset, select
from nav_vlm_training.evaluation import baselines
from nav_vlm_training.evaluation.answering import AnswerBook, Job
from nav_vlm_training.evaluation.evaluate import Evaluation
from nav_vlm_training.evaluation.judging import (
    Judged,
    confusion,
    differences,
    doubts,
    groups,
    judge_text,
    margin,
    scores,
    share_unsure,
)
from nav_vlm_training.evaluation.systems import BASE, MODEL, SHUFFLED
from nav_vlm_training.fit.checkpoint import BEST
from nav_vlm_training.fit.config import LOSS, FitConfig, to_json
from nav_vlm_training.vlms.answering import answer_jobs
from nav_vlm_training.vlms.budget import attach_budget, language_layers, rank_for, usual_parameters
from nav_vlm_training.vlms.checks import checked_prompts
from nav_vlm_training.vlms.loading import load_other
from nav_vlm_training.vlms.tuning import Tuning, tune

if TYPE_CHECKING:
    from nav_vlm_training.evaluation.texts import Texts

TRAIN, VAL, ADAPTER = "train", "val", "adapter"
BESIDE = (BASE, SHUFFLED)


@dataclass(frozen=True, kw_only=True)
class BaselinePlan:
    """What to tune and judge. base: the BLIP-2 it is compared with, None for the embedded one: it gives the view of the
    pictures and, where `parameters` is 0, the budget. config: as of `fit`; its variant and metric are not looked at.
    splits, limit, beside, text, encoder: of the evaluation, as of `evaluate`. batch: questions answered at a time."""

    model: Path
    data: Path
    out: Path
    config: FitConfig
    base: Path | None = None
    parameters: int = 0
    splits: tuple[str, ...] = ()
    limit: int = 0
    beside: tuple[str, ...] = BESIDE
    text: bool = False
    encoder: Path | None = None
    batch: int = 64
    device: str = "auto"
    save_every: int = 50
    command: str = ""
    quiet: bool = False


def compare_other(plan: BaselinePlan) -> Evaluation:
    """Tunes and answers what is not done yet, and judges it all. Raises UserError; Ctrl-C loses nothing."""
    if plan.batch < 1 or plan.limit < 0 or plan.parameters < 0 or plan.save_every < 1:
        raise UserError("--answers and --save-every must be at least 1, --limit and --parameters at least 0")
    data = read_dataset(plan.data)
    asked = select(data.samples, plan.splits, plan.limit, plan.config.seed)
    if not asked:
        raise UserError(f"no questions to evaluate in {plan.data}")
    tuning, wrapped = _prepared(plan, data)
    texts = _texts(plan)
    progress = tune(tuning)
    _save_adapter(wrapped, plan.out / ADAPTER)
    judged, about = _judged(plan, tuning, wrapped, data, asked)
    about |= {"updates": progress.step, "best_step": progress.best_step, "validation_loss": progress.best_loss}
    return Evaluation(_figures(data, asked, judged, about, plan.limit, texts), judged[MODEL], data.folder)


def _prepared(plan: BaselinePlan, data: Dataset) -> tuple[Tuning, Any]:
    """All that is needed to tune, and the PeftModel around the model."""
    device = choose_device(plan.device)
    number = choose_dtype("bfloat16" if plan.config.precision == "bf16" else "float32", device)
    learnt = _learnt(data, TRAIN, plan.config.samples, plan)
    val = _learnt(data, VAL, plan.config.val_questions, plan)
    card = read_model_card(plan.base or paths.embedded_model())
    pictures = Pictures(data.folder, card.view)
    other = load_other(plan.model, device, number)
    prompts = checked_prompts(other, pictures(learnt[0]))
    wanted = plan.parameters or usual_parameters(card.directory)
    layers = language_layers(other.model)
    rank = rank_for(layers, wanted)
    config = replace(plan.config, metric=LOSS, patience=0, rank=rank, alpha=0)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(config.seed)
        wrapped = attach_budget(other.model, layers, rank, config.plan.dropout)
    trained = {name: p for name, p in other.model.named_parameters() if p.requires_grad}
    count = sum(p.numel() for p in trained.values())
    if not plan.quiet:
        said = f"{other.name} ({other.family}): {count:,} parameters (LoRA r {rank} on {len(layers)} layers; "
        print(f"{said}wanted {wanted:,}); {len(learnt)} questions", file=sys.stderr)
    head = {
        "config": to_json(config), "trained": {"language_model": count}, "wanted": wanted, "prompt": prompts.template,
        "model": other.name, "family": other.family, "model_sha256": other.sha256, "data": data.name,
        "data_sha256": data.sha256, "learnt": len(learnt), "validated": len(val), "device": str(device),
        **results.record(plan.command, seeds={"fit": config.seed}),
    }  # fmt: skip
    tuning = Tuning(
        other=other, prompts=prompts, pictures=pictures, learnt=learnt, val=val, trained=trained, config=config,
        run=plan.out, head=head, save_every=plan.save_every, quiet=plan.quiet,
    )  # fmt: skip
    return tuning, wrapped


def _texts(plan: BaselinePlan) -> Texts | None:
    if not plan.text:
        return None
    from nav_vlm_training.evaluation.texts import Texts

    return Texts(plan.encoder)


def _learnt(data: Dataset, split: str, limit: int, plan: BaselinePlan) -> list[Sample]:
    if split not in data.splits:
        raise UserError(
            f"{plan.data} has no questions in the split {split!r}; make the data with nav-vlm-train prepare"
        )
    chosen = select(data.samples, (split,), limit, plan.config.seed)
    for sample in chosen:
        if not sample.text.strip():
            raise UserError(f'{plan.data} line {sample.number + 1} has no answer to learn from; give it a "text"')
    return chosen


def _save_adapter(wrapped: Any, directory: Path) -> None:
    """In peft's layout. peft would ask the hub about the vocabulary if it were to decide about embeddings by itself."""
    try:
        wrapped.save_pretrained(str(directory), save_embedding_layers=False)
    except OSError as error:
        raise UserError(
            f"cannot write {directory}: {error.strerror or error}; put that right and give the same command again"
        ) from None


def _jobs(plan: BaselinePlan, asked: Sequence[Sample]) -> dict[str, list[Job]]:
    """By system: the tuned model, and what stands beside it."""
    jobs = {MODEL: [Job(MODEL, sample, sample) for sample in asked]}
    if BASE in plan.beside:
        jobs[BASE] = [Job(BASE, sample, sample) for sample in asked]
    if SHUFFLED in plan.beside and (instead := baselines.shuffled(asked, plan.config.seed)) is not None:
        jobs[SHUFFLED] = [Job(SHUFFLED, sample, instead[sample.image]) for sample in asked]
    return jobs


def _judged(
    plan: BaselinePlan, tuning: Tuning, wrapped: Any, data: Dataset, asked: Sequence[Sample]
) -> tuple[dict[str, list[Judged]], dict[str, Any]]:
    """Answers from the tuned model and beside it, judged; and what answered."""
    other, config, jobs = tuning.other, tuning.config, _jobs(plan, asked)
    identity = {
        "model_sha256": other.sha256, "adapter_sha256": hashlib.sha256((plan.out / BEST).read_bytes()).hexdigest(),
        "data_sha256": data.sha256, "prompt": tuning.prompts.template, "max_new_tokens": config.max_new_tokens,
        "dtype": str(other.model.dtype).removeprefix("torch."),
    }  # fmt: skip
    other.model.eval()
    began = time.monotonic()
    with AnswerBook(plan.out, identity) as book:
        every = {job.key: job for part in jobs.values() for job in part}
        before = sum(job in book for job in every.values())
        often = 0.5 if sys.stderr.isatty() else 15.0  # seconds between two lines of a log
        with tqdm(total=len(every), initial=before, unit="answer", mininterval=often, disable=plan.quiet) as bar:
            for system, part in jobs.items():
                bar.set_description(system)
                with wrapped.disable_adapter() if system == BASE else nullcontext():
                    answer_jobs(
                        other, tuning.prompts, tuning.pictures, part, book,
                        batch=plan.batch, max_new_tokens=config.max_new_tokens, done=bar.update,
                    )  # fmt: skip
        judged = {
            system: [judge_text(job.sample, book[job].text, book[job].confidence) for job in part]
            for system, part in jobs.items()
        }
        asked_now = len(every) - before
    seconds = time.monotonic() - began
    return judged, {
        "model": other.name, "family": other.family, "adapter": f"LoRA r {config.rank}", "frames": 1, "shots": 0,
        **{name: identity[name] for name in ("model_sha256", "adapter_sha256", "prompt", "dtype")},
        "trained_parameters": tuning.head["trained"]["language_model"], "wanted": tuning.head["wanted"],
        "learnt": len(tuning.learnt), "config": to_json(config), "device": str(other.device), "batch": plan.batch,
        "answered_now": asked_now, "seconds": round(seconds, 1), "answers_per_s": round(asked_now / seconds, 2),
    }  # fmt: skip


def _figures(
    data: Dataset,
    asked: Sequence[Sample],
    judged: dict[str, list[Judged]],
    about: dict[str, Any],
    limit: int,
    texts: Texts | None,
) -> dict[str, Any]:
    """With the keys of `evaluate`, so that it stands in the same table."""
    model = judged[MODEL]
    beside = {system: part for system, part in judged.items() if system != MODEL}

    def measured(part: Sequence[Judged]) -> dict[str, Any]:
        return {**scores(part), **(texts.figures(part) if texts else {})}

    figures = measured(model)
    return {
        **figures,
        "unsure": share_unsure(model).to_json(),
        **about,
        "data": {
            "name": data.name, "sha256": data.sha256, "seed": data.seed, "command": data.command,
            "splits": list(dict.fromkeys(sample.split for sample in asked)), "limit": limit,
            "images": len({sample.image for sample in asked}), "scenes": len({sample.scene for sample in asked}),
            "visible_off_centre": figures["reversal_rate"]["n"],
        },
        "baselines": {system: measured(part) for system, part in beside.items()},
        "margins": {system: margin(model, part) for system, part in beside.items()},
        "risk_coverage": doubts(model),
        "words_per_answer": words_per_answer(one.text for one in model).to_json(),
        "groups": groups(model), "differences": differences(model), "directions": confusion(model),
    }  # fmt: skip
