"""The card of a data set: what it is, what is in it, how much of each, and the checks that it has passed."""

from __future__ import annotations

import hashlib
import math
from collections import Counter, defaultdict
from collections.abc import Iterable
from importlib import metadata
from pathlib import Path
from typing import Any

from nav_vlm_node.view import View
from nav_vlm_sim.scene import SHIFTED, SHIFTED_HEIGHT, SHIFTED_HFOV, STEP_TIME
from nav_vlm_sim.scene import WALKING as SPEEDS
from nav_vlm_sim.world import SCENES_PER_WORLD

Lines = list[dict[str, Any]]

SIMULATED = (
    "rooms, corridors, halls and (held out) lounges with columns",
    "doors, open doors, exits, toilets, lifts, stairs, exit signs with arrows",
    "tables, chairs, sofas, boxes, plants, people",
    "varied sizes, colours, surface patterns and lamps; a held-out family of patterns and light",
    "a pinhole camera, tilted 0 to 20 degrees down, swaying a little",
)
USUAL = "it is worn at chest or head height and 60 to 110 degrees wide"
NOT_SIMULATED = (
    "lens distortion, noise, motion blur, exposure, shadows, reflections",
    "clutter on the floor smaller than a box, glass, steps down, anything outside one room",
)
UNUSUAL = (
    "another building: surface patterns of its own, dim cold light, cash machines and trolleys, the camera "
    f"{SHIFTED_HFOV[0]:g} to {SHIFTED_HFOV[1]:g} degrees wide at {SHIFTED_HEIGHT[0]:g} to {SHIFTED_HEIGHT[1]:g} m"
)
STANDING = "everything stands still, and each picture is by itself"
WALKING = (
    f"people walk at {SPEEDS[0]:g} to {SPEEDS[1]:g} m/s and the wearer at up to 1.2; before each picture others, "
    f"{STEP_TIME:.2f} s apart; the truth is that of the last"
)
PACKAGES = ("nav_vlm_sim", "mujoco", "numpy", "opencv-python-headless")


def versions() -> dict[str, str]:
    """Of what decides the bytes of a data set; "" for what is not installed as a package (an OpenCV of the system)."""
    found = {}
    for name in PACKAGES:
        try:
            found[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            found[name] = ""
    return found


def describe(out: Path, lines: Lines, plan: dict[str, Any], command: str, view: View) -> dict[str, Any]:
    """The card of the data set in `out`. Raises AssertionError where a scene is in two splits, and OSError."""
    in_two = scenes_in_two_splits(lines)
    assert not in_two, f"scenes in two splits: {in_two[:5]}"
    by_split: defaultdict[str, Lines] = defaultdict(list)
    for line in lines:
        by_split[line["split"]].append(line)
    return {
        "what": "questions of a person who wears a camera indoors, with the answers of a good guide and the truth",
        "command": command,
        "seed": plan["seed"],
        "licence": "Apache-2.0; drawn by a program, shows no real person or place",
        "simulated": [
            *SIMULATED,
            UNUSUAL if plan["family"] == SHIFTED else USUAL,
            WALKING if plan.get("walking") else STANDING,
        ],
        "not_simulated": list(NOT_SIMULATED),
        "plan": plan,
        "view": view.to_json(),
        "counts": {**_counts(lines), "splits": {split: _counts(part) for split, part in by_split.items()}},
        "shares": {**_shares(lines), "splits": {split: _shares(part) for split, part in by_split.items()}},
        "checks": {
            "scenes_in_two_splits": len(in_two),
            "surface_patterns_in_two_splits": len(scenes_in_two_splits(lines, SCENES_PER_WORLD)),
        },
        "data_sha256": digest(out, lines),
    }


def scenes_in_two_splits(lines: Lines, per_group: int = 1) -> list[int]:
    """Scenes (or groups of `per_group` consecutive ones) that have lines in more than one split."""
    splits: defaultdict[int, set[str]] = defaultdict(set)
    for line in lines:
        splits[line["scene"] // per_group].add(line["split"])
    return sorted(scene for scene, found in splits.items() if len(found) > 1)


def digest(out: Path, lines: Lines) -> str:
    """SHA-256 of questions.jsonl and of every picture, in the order of the lines. Raises OSError."""
    total = hashlib.sha256((out / "questions.jsonl").read_bytes())
    for image in dict.fromkeys(image for line in lines for image in (*line.get("earlier", ()), line["image"])):
        total.update(image.encode() + b"\0" + hashlib.sha256((out / image).read_bytes()).digest())
    return total.hexdigest()


def _counts(lines: Lines) -> dict[str, int]:
    return {
        "scenes": len({line["scene"] for line in lines}),
        "images": len({line["image"] for line in lines}),
        "questions": len(lines),
        "visible_targets": sum(line["truth"]["visible"] for line in lines),
        "visible_off_centre": sum(
            line["truth"]["visible"] and abs(line["truth"]["bearing_rad"]) >= math.radians(15) for line in lines
        ),
    }


def _shares(lines: Lines) -> dict[str, dict[str, float]]:
    """What part of the lines is about what.

    direction, landmark_visible: of the targets that are visible. hazard: the nearest, of the ways to those and of the
    questions about the way ahead.
    """
    truths = [line["truth"] for line in lines]
    targets = [truth for truth in truths if truth["kind"] == "target"]
    return {
        "kind": _share(truth["kind"] for truth in truths),
        "status": _share(map(status, lines)),
        "direction": _share(direction(truth["bearing_rad"]) for truth in targets if truth["visible"]),
        "landmark": _share(truth["target"] for truth in targets),
        "landmark_visible": _share(truth["target"] for truth in targets if truth["visible"]),
        "hazard": _share(
            truth["hazards"][0]["landmark"] if truth["hazards"] else "none"
            for truth in truths
            if truth["kind"] == "hazard" or truth["visible"]
        ),
        "phrasing": _share(line["phrasing"] for line in lines),
        "room": _share(line["room"] for line in lines),
        "texture": _share(line["texture"] for line in lines),
    }


def status(line: dict[str, Any]) -> str:
    """The sort of the right answer, in plain words."""
    actions = [step["action"] for step in line["steps"]]
    if "NOT_VISIBLE" in actions:
        return "not visible, scan" if "SCAN" in actions else "not visible, towards a sign or an open door"
    if "MOVE" in actions:
        return "visible, hazard on the way" if "CAUTION" in actions else "visible"
    return {"UNKNOWN": "unknown", "NO_HAZARD": "clear", "CAUTION": "hazard", "LOCATE": "description"}[actions[0]]


def direction(bearing: float) -> str:
    """One of five sectors: ahead is within 15 degrees."""
    off = math.degrees(abs(bearing))
    side = "left" if bearing > 0 else "right"
    return "ahead" if off < 15 else f"{side} 15 to 35" if off < 35 else f"{side} over 35"


def _share(values: Iterable[str]) -> dict[str, float]:
    counted = Counter(values)
    return {name: round(count / counted.total(), 4) for name, count in counted.most_common()}
