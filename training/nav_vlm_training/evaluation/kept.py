"""What an evaluation left in its folder, without the model: its figures, and its answers judged again."""

from __future__ import annotations

import itertools
import json
import shlex
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from nav_vlm_node.errors import UserError
from nav_vlm_training.data.samples import read_dataset, select
from nav_vlm_training.evaluation.answering import BOOK
from nav_vlm_training.evaluation.evaluate import Evaluation
from nav_vlm_training.evaluation.judging import Judged, judge_text, scores
from nav_vlm_training.evaluation.systems import MODEL

FIGURES = "report.json"


@dataclass(frozen=True)
class Answer:
    """As the book has it. confidence: 0..1."""

    text: str
    confidence: float


def read_evaluation(folder: Path, data: Path | None = None) -> Evaluation:
    """What `evaluate --out` kept there; the model's measures are taken again from its answers.

    data: the data set; None for the one that the command named. Raises UserError where something is missing, damaged,
    or of other data.
    """
    figures = read_figures(folder)
    where = data or _named(figures, folder)
    dataset = read_dataset(where)
    if dataset.sha256 != figures["data"]["sha256"]:
        raise UserError(f"{where} is not the data set that {folder} is about; name that one with --data")
    answers = read_answers(folder)
    judged: list[Judged] = []
    about, seeds = figures["data"], figures.get("seeds", {})
    drawn = seeds.get("evaluate", seeds.get("fit", 0))  # `baseline` draws by the seed of its training
    for sample in select(dataset.samples, about["splits"], about.get("limit", 0), drawn):
        answer = answers.get((sample.image, sample.question))
        if answer is not None:
            judged.append(judge_text(sample, answer.text, answer.confidence))
    if len(judged) != figures["n"]:
        raise UserError(
            f"{folder / BOOK} has {len(judged)} of {figures['n']} answers; give the command of the evaluation again"
        )
    return Evaluation({**figures, **scores(judged)}, judged, dataset.folder)


def read_figures(folder: Path) -> dict[str, Any]:
    """report.json. Raises UserError."""
    path = folder / FIGURES
    try:
        figures = json.loads(path.read_text(encoding="utf-8"))
        if not {"n", "data", "baselines", "directions", "command"} <= set(figures):
            raise ValueError("it is no report of an evaluation")
    except FileNotFoundError:
        raise UserError(f"{folder} holds no evaluation and no sweep (no {FIGURES}); give a folder of --out") from None
    except (OSError, ValueError, TypeError) as error:
        raise UserError(f"{path} is damaged ({error}); give the command of the evaluation again") from None
    return dict(figures)


def read_answers(folder: Path) -> dict[tuple[str, str], Answer]:
    """The model's own answers by picture and question. Raises UserError that names a damaged line."""
    path = folder / BOOK
    try:
        lines = path.read_bytes().splitlines()
    except OSError as error:
        raise UserError(f"{path} cannot be read: {error.strerror or error}; the report needs it") from None
    found = {}
    for number, line in enumerate(lines[1:], 2):
        try:
            record = json.loads(line)
            if record["system"] == MODEL:
                answer = Answer(str(record["text"]), float(record["confidence"]))
                found[str(record["image"]), str(record["question"])] = answer
        except (ValueError, KeyError, TypeError):
            raise UserError(f"{path} line {number} is damaged; give the command of the evaluation again") from None
    return found


def _named(figures: Mapping[str, Any], folder: Path) -> Path:
    words = shlex.split(figures["command"])
    named = [value for flag, value in itertools.pairwise(words) if flag == "--data"]
    named += [word.removeprefix("--data=") for word in words if word.startswith("--data=")]
    for value in named:
        if Path(value).exists():
            return Path(value)
    raise UserError(f"the data set of {folder} is not where its command has it; name it with --data")
