"""report.json: what was asked, what was looked at, what was answered, and how that compares."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from nav_vlm_node.instruction import Instruction, Status
from nav_vlm_node.replay.answering import Item
from nav_vlm_node.replay.contents import NANOSECONDS, Contents
from nav_vlm_node.replay.told import instruction_from_message, instruction_to_json, same_answer, same_steps
from nav_vlm_node.score import Answer, Outcome, judge, null, summarise, told, wilson

GIVEN = (Status.OK, Status.NOT_VISIBLE, Status.SEARCHING)  # an answer, not a reason why there is none


@dataclass(frozen=True)
class Run:
    """The answers of one model, in the order of the items."""

    name: str
    answers: list[Instruction]
    device: str = ""
    dtype: str = ""


@dataclass(frozen=True)
class Row:
    """One question with everything that was answered to it."""

    item: Item
    answer: Instruction
    live: Instruction | None
    against: Instruction | None

    @property
    def differs(self) -> bool:
        """Whether the two models gave other steps, or the model and the bag where there is one model."""
        other = self.against or self.live
        return other is not None and not same_steps(self.answer, other)

    def outcome(self, answer: Instruction | None) -> Outcome | None:
        """How right an answer is, where that is known."""
        truth = self.item.question.truth
        return None if truth is None or answer is None else judge(Answer(answer.steps, answer.status), truth)


def rows_of(items: Sequence[Item], run: Run, against: Run | None) -> list[Row]:
    """The answers side by side."""
    others: Iterable[Instruction | None] = against.answers if against else [None] * len(items)
    rows = []
    for item, answer, other in zip(items, run.answers, others, strict=True):
        live = item.question.live
        rows.append(Row(item, answer, None if live is None else instruction_from_message(live.message), other))
    return rows


def figures(rows: Sequence[Row], contents: Contents) -> dict[str, Any]:
    """What `nav-vlm replay --json` prints, without what the run itself is."""
    found = summary([row.answer for row in rows], [row.outcome(row.answer) for row in rows])
    live = [row for row in rows if row.live is not None]
    if live:
        found["live"] = _compared([(row.answer, row.live) for row in live if row.live is not None]) | {
            "looked_at_the_same_image": sum(row.item.look.by_stamp for row in live)
        }
    if any(row.against is not None for row in rows):
        others = [row.against for row in rows if row.against is not None]
        outcomes = [row.outcome(row.against) for row in rows]
        pairs = zip([row.answer for row in rows], others, strict=True)
        found["against"] = summary(others, outcomes) | {"agreement": _compared(list(pairs))}
    found["answers"] = [_answer_json(row, contents) for row in rows]
    return found


def summary(answers: Sequence[Instruction], outcomes: Sequence[Outcome | None]) -> dict[str, Any]:
    """The figures of one model."""
    known = [outcome for outcome in outcomes if outcome is not None]
    directed = sum(one.status is Status.OK and not math.isnan(told(one.steps)[0]) for one in answers)
    words = [len(one.text.split()) for one in answers if one.status in GIVEN]
    metrics: dict[str, Any] = {"coverage": wilson(directed, len(answers)).to_json(), "words": spread(words)}
    if known:
        metrics["reference"] = summarise(known).to_json()
    counts = Counter(one.status.name for one in answers)
    return {
        "queries": len(answers),
        "answered": sum(one.status in GIVEN for one in answers),
        "status": {status.name: counts[status.name] for status in Status if counts[status.name]},
        "image_age_s": spread([one.image_age for one in answers]),
        "latency_s": spread([one.latency for one in answers]),
        "metrics": metrics,
    }


def spread(values: Iterable[float]) -> dict[str, float | None]:
    """p50, p95 and max of what is a number; null where nothing is."""
    known = np.array([value for value in values if math.isfinite(value)], float)
    if not len(known):
        return {"p50": None, "p95": None, "max": None}
    return {
        "p50": float(np.percentile(known, 50)),
        "p95": float(np.percentile(known, 95)),
        "max": float(known.max()),
    }


def deterministic(answer: dict[str, Any]) -> dict[str, Any]:
    """A line of answers.jsonl: an entry of `answers` without what depends on the machine's speed."""
    kept = {name: value for name, value in answer.items() if name not in ("live", "same_as_live")}
    for name in ("answer", "against"):
        if name in kept:
            kept[name] = {key: value for key, value in kept[name].items() if key != "latency"}
    return kept


def _compared(pairs: Sequence[tuple[Instruction, Instruction]]) -> dict[str, Any]:
    n = len(pairs)
    return {
        "n": n,
        "equal_steps": wilson(sum(same_steps(*pair) for pair in pairs), n).to_json(),
        "equal_answer": wilson(sum(same_answer(*pair) for pair in pairs), n).to_json(),
    }


def _answer_json(row: Row, contents: Contents) -> dict[str, Any]:
    question, look = row.item.question, row.item.look
    image = None
    if look.position is not None:
        image = {
            "position": look.position,
            "time_s": (contents.times[look.position] - contents.start) / NANOSECONDS,
            "stamp_ns": contents.stamps[look.position],
            "by_instruction": look.by_stamp,
        }
    entry: dict[str, Any] = {
        "id": question.query_id,
        "time_s": (question.time - contents.start) / NANOSECONDS,
        "question": question.text,
        "image": image,
        "image_age_s": null(look.age),
        "answer": instruction_to_json(row.answer),
    }
    for name, other in (("against", row.against), ("live", row.live)):
        if other is not None:
            entry[name] = instruction_to_json(other)
            entry[f"same_as_{name}"] = same_answer(row.answer, other)
    outcome = row.outcome(row.answer)
    if outcome is not None:
        entry["hits"] = dict(outcome.hits)
    return entry
