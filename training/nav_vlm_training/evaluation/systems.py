"""Who is asked beside the model: its base, with and without solved questions, and itself before other pictures."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from nav_vlm_node.errors import UserError
from nav_vlm_training.data.samples import Dataset, Sample
from nav_vlm_training.evaluation import baselines
from nav_vlm_training.evaluation.answering import Job
from nav_vlm_training.evaluation.shots import Shots, choose_shots, with_shots

if TYPE_CHECKING:
    from nav_vlm_node.vlm.blip2 import Blip2Engine

MODEL = "model"
BASE, FEW_SHOT, CONSTANT, QUESTION_ONLY = "base", "few_shot", "constant", "question_only"
RETRIEVAL, SHUFFLED = "retrieval", "shuffled"
KNOWN = (BASE, FEW_SHOT, CONSTANT, QUESTION_ONLY, RETRIEVAL, SHUFFLED)  # in the order of the tables
USUAL = tuple(name for name in KNOWN if name != FEW_SHOT)  # which costs another pass
FEW = 4  # solved questions


@dataclass(frozen=True)
class System:
    """What an engine is asked, with which adapter ("" for none), and the solved questions before each question."""

    jobs: Sequence[Job]
    adapter: str
    shots: Shots = ()


def systems_of(
    beside: Sequence[str], samples: Sequence[Sample], data: Dataset, adapter: str, shots: Shots, seed: int
) -> dict[str, System]:
    """The model as it is evaluated, and those of `beside` that are asked in the same way.

    shots: of the model itself. The base sees single pictures, whatever its adapter was trained on. Raises UserError
    where solved questions are wanted and cannot be had.
    """
    systems = {MODEL: System([Job(MODEL, sample, sample) for sample in samples], adapter, shots)}
    if BASE in beside and (adapter or shots):
        systems[BASE] = System([Job(BASE, sample, sample) for sample in samples], "")
    if FEW_SHOT in beside:
        few = solved(data, samples, FEW, seed, f"the baseline {FEW_SHOT}")
        name = variety(FEW_SHOT, few)
        systems[FEW_SHOT] = System([Job(name, sample, sample) for sample in samples], "", few)
    instead = baselines.shuffled(samples, seed) if SHUFFLED in beside else None
    if instead is not None:
        systems[SHUFFLED] = System([Job(SHUFFLED, sample, instead[sample.image]) for sample in samples], adapter, shots)
    return systems


def solved(data: Dataset, judged: Sequence[Sample], count: int, seed: int, what_for: str) -> list[tuple[str, str]]:
    """So many solved questions from the train split, of scenes that are not judged. Raises UserError."""
    if not count:
        return []
    train = [sample for sample in baselines.unjudged(judged, data.samples) if sample.text.strip()]
    if not train:
        raise UserError(
            f"{what_for}: {data.folder} has no train split beside what is judged, from which to draw solved questions; "
            "give data that has one, or leave it out"
        )
    shots = choose_shots([(sample.question.strip(), sample.text.strip()) for sample in train], count, seed)
    if len(shots) < count:
        raise UserError(f"{what_for}: the train split of {data.folder} has {len(shots)} different answers; give fewer")
    return shots


def check_lengths(engine: Blip2Engine, systems: dict[str, System], max_new_tokens: int) -> None:
    """Raises UserError where the model cannot take all solved questions before each question."""
    for name, system in systems.items():
        if not system.shots:
            continue
        engine.set_adapter(system.adapter)
        asked = dict.fromkeys(with_shots(job.sample.question.strip(), system.shots) for job in system.jobs)
        try:
            engine.check_length(list(asked), pictures=engine.frames, max_new_tokens=max_new_tokens)
        except UserError as error:
            why = str(error).partition(":")[0]
            what = f"leave the baseline {name} out" if name == FEW_SHOT else "give a smaller --shots"
            raise UserError(f"with {len(system.shots)} solved questions before it {why}; {what}") from None


def variety(name: str, of: Any) -> str:
    """A system's name in the book of answers that tells one of them from another."""
    return f"{name} {hashlib.sha256(json.dumps(of).encode()).hexdigest()[:12]}"
