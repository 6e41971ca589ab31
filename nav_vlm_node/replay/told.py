"""Instructions as JSON and back, from messages of a bag, and what makes two of them equal."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import numpy as np

from nav_vlm_node.instruction import NAN, Action, Instruction, Status, Step
from nav_vlm_node.score import null
from nav_vlm_node.score_json import step_from_json, step_to_json

_TEXTS = ("query_id", "query", "text", "frame_id", "model", "adapter", "message")
_NUMBERS = ("confidence", "latency", "image_age", "stamp")


def instruction_to_json(instruction: Instruction) -> dict[str, Any]:
    """All of it but the clauses; null for what is not stated."""
    return {
        "status": instruction.status.name,
        "steps": [step_to_json(step) for step in instruction.steps],
        "priority": instruction.priority,
        **{name: getattr(instruction, name) for name in _TEXTS},
        **{name: null(getattr(instruction, name)) for name in _NUMBERS},
    }


def instruction_from_json(data: Mapping[str, Any]) -> Instruction:
    """The inverse of `instruction_to_json`. Raises KeyError, UserError."""
    plain: dict[str, Any] = {name: str(data[name]) for name in _TEXTS}
    plain |= {name: NAN if data[name] is None else float(data[name]) for name in _NUMBERS}
    return Instruction(
        status=Status[data["status"]],
        steps=tuple(step_from_json(step) for step in data["steps"]),
        priority=int(data["priority"]),
        **plain,
    )


def instruction_from_message(message: Any) -> Instruction | None:
    """From a message as rosbags has it; None for a status or an action that is not known here."""
    try:
        status = Status(int(message.status))
        steps = tuple(
            Step(Action(int(step.action)), _number(step.bearing), _number(step.distance), step.landmark)
            for step in message.steps
        )
    except ValueError:
        return None
    stamp = message.header.stamp
    return Instruction(
        query_id=message.query_id,
        query=message.query,
        status=status,
        text=message.text,
        steps=steps,
        confidence=float(message.confidence),
        priority=int(message.priority),
        latency=_number(message.latency),
        image_age=_number(message.image_age),
        stamp=stamp.sec + stamp.nanosec * 1e-9 if stamp.sec or stamp.nanosec else NAN,
        frame_id=message.header.frame_id,
        model=message.model,
        adapter=message.adapter,
        message=message.message,
    )


def same_steps(one: Instruction, other: Instruction) -> bool:
    """Equal status and equal steps, at the precision that the message has (float32)."""
    return one.status is other.status and _steps(one) == _steps(other)


def same_answer(one: Instruction, other: Instruction) -> bool:
    """Equal to the last byte in all that does not depend on the clock."""
    texts = all(getattr(one, name) == getattr(other, name) for name in ("text", "frame_id", "model", "adapter"))
    confident = bool(np.float32(one.confidence) == np.float32(other.confidence))
    return texts and same_steps(one, other) and confident


def _steps(instruction: Instruction) -> list[tuple[Action, bytes, str]]:
    return [
        (step.action, np.array([step.bearing + 0.0, step.distance], np.float32).tobytes(), step.landmark)
        for step in instruction.steps
    ]


def _number(value: float) -> float:
    """One NaN object, so that tuples of steps compare equal."""
    return NAN if math.isnan(value) else float(value)
