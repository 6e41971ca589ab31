"""A model on a data set, beside what it must beat; the whole of `nav-vlm-train evaluate` but the command line."""

from __future__ import annotations

import hashlib
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tqdm import tqdm

from nav_vlm_node import paths
from nav_vlm_node.errors import UserError
from nav_vlm_node.score import wilson
from nav_vlm_node.score_curves import words_per_answer
from nav_vlm_node.vlm.card import ADAPTER_CONFIG, ADAPTER_WEIGHTS, model_sha256, read_model_card
from nav_vlm_node.vlm.prompt import PROMPT_TEMPLATE
from nav_vlm_training.data.samples import Dataset, Pictures, Sample, read_dataset, select
from nav_vlm_training.evaluation import baselines
from nav_vlm_training.evaluation.answering import AnswerBook, Job, answer_all
from nav_vlm_training.evaluation.judging import (
    Judged,
    confusion,
    differences,
    doubts,
    groups,
    judge_text,
    margin,
    scores,
)

if TYPE_CHECKING:
    from nav_vlm_node.vlm.blip2 import Blip2Engine
    from nav_vlm_training.evaluation.texts import Texts

MODEL, BASE, SHUFFLED, CONSTANT, QUESTION_ONLY = "model", "base", "shuffled", "constant", "question_only"
BASELINES = (BASE, CONSTANT, QUESTION_ONLY, SHUFFLED)


@dataclass(frozen=True, kw_only=True)
class EvaluationPlan:
    """What to evaluate. model: None for the embedded one. adapter: "default", "", a name, a directory.

    splits: () for all but train and val. limit: questions, 0 for all. out: where answers and reports are kept.
    text: whether the texts are compared too, by the encoder in that directory, None for the small one.
    """

    data: Path
    model: Path | None = None
    adapter: str = "default"
    splits: tuple[str, ...] = ()
    limit: int = 0
    seed: int = 0
    baselines: tuple[str, ...] = BASELINES
    out: Path | None = None
    text: bool = False
    encoder: Path | None = None
    batch: int = 64
    max_new_tokens: int = 96
    device: str = "auto"
    dtype: str = "auto"
    quiet: bool = False


@dataclass(frozen=True)
class Evaluation:
    """figures: ready for JSON, with the keys of DESIGN. judged: the model's answers, in the order of the data."""

    figures: dict[str, Any]
    judged: list[Judged]
    folder: Path


def evaluate(plan: EvaluationPlan) -> Evaluation:
    """Answers what is not answered yet, and judges it all. Raises UserError; Ctrl-C loses nothing where `out` is."""
    if plan.batch < 1 or plan.limit < 0 or plan.max_new_tokens < 1:
        raise UserError("--batch and --max-new-tokens must be at least 1, --limit at least 0")
    data = read_dataset(plan.data)
    samples = select(data.samples, plan.splits, plan.limit, plan.seed)
    if not samples:
        raise UserError(f"no questions to evaluate in {plan.data}")
    from nav_vlm_node.vlm.load import load_engine

    texts = _texts(plan)
    directory = plan.model or paths.embedded_model()
    engine = load_engine(directory, plan.adapter, plan.device, plan.dtype)
    began = time.monotonic()
    try:
        weights = model_sha256(read_model_card(directory).weights)
        identity = {
            "model_sha256": weights, "adapter_sha256": adapter_sha256(directory, plan.adapter, engine.info.adapter),
            "data_sha256": data.sha256, "prompt": PROMPT_TEMPLATE, "max_new_tokens": plan.max_new_tokens,
            "dtype": engine.info.dtype,
        }  # fmt: skip
        jobs = _jobs(plan, samples, engine.info.adapter)
        with AnswerBook(plan.out, identity) as book:
            before = len(book)
            _answer(engine, Pictures(data.folder, engine.info.view), jobs, book, plan)
            judged = {
                system: [judge_text(job.sample, book[job].text, book[job].confidence) for job in part]
                for system, part in jobs.items()
            }
            asked = len(book) - before
    finally:
        engine.close()
    seconds = time.monotonic() - began
    about = {
        "model": engine.info.model,
        "adapter": engine.info.adapter,
        "model_sha256": weights,
        "adapter_sha256": identity["adapter_sha256"],
        "device": engine.info.device,
        "dtype": engine.info.dtype,
        "answered_now": asked,
        "seconds": round(seconds, 1),
        "answers_per_s": round(asked / seconds, 2),
        "batch": plan.batch,
    }
    return Evaluation(_figures(plan, data, samples, judged, about, texts), judged[MODEL], data.folder)


def _texts(plan: EvaluationPlan) -> Texts | None:
    if not plan.text:
        return None
    from nav_vlm_training.evaluation.texts import Texts

    return Texts(plan.encoder)


def adapter_sha256(model: Path, asked: str, name: str) -> str:
    """Of the weights and the configuration of the adapter in use; "" for none."""
    if not name:
        return ""
    known = read_model_card(model).adapters
    directory = known[name] if asked in ("default", name) and name in known else Path(asked)
    digest = hashlib.sha256()
    for file in (ADAPTER_WEIGHTS, ADAPTER_CONFIG):
        digest.update((directory / file).read_bytes())
    return digest.hexdigest()


def _jobs(plan: EvaluationPlan, samples: Sequence[Sample], adapter: str) -> dict[str, list[Job]]:
    """What the engine is to answer, by system."""
    jobs = {MODEL: [Job(MODEL, sample, sample) for sample in samples]}
    if BASE in plan.baselines and adapter:
        jobs[BASE] = [Job(BASE, sample, sample) for sample in samples]
    if SHUFFLED in plan.baselines:
        instead = baselines.shuffled(samples, plan.seed)
        if instead is not None:
            jobs[SHUFFLED] = [Job(SHUFFLED, sample, instead[sample.image]) for sample in samples]
    return jobs


def _answer(
    engine: Blip2Engine, pictures: Pictures, jobs: dict[str, list[Job]], book: AnswerBook, plan: EvaluationPlan
) -> None:
    adapter = engine.info.adapter
    total = len({job.key for part in jobs.values() for job in part})
    known = len({job.key for part in jobs.values() for job in part if job in book})
    often = 0.5 if sys.stderr.isatty() else 15.0  # seconds between two lines of a log
    with tqdm(total=total, initial=known, unit="answer", mininterval=often, disable=plan.quiet) as bar:
        try:
            for system, part in jobs.items():
                bar.set_description(system)
                engine.set_adapter("" if system == BASE else adapter)
                answer_all(
                    engine, pictures, part, book,
                    batch=plan.batch, max_new_tokens=plan.max_new_tokens, done=bar.update,
                )  # fmt: skip
        except KeyboardInterrupt:
            goes_on = "the same command goes on from here" if plan.out else "give --out to be able to go on"
            bar.write(f"interrupted after {len(book)} answers; {goes_on}", file=sys.stderr)
            raise


def _figures(
    plan: EvaluationPlan,
    data: Dataset,
    samples: Sequence[Sample],
    judged: dict[str, list[Judged]],
    about: dict[str, Any],
    texts: Texts | None,
) -> dict[str, Any]:
    model = judged[MODEL]
    answered = {system: part for system, part in judged.items() if system != MODEL}
    if BASE in plan.baselines and BASE not in answered:
        answered[BASE] = model  # no adapter: the model is its own base
    for name, learn in (
        (CONSTANT, baselines.learn_constant), (QUESTION_ONLY, baselines.learn_question_only),
    ):  # fmt: skip
        if name in plan.baselines:
            guessed = baselines.cross_fitted(learn, samples, data.samples)
            answered[name] = [judge_text(s, text) for s, text in zip(samples, guessed, strict=True)]

    def measured(part: Sequence[Judged]) -> dict[str, Any]:
        return {**scores(part), **(texts.figures(part) if texts else {})}

    beside = {system: measured(part) for system, part in answered.items()}
    return {
        **measured(model),
        "unsure": wilson(sum(bool(one.why) for one in model), len(model)).to_json(),
        **about,
        "data": {
            "name": data.name,
            "sha256": data.sha256,
            "seed": data.seed,
            "command": data.command,
            "splits": list(dict.fromkeys(sample.split for sample in samples)),
            "limit": plan.limit,
            "images": len({sample.image for sample in samples}),
            "scenes": len({sample.scene for sample in samples}),
            "visible_off_centre": scores(model)["reversal_rate"]["n"],
        },
        "baselines": {name: beside[name] for name in BASELINES if name in beside},
        "margins": {name: margin(model, answered[name]) for name in BASELINES if name in answered},
        "risk_coverage": doubts(model),
        "words_per_answer": words_per_answer(one.text for one in model).to_json(),
        "groups": groups(model),
        "differences": differences(model),
        "directions": confusion(model),
    }
