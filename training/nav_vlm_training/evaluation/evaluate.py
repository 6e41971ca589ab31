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
    share_unsure,
)
from nav_vlm_training.evaluation.retrieval import Part, parts_of, retrieve, to_see
from nav_vlm_training.evaluation.systems import (
    BASE,
    CONSTANT,
    KNOWN,
    MODEL,
    QUESTION_ONLY,
    RETRIEVAL,
    USUAL,
    System,
    check_lengths,
    solved,
    systems_of,
)

if TYPE_CHECKING:
    from nav_vlm_node.vlm.blip2 import Blip2Engine
    from nav_vlm_training.evaluation.texts import Texts

BASELINES = USUAL  # few_shot is known too


@dataclass(frozen=True, kw_only=True)
class EvaluationPlan:
    """What to evaluate. model: None for the embedded one. adapter: "default", "", a name, a directory.

    splits: () for all but train and val. limit: questions, 0 for all. shots: solved questions in the prompt, drawn from
    the train split by `seed`. baselines: of systems.KNOWN. out: where answers and reports are kept.
    text: whether the texts are compared too, by the encoder in that directory, None for the small one.
    """

    data: Path
    model: Path | None = None
    adapter: str = "default"
    splits: tuple[str, ...] = ()
    limit: int = 0
    seed: int = 0
    shots: int = 0
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
    if plan.batch < 1 or plan.max_new_tokens < 1 or min(plan.limit, plan.shots) < 0:
        raise UserError("--batch and --max-new-tokens must be at least 1, --limit and --shots at least 0")
    data = read_dataset(plan.data)
    samples = select(data.samples, plan.splits, plan.limit, plan.seed)
    if not samples:
        raise UserError(f"no questions to evaluate in {plan.data}")
    shots = solved(data, samples, plan.shots, plan.seed, f"--shots {plan.shots}")
    from nav_vlm_node.vlm.load import load_engine

    texts = _texts(plan)
    directory = plan.model or paths.embedded_model()
    engine = load_engine(directory, plan.adapter, plan.device, plan.dtype, several_pictures=True)
    adapter, frames = engine.info.adapter, engine.frames
    began = time.monotonic()
    try:
        weights = model_sha256(read_model_card(directory).weights)
        identity = {
            "model_sha256": weights, "adapter_sha256": adapter_sha256(directory, plan.adapter, adapter),
            "data_sha256": data.sha256, "prompt": PROMPT_TEMPLATE, "max_new_tokens": plan.max_new_tokens,
            "dtype": engine.info.dtype, **({"shots": [list(shot) for shot in shots]} if shots else {}),
        }  # fmt: skip
        systems = systems_of(plan.baselines, samples, data, adapter, shots, plan.seed)
        check_lengths(engine, systems, plan.max_new_tokens)
        parts = parts_of(samples, data.samples, plan.seed) if RETRIEVAL in plan.baselines else []
        with AnswerBook(plan.out, identity) as book:
            asked = _answer(engine, Pictures(data.folder, engine.info.view), systems, parts, book, plan)
            jobs = {name: system.jobs for name, system in systems.items()}
            if parts:
                jobs[RETRIEVAL] = _in_order([job for part in parts for job in part.jobs])
            judged = {
                name: [judge_text(job.sample, book[job].text, book[job].confidence) for job in part]
                for name, part in jobs.items()
            }
    finally:
        engine.close()
    seconds = time.monotonic() - began
    about = {
        "model": engine.info.model,
        "adapter": adapter,
        "frames": frames,
        "shots": plan.shots,
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


def _in_order(jobs: Sequence[Job]) -> list[Job]:
    return sorted(jobs, key=lambda job: job.sample.number)


def _answer(
    engine: Blip2Engine,
    pictures: Pictures,
    systems: dict[str, System],
    parts: Sequence[Part],
    book: AnswerBook,
    plan: EvaluationPlan,
) -> int:
    """Fills the book; the bar counts answers, and pictures that are only looked at. Returns how many were answered."""
    jobs = {job.key: job for system in systems.values() for job in system.jobs}
    known = sum(job in book for job in jobs.values())
    total = len(jobs) + len(to_see(parts, book))
    often = 0.5 if sys.stderr.isatty() else 15.0  # seconds between two lines of a log
    with tqdm(total=total, initial=known, unit="step", mininterval=often, disable=plan.quiet) as bar:
        try:
            for name, system in systems.items():
                bar.set_description(name)
                engine.set_adapter(system.adapter)
                answer_all(
                    engine, pictures, system.jobs, book, shots=system.shots,
                    batch=plan.batch, max_new_tokens=plan.max_new_tokens, done=bar.update,
                )  # fmt: skip
            if parts:
                bar.set_description(RETRIEVAL)
                retrieve(engine, pictures, parts, book, batch=plan.batch, done=bar.update)
        except KeyboardInterrupt:
            goes_on = "the same command goes on from here" if plan.out else "give --out to be able to go on"
            bar.write(f"interrupted after {len(book)} answers; {goes_on}", file=sys.stderr)
            raise
    return len(jobs) - known


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
        "unsure": share_unsure(model).to_json(),
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
        "baselines": {name: beside[name] for name in KNOWN if name in beside},
        "margins": {name: margin(model, answered[name]) for name in KNOWN if name in answered},
        "risk_coverage": doubts(model),
        "words_per_answer": words_per_answer(one.text for one in model).to_json(),
        "groups": groups(model),
        "differences": differences(model),
        "directions": confusion(model),
    }
