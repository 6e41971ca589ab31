"""What the demo knows when it is over: every question with its answer, and where it all ran."""

from __future__ import annotations

import math
import statistics
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any, Literal

from nav_vlm_node.instruction import Instruction
from nav_vlm_node.language import render_canonical
from nav_vlm_node.score_json import step_to_json
from nav_vlm_sim.demo.cases import PROGRAMME, Case
from nav_vlm_sim.demo.verdict import Mark, Verdict

By = Literal["action", "topic"]


@dataclass(frozen=True, kw_only=True)
class Reply:
    """What the client saw of one answer. Times are seconds from the question; NaN for what did not come.

    instruction: None where no answer came. pieces: the unchecked text as it grew, with the time of each; empty where
    the question went by topic. released: the checked clauses.
    """

    instruction: Instruction | None
    pieces: tuple[tuple[float, str], ...] = ()
    released: tuple[str, ...] = ()
    total: float = math.nan

    @property
    def first_text(self) -> float:
        """When the first words came."""
        return self.pieces[0][0] if self.pieces else math.nan

    @property
    def written(self) -> str:
        """All that the model wrote."""
        return self.pieces[-1][1] if self.pieces else ""


@dataclass(frozen=True, kw_only=True)
class Answered:
    """One question of the demo, answered or not."""

    number: int
    case: Case
    by: By
    reply: Reply
    verdict: Verdict

    @property
    def truth_text(self) -> str:
        """What a good guide says."""
        return render_canonical(self.case.truth.steps)

    @property
    def spoken(self) -> str:
        """What the wearer hears."""
        return self.reply.instruction.text if self.reply.instruction else ""

    @property
    def picture(self) -> str:
        """Name of its file."""
        return _picture_name(self.number, self.case.sort)

    def to_json(self) -> dict[str, Any]:
        """Of the object that `nav-vlm demo --json` prints."""
        instruction = self.reply.instruction
        return {
            "question": self.case.question.text,
            "kind": self.case.truth.kind,
            "by": self.by,
            "scene": self.case.frame.scene.seed,
            "view": self.case.frame.index,
            "status": instruction.status.name if instruction else None,
            "text": self.spoken,
            "written": self.reply.written,
            "released": list(self.reply.released),
            "message": instruction.message if instruction else "no answer came",
            "steps": [step_to_json(step) for step in instruction.steps] if instruction else [],
            "confidence": instruction.confidence if instruction else None,
            "truth": self.truth_text,
            "truth_steps": [step_to_json(step) for step in self.case.truth.steps],
            "verdict": self.verdict.mark.value,
            "reasons": list(self.verdict.reasons),
            "first_text_s": number(self.reply.first_text),
            "total_s": number(self.reply.total),
            "latency_s": number(instruction.latency) if instruction else None,
            "image_age_s": number(instruction.image_age) if instruction else None,
            "picture": self.picture,
        }


def _picture_name(number: int, sort: str) -> str:
    return f"{number:02d}-{sort.replace(' ', '-').strip('?')}.png"


def is_picture_name(name: str) -> bool:
    """Whether a demo names a picture so, of this run or of an earlier one."""
    return name[:2].isdecimal() and name in {_picture_name(int(name[:2]), sort) for sort, _ in PROGRAMME}


@dataclass(frozen=True, kw_only=True)
class Setting:
    """Where and with what the demo ran."""

    command: str
    model: str
    adapter: str
    device: str
    seed: int
    domain: int
    ros: str
    start_seconds: float  # until the node was ready


@dataclass(frozen=True)
class Summary:
    """The demo in a few numbers; times in seconds, NaN where there are none."""

    marks: Counter[Mark] = field(default_factory=Counter)
    first_text: float = math.nan
    total: float = math.nan

    @property
    def asked(self) -> int:
        """Questions."""
        return self.marks.total()

    def __str__(self) -> str:
        told = [f"{self.marks[mark]} {mark.value}" for mark in Mark if self.marks[mark] or mark is Mark.RIGHT]
        times = [] if math.isnan(self.first_text) else [f"first words after {self.first_text:.2f} s"]
        times += [] if math.isnan(self.total) else [f"whole answer after {self.total:.2f} s (medians)"]
        plural = "" if self.asked == 1 else "s"
        told_times = f" {', '.join(times).capitalize()}." if times else ""
        return f"{self.asked} question{plural}: {', '.join(told)}.{told_times}"


def summary_of(answered: Iterable[Answered]) -> Summary:
    """The numbers over all questions."""
    answered = list(answered)
    marks = Counter(one.verdict.mark for one in answered)
    first = _median(one.reply.first_text for one in answered)
    return Summary(marks, first, _median(one.reply.total for one in answered))


def _median(values: Iterable[float]) -> float:
    there = [value for value in values if not math.isnan(value)]
    return statistics.median(there) if there else math.nan


def number(value: float) -> float | None:
    """JSON knows no NaN: null stands for it."""
    return round(float(value), 4) if math.isfinite(value) else None
