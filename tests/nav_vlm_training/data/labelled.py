"""Label Studio exports, made by hand in its documented form."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

Json = dict[str, Any]


def result(name: str, value: str) -> Json:
    kind = "textarea" if name in ("answer", "question", "why") else "choices"
    inner = {"text": [value]} if kind == "textarea" else {"choices": [value]}
    return {"id": "x1", "from_name": name, "to_name": "picture", "type": kind, "origin": "manual", "value": inner}


def annotation(who: object, /, **values: str) -> Json:
    results = [result(name, value) for name, value in values.items()]
    return {"id": 1, "completed_by": who, "was_cancelled": False, "ground_truth": False, "result": results}


def task(data: Mapping[str, Any], *annotations: Json, number: int = 1) -> Json:
    return {"id": number, "project": 1, "data": dict(data), "annotations": list(annotations), "predictions": []}


def export(path: Path, tasks: Sequence[object]) -> Path:
    path.write_text(json.dumps(list(tasks)))
    return path
