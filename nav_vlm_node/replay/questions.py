"""The questions that are answered again: those of the bag with the answers they got, or those of a YAML file."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from nav_vlm_node.errors import UserError
from nav_vlm_node.instruction import NAN, Action, Step
from nav_vlm_node.language import landmark_of, parse
from nav_vlm_node.replay.contents import NANOSECONDS, Asked, Contents, Live
from nav_vlm_node.score import Kind, Truth, told
from nav_vlm_node.score_json import step_from_json, truth_from_json

KEYS = ("time", "stamp", "question", "id", "steps", "truth")
REPEAT = "repeat of question "  # how the node's service `repeat` marks what is not an answer


@dataclass(frozen=True)
class Question:
    """What is asked, at `time` [ns] of the bag. live: the answer that it got. truth: what a good answer says."""

    time: int
    text: str
    query_id: str
    priority: int = 0
    live: Live | None = None
    truth: Truth | None = None


def from_bag(contents: Contents) -> list[Question]:
    """Every question of the bag, and those of the action `guide`, of which only the Instruction is in a bag."""
    free = [live for live in contents.live if not live.message.message.startswith(REPEAT)]
    questions, seen = [], set[str]()
    for number, asked in enumerate(contents.asked, 1):
        if asked.query_id and asked.query_id in seen:  # the node answers an id once
            continue
        seen.add(asked.query_id)
        live = next((live for live in free if _answers(live, asked)), None)
        if live is not None:
            free.remove(live)
        name = asked.query_id or (live.message.query_id if live else f"question-{number}")
        questions.append(Question(asked.time, asked.text, name, asked.priority, live))
    for live in free:
        message = live.message
        if message.query_id not in seen and message.query:
            taken = message.latency if math.isfinite(message.latency) else 0.0
            time = live.time - round(max(0.0, min(taken, 3600.0)) * NANOSECONDS)
            questions.append(Question(time, message.query, message.query_id, int(message.priority), live))
    return sorted(questions, key=lambda question: (question.time, question.query_id))


def _answers(live: Live, asked: Asked) -> bool:
    if asked.query_id:
        return bool(live.message.query_id == asked.query_id)
    return bool(live.message.query == asked.text[:1000] and live.time >= asked.time - NANOSECONDS // 10)


def from_yaml(path: Path, contents: Contents) -> list[Question]:
    """A list of {time (seconds from the bag's start) or stamp (seconds), question, id, steps, truth}.

    steps: a sentence, or the objects of `--json` outputs. truth: as in a data set's lines. Raises UserError.
    """
    try:
        entries = yaml.safe_load(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise UserError(f"questions {path} cannot be read ({error.strerror}); correct the path") from None
    except (yaml.YAMLError, UnicodeDecodeError, ValueError, RecursionError) as error:
        raise UserError(f"questions {path} is not YAML ({' '.join(str(error).split())[:160]}); correct it") from None
    if not isinstance(entries, list) or not entries:
        line = "- {time: 2.5, question: 'Where is the exit?'}"
        raise UserError(f"questions {path} is no list; write lines like: {line}")
    questions = []
    for number, entry in enumerate(entries, 1):
        try:
            questions.append(_question(entry, number, contents))
        except UserError as error:
            raise UserError(f"questions {path}, entry {number}: {error}") from None
    names = [question.query_id for question in questions]
    twice = next((name for name in names if names.count(name) > 1), None)
    if twice is not None:
        raise UserError(f"questions {path}: the id {twice!r} is there twice; make ids differ")
    return sorted(questions, key=lambda question: (question.time, question.query_id))


def _question(entry: Any, number: int, contents: Contents) -> Question:
    if not isinstance(entry, Mapping) or not isinstance(entry.get("question"), str):
        raise UserError("give a mapping with time and question")
    unknown = [key for key in entry if key not in KEYS]
    if unknown:
        raise UserError(f"{unknown[0]!r} is not known; use {', '.join(KEYS)}")
    if ("time" in entry) == ("stamp" in entry):
        raise UserError("give either time (seconds from the bag's start) or stamp (seconds)")
    seconds = entry.get("time", entry.get("stamp"))
    if isinstance(seconds, bool) or not isinstance(seconds, (int, float)) or not abs(seconds) < 9e9:
        raise UserError(f"the time is {seconds!r}; give seconds")
    time = round(seconds * NANOSECONDS) + (contents.start if "time" in entry else 0)
    truth = None
    if "truth" in entry:
        truth = truth_from_json(entry)
    elif "steps" in entry:
        truth = truth_of(entry["question"], steps_of(entry["steps"]))
    return Question(time, entry["question"], str(entry.get("id") or f"question-{number}"), truth=truth)


def steps_of(given: Any) -> tuple[Step, ...]:
    """Reference steps: a sentence that is understood whole, or a list of objects. Raises UserError."""
    if isinstance(given, str):
        parsed = parse(given)
        if parsed.unparsed or not parsed.steps:
            raise UserError(f"of the steps {given[:120]!r} was not understood: {', '.join(parsed.unparsed)[:120]!r}")
        return parsed.steps
    if isinstance(given, list) and given and all(isinstance(step, Mapping) for step in given):
        return tuple(step_from_json(step) for step in given)
    raise UserError("steps must be a sentence, or a list of {action, bearing_rad, distance_m, landmark}")


def truth_of(question: str, steps: Sequence[Step]) -> Truth:
    """The truth by a person's steps; what they do not state is not held against an answer."""
    steps = tuple(steps)
    actions = {step.action for step in steps}
    target = landmark_of(question) or ""
    direction, distance = told(steps, target)
    hazards = tuple(step for step in steps if step.action is Action.CAUTION)
    if Action.UNKNOWN in actions:
        return Truth("unknown", target, steps=steps, origin="degrees")
    if Action.NOT_VISIBLE in actions:
        return Truth("target", target, False, NAN, NAN, hazards, steps, "degrees")
    if not math.isnan(direction):
        return Truth("target", target, True, direction, distance, hazards, steps, "degrees")
    kind: Kind = "hazard" if hazards or Action.NO_HAZARD in actions else "describe"
    return Truth(kind, target, hazards=hazards, steps=steps, origin="degrees")
