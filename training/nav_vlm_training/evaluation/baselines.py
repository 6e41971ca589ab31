"""What a model must beat: one answer for everything, answers from the question alone, answers to another picture.

The first two learn from reference questions that are not being judged: the train split, or else, scene by scene, the
other half of what is judged. Among the answers that they have seen they choose the one that would have been right in
direction most often, so that they are as strong as such a thing can be. `retrieval` has one that looks at pictures.
"""

from __future__ import annotations

import math
import random
import re
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Sequence
from functools import cache

import numpy as np
import numpy.typing as npt

from nav_vlm_node.language import landmark_of, parse
from nav_vlm_node.score import DIRECTION_TOLERANCE, told
from nav_vlm_training.data.samples import TRAIN, Sample

FIXED = "Move 2 metres."  # the one answer where there is nothing to learn from
MOST_CANDIDATES = 60
Learn = Callable[[Sequence[Sample]], Callable[[Sample], str]]


def learn_constant(reference: Sequence[Sample]) -> Callable[[Sample], str]:
    """The same answer to every question."""
    text = best_answer(reference) if reference else FIXED
    return lambda sample: text


def learn_question_only(reference: Sequence[Sample]) -> Callable[[Sample], str]:
    """The best answer to the same question, else to those for the same thing, else to the most alike question."""
    if not reference:
        return learn_constant(reference)
    by_question: defaultdict[str, list[Sample]] = defaultdict(list)
    by_landmark: defaultdict[str, list[Sample]] = defaultdict(list)
    for sample in reference:
        by_question[sample.question].append(sample)
        by_landmark[landmark_of(sample.question) or ""].append(sample)
    # A question that names nothing known is like others that do not.
    questions = [question for question in by_question if not landmark_of(question)] or list(by_question)
    nearest = nearest_question(questions)

    @cache
    def answer(question: str) -> str:
        landmark = landmark_of(question) or ""
        if landmark and landmark in by_landmark:
            # A single question text is seldom asked often enough; what it asks for matters, not how.
            return best_answer(by_landmark[landmark])
        if question in by_question:
            return best_answer(by_question[question])
        return best_answer(by_question[nearest(question)])

    return lambda sample: answer(sample.question)


def cross_fitted(learn: Learn, judged: Sequence[Sample], everything: Sequence[Sample]) -> list[str]:
    """An answer for each of `judged` by what was learnt from others, see `references`."""
    answers: dict[int, str] = {}
    for reference, part in references(judged, everything):
        answer = learn(reference)
        answers.update((sample.number, answer(sample)) for sample in part)
    return [answers[sample.number] for sample in judged]


def references(
    judged: Sequence[Sample], everything: Sequence[Sample]
) -> list[tuple[Sequence[Sample], Sequence[Sample]]]:
    """What may be learnt from, and which of `judged` it is for: `everything`'s train split, of scenes that are not
    judged, for all; where there is none, for each half of the judged scenes the other half."""
    if train := unjudged(judged, everything):
        return [(train, judged)]
    half_of = {scene: i % 2 for i, scene in enumerate(sorted({sample.scene for sample in judged}))}
    halves = [[sample for sample in judged if half_of[sample.scene] == half] for half in (0, 1)]
    return [(halves[1], halves[0]), (halves[0], halves[1])]


def unjudged(judged: Sequence[Sample], everything: Sequence[Sample]) -> list[Sample]:
    """The train split's questions about scenes that are not judged."""
    scenes = {sample.scene for sample in judged}
    return [sample for sample in everything if sample.split == TRAIN and sample.scene not in scenes]


def best_answer(reference: Sequence[Sample]) -> str:
    """Of the usual answers the one whose direction is right most often; the most usual one where none is ever right."""
    usual = [text for text, _ in Counter(sample.text for sample in reference).most_common(MOST_CANDIDATES)]
    bearings = np.array([s.truth.bearing for s in reference if s.truth.kind == "target" and s.truth.visible])
    if not len(bearings):
        return usual[0]
    right = [_right(text, bearings) for text in [*usual, FIXED]]
    return [*usual, FIXED][int(np.argmax(right))] if max(right) else usual[0]


def shuffled(samples: Sequence[Sample], seed: int = 0) -> dict[str, Sample] | None:
    """For each picture another one, from another scene, each used once; None where the scenes do not allow it.

    Returns image -> a sample with the picture to show instead.
    """
    of_image = {sample.image: sample for sample in samples}
    scenes: defaultdict[str, list[Sample]] = defaultdict(list)
    for sample in of_image.values():
        scenes[sample.scene].append(sample)
    order = sorted(scenes)
    rng = random.Random(seed)
    rng.shuffle(order)
    for scene in order:
        rng.shuffle(scenes[scene])
    row = [sample for scene in order for sample in scenes[scene]]
    # Scenes lie in one piece each: a step as long as the largest leads out of every one, also around the end.
    step = max(map(len, scenes.values()))
    if len(row) < 2 * step:
        return None
    return {sample.image: row[(i + step) % len(row)] for i, sample in enumerate(row)}


def _right(text: str, bearings: npt.NDArray[np.float64]) -> int:
    direction, _ = told(parse(text).steps)
    if math.isnan(direction):
        return 0
    off = np.abs((bearings - direction + math.pi) % math.tau - math.pi)
    return int((off <= DIRECTION_TOLERANCE).sum())


def nearest_question(questions: Sequence[str]) -> Callable[[str], str]:
    """Of a question: that of `questions` which shares most words with it."""
    bags, vocabulary = _bags(questions)
    return lambda question: questions[int(np.argmax(bags @ _bag(question, vocabulary)))]


def _words(question: str) -> list[str]:
    return re.findall(r"[a-z]+", question.lower())


def _bags(questions: Iterable[str]) -> tuple[npt.NDArray[np.float32], dict[str, int]]:
    """Unit vectors [N, words] and the place of each word."""
    texts = [_words(question) for question in questions]
    vocabulary = {word: i for i, word in enumerate(sorted({word for words in texts for word in words}))}
    bags = np.zeros((len(texts), len(vocabulary)), np.float32)
    for row, words in enumerate(texts):
        for word in words:
            bags[row, vocabulary[word]] += 1
    return bags / np.maximum(np.linalg.norm(bags, axis=1, keepdims=True), 1e-9), vocabulary


def _bag(question: str, vocabulary: dict[str, int]) -> npt.NDArray[np.float32]:
    bag = np.zeros(len(vocabulary), np.float32)
    for word in _words(question):
        if word in vocabulary:
            bag[vocabulary[word]] += 1
    return bag
