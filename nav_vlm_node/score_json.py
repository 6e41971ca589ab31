"""Steps and truths as the JSON of data sets and of --json outputs; angles in radians, null for what was not stated."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, cast, get_args

from nav_vlm_node.errors import UserError
from nav_vlm_node.instruction import NAN, Action, Step
from nav_vlm_node.score import Kind, Origin, Truth, null


def _number(value: object, name: str) -> float:
    if value is None:
        return NAN
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        raise UserError(f"{name} must be a number or null, not {value!r}")
    return NAN if math.isnan(value) else float(value)


def step_to_json(step: Step) -> dict[str, Any]:
    """The object that JSONL and --json outputs hold for a step; null for what was not stated."""
    return {
        "action": step.action.name,
        "bearing_rad": null(step.bearing),
        "distance_m": null(step.distance),
        "landmark": step.landmark,
    }


def step_from_json(data: Mapping[str, Any]) -> Step:
    """The step that `step_to_json` wrote. UserError names what is wrong with it."""
    try:
        action = Action[str(data["action"]).upper()]
    except KeyError:
        known = ", ".join(action.name for action in Action)
        raise UserError(f"a step's action must be one of {known}, not {data.get('action')!r}") from None
    return Step(
        action,
        _number(data.get("bearing_rad"), "bearing_rad"),
        _number(data.get("distance_m"), "distance_m"),
        str(data.get("landmark") or ""),
    )


def truth_to_json(truth: Truth) -> dict[str, Any]:
    """The part of a data-set line that holds the truth: {"steps": [...], "truth": {...}}."""
    return {
        "steps": [step_to_json(step) for step in truth.steps],
        "truth": {
            "kind": truth.kind,
            "target": truth.target,
            "visible": truth.visible,
            "bearing_rad": null(truth.bearing),
            "distance_m": null(truth.distance),
            "hazards": [step_to_json(step) for step in truth.hazards],
            **({} if truth.origin == "geometry" else {"origin": truth.origin}),
        },
    }


def truth_from_json(line: Mapping[str, Any]) -> Truth:
    """The truth of a data-set line, {"steps": [...], "truth": {...}, ...}. UserError names what is wrong with it."""
    data = line.get("truth")
    if not isinstance(data, Mapping):
        raise UserError('a data-set line must have an object "truth"; make the data with nav-vlm-sim dataset')
    kind = data.get("kind")
    if kind not in get_args(Kind):
        raise UserError(f"a truth's kind must be one of {', '.join(get_args(Kind))}, not {kind!r}")
    origin = data.get("origin", "geometry")
    if origin not in get_args(Origin):
        raise UserError(f"a truth's origin must be one of {', '.join(get_args(Origin))}, not {origin!r}")
    return Truth(
        cast("Kind", kind),
        str(data.get("target") or ""),
        bool(data.get("visible")),
        _number(data.get("bearing_rad"), "bearing_rad"),
        _number(data.get("distance_m"), "distance_m"),
        tuple(step_from_json(step) for step in data.get("hazards") or ()),
        tuple(step_from_json(step) for step in line.get("steps") or ()),
        cast("Origin", origin),
    )
