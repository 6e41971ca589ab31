"""Solved questions in the prompt, in training and in `evaluate` the same."""

from __future__ import annotations

import random
from collections.abc import Iterable, Sequence

Shots = Sequence[tuple[str, str]]  # questions with their answers

_SEED = 13


def with_shots(question: str, shots: Shots) -> str:
    """The text in the question's place in the prompt template that puts solved questions before it.

    BLIP-2 takes one picture: the solved questions come without theirs and show only how answers are worded.
    """
    solved = "".join(f"{asked} Answer: {answered} Question: " for asked, answered in shots)
    return solved + question


def choose_shots(solved: Iterable[tuple[str, str]], count: int, seed: int) -> list[tuple[str, str]]:
    """So many of them with different answers, drawn by `seed`; all that there are where there are fewer."""
    by_answer = {answered: (asked, answered) for asked, answered in solved}
    different = sorted(by_answer.values())
    return random.Random(_SEED + seed).sample(different, min(count, len(different)))
