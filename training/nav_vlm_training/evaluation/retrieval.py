"""The answer to the same question about the picture that is most alike: what remembering pictures is worth.

Pictures are compared by what the base's vision side makes of them for its language model: the query tokens, which any
BLIP-2 has, one after the other, less their mean over the pictures to look among, by the cosine. Each query looks for
something of its own, and where things are stays in the tokens; a mean over the patches of the vision model or over the
queries forgets it. No adapter takes part, so that every adapter is compared with the same answers.
"""

from __future__ import annotations

import random
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from nav_vlm_node.language import landmark_of
from nav_vlm_training.data.samples import Pictures, Sample
from nav_vlm_training.evaluation.answering import AnswerBook, Job, Written, in_parts
from nav_vlm_training.evaluation.baselines import FIXED, Learn, nearest_question, references
from nav_vlm_training.evaluation.systems import RETRIEVAL, variety

if TYPE_CHECKING:
    from nav_vlm_node.vlm.blip2 import Blip2Engine

MOST = 4000  # pictures to look among
Features = npt.NDArray[np.float32]


@dataclass(frozen=True)
class Part:
    """Questions, and the solved ones among whose pictures the most alike is looked for."""

    reference: Sequence[Sample]
    jobs: Sequence[Job]

    def unanswered(self, book: AnswerBook) -> list[Job]:
        """What the book does not have."""
        return [job for job in self.jobs if job not in book]


def parts_of(judged: Sequence[Sample], everything: Sequence[Sample], seed: int) -> list[Part]:
    """Cross-fitted as the other baselines; among at most MOST pictures, drawn by `seed`.

    What the book has is found again only for the same reference questions.
    """
    parts = []
    for reference, part in references(judged, everything):
        chosen = _at_most(MOST, [sample for sample in reference if sample.text.strip()], seed)
        name = variety(RETRIEVAL, [sample.number for sample in chosen])
        parts.append(Part(chosen, [Job(name, sample, sample) for sample in part]))
    return parts


def to_see(parts: Sequence[Part], book: AnswerBook) -> list[Sample]:
    """One sample for each picture that must be looked at to answer what the book does not have."""
    open_parts = [part for part in parts if part.unanswered(book)]
    samples = [sample for part in open_parts for sample in part.reference]
    samples += [job.sample for part in open_parts for job in part.unanswered(book)]
    return list({sample.image: sample for sample in samples}.values())


def retrieve(
    engine: Blip2Engine,
    pictures: Pictures,
    parts: Sequence[Part],
    book: AnswerBook,
    *,
    batch: int,
    done: Callable[[int], object] = lambda count: None,
) -> None:
    """Answers what the book does not have.

    done: told how many pictures were looked at, as they are. Leaves the engine without adapter. Raises UserError.
    """
    learn = learn_retrieval(_look(engine, pictures, to_see(parts, book), batch=batch, done=done))
    for part in parts:
        if jobs := part.unanswered(book):
            answer = learn(part.reference)
            book.add((job, Written(answer(job.sample), 1.0)) for job in jobs)


def _look(
    engine: Blip2Engine,
    pictures: Pictures,
    samples: Sequence[Sample],
    *,
    batch: int,
    done: Callable[[int], object],
) -> dict[str, Features]:
    """Each sample's picture, the newest of several, as float32 [Q * D]; by the name of the picture."""
    found: dict[str, Features] = {}

    def encode(part: Sequence[Sample]) -> None:
        visuals = engine.encode_batch([pictures(sample) for sample in part])
        for sample, visual in zip(part, visuals, strict=True):
            found[sample.image] = visual.embeds.float().flatten().cpu().numpy()

    engine.set_adapter("")
    in_parts(samples, batch, encode, done)
    return found


def learn_retrieval(seen: Mapping[str, Features]) -> Learn:
    """A way to learn from reference questions, as those of `baselines`. seen: all pictures of both sides."""

    def learn(reference: Sequence[Sample]) -> Callable[[Sample], str]:
        if not reference:
            return lambda sample: FIXED
        place = {image: i for i, image in enumerate(dict.fromkeys(sample.image for sample in reference))}
        rows = np.stack([seen[image] for image in place])  # [P, Q * D]
        mean = rows.mean(axis=0)
        rows = _unit(rows - mean)
        alike: dict[str, npt.NDArray[np.float32]] = {}  # picture that is asked about -> likeness of each, [P]
        candidates = _same_thing(reference)

        def answer(sample: Sample) -> str:
            if sample.image not in alike:
                alike[sample.image] = rows @ _unit(seen[sample.image] - mean)
            found = candidates(sample.question)
            return found[int(np.argmax([alike[sample.image][place[one.image]] for one in found]))].text

        return answer

    return learn


def _same_thing(reference: Sequence[Sample]) -> Callable[[str], list[Sample]]:
    """Of a question: the reference questions about the same landmark, about any where nobody asked about that one; of a
    question that names none: those of the kind of the most alike question that names none either."""
    by_landmark: defaultdict[str, list[Sample]] = defaultdict(list)
    for sample in reference:
        by_landmark[landmark_of(sample.question) or ""].append(sample)
    others = by_landmark.pop("", [])
    named = [sample for samples in by_landmark.values() for sample in samples]
    by_kind: defaultdict[str, list[Sample]] = defaultdict(list)
    for sample in others:
        by_kind[sample.truth.kind].append(sample)
    kind_of = {sample.question: sample.truth.kind for sample in others}
    nearest = nearest_question(list(kind_of)) if kind_of else None

    def candidates(question: str) -> list[Sample]:
        landmark = landmark_of(question) or ""
        if landmark and named:
            return by_landmark.get(landmark) or named
        return by_kind[kind_of[nearest(question)]] if nearest else named

    return candidates


def _at_most(most: int, samples: Sequence[Sample], seed: int) -> list[Sample]:
    images = sorted({sample.image for sample in samples})
    kept = set(images if len(images) <= most else random.Random(seed).sample(images, most))
    return [sample for sample in samples if sample.image in kept]


def _unit(rows: Features) -> Features:
    """Rows [..., Q * D] of length 1, or 0."""
    length = np.linalg.norm(rows, axis=-1, keepdims=True)
    return np.asarray(rows / np.maximum(length, 1e-12), np.float32)
