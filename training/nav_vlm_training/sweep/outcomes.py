"""How every question of an evaluation came out, in a small file: intervals over seeds need no answer judged again.

Each measure of `nav_vlm_node.score` is a sum over questions by a sum over questions: hits by those that count, right
cautions by cautions called, right landmarks by the mean of named and expected ones. A file holds both, per question.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from nav_vlm_node.errors import UserError
from nav_vlm_node.score import MEASURES
from nav_vlm_training.evaluation.judging import Judged, above_and_below

FILE = "outcomes.json"
FloatArray = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Outcomes:
    """numbers: of the questions, by the data's lines, [Q]. scenes: theirs. parts: measure -> [2, Q], what is summed
    above and below the line; 0 and 0 where a question does not count."""

    numbers: tuple[int, ...]
    scenes: tuple[str, ...]
    parts: Mapping[str, FloatArray]

    def share(self, measure: str) -> float:
        """The measure over all questions, NaN where nothing counts."""
        above, below = self.parts[measure].sum(axis=1)
        return float(above / below) if below else float("nan")


def outcomes_of(judged: Sequence[Judged]) -> Outcomes:
    """Of an evaluation."""
    return Outcomes(
        numbers=tuple(one.sample.number for one in judged),
        scenes=tuple(one.sample.scene for one in judged),
        parts={
            measure: np.array([above_and_below(measure, one.outcome) for one in judged], dtype=np.float64)
            .reshape(-1, 2)
            .T
            for measure in MEASURES
        },
    )


def write_outcomes(path: Path, outcomes: Outcomes) -> None:
    """One line of JSON. Raises OSError."""
    found = {
        "numbers": outcomes.numbers,
        "scenes": outcomes.scenes,
        "parts": {measure: [_short(row) for row in parts] for measure, parts in outcomes.parts.items()},
    }
    draft = path.with_name(f".{path.name}.draft")
    try:
        draft.write_text(json.dumps(found, separators=(",", ":")) + "\n", encoding="utf-8")
        draft.replace(path)
    finally:
        draft.unlink(missing_ok=True)


def read_outcomes(path: Path) -> Outcomes:
    """Raises UserError for a file that is missing or damaged."""
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
        parts = {measure: np.array(rows, dtype=np.float64) for measure, rows in found["parts"].items()}
        outcomes = Outcomes(tuple(map(int, found["numbers"])), tuple(map(str, found["scenes"])), parts)
        shape = (2, len(outcomes.numbers))
        if len(outcomes.scenes) != shape[1] or any(part.shape != shape for part in parts.values()):
            raise ValueError("its columns differ in length")
        if not all(np.isfinite(part).all() and (part >= 0).all() for part in parts.values()):
            raise ValueError("what it counts is no number from 0 up")
        if missing := [measure for measure in MEASURES if measure not in parts]:
            raise ValueError(f"no {', '.join(missing)}")
    except (OSError, ValueError, KeyError, TypeError, AttributeError, OverflowError, RecursionError) as error:
        line = getattr(error, "strerror", None) or str(error)
        raise UserError(f"{path} is damaged ({line}); delete its folder and run the sweep again") from None
    return outcomes


def _short(row: FloatArray) -> list[float | int]:
    return [int(value) if value == int(value) else float(value) for value in row]
