"""Walks as lines of JSON, so that a long evaluation goes on where it stopped, and a page can show them later."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

from nav_vlm_node.errors import UserError
from nav_vlm_sim.walks.episode import Episode, Turn
from nav_vlm_sim.walks.floorplan import Walk
from nav_vlm_sim.walks.walker import Moment, Touches

EVERY = 5  # of the track's moments, one in so many is kept: half a second apart


def to_json(episode: Episode) -> dict[str, Any]:
    """What `from_json` reads; the track thinned out, NaN as null."""
    found = asdict(episode)
    kept = [m for k, m in enumerate(episode.track) if k % EVERY == 0 or k == len(episode.track) - 1]
    found["track"] = [[round(v, 3) for v in (m.time, m.x, m.y, m.yaw)] for m in kept]
    found["turns"] = [{name: _plain(value) for name, value in asdict(turn).items()} for turn in episode.turns]
    return found


def from_json(found: Mapping[str, Any]) -> Episode:
    """Raises KeyError and TypeError for what `to_json` did not write."""
    turns = [Turn(**_numbers(turn)) for turn in found["turns"]]
    return Episode(**{
        **found, "walk": Walk(**found["walk"]), "touches": Touches(**found["touches"]), "turns": turns,
        "track": [Moment(*moment) for moment in found["track"]],
        "reference": [(point[0], point[1]) for point in found["reference"]],
    })  # fmt: skip


def read(path: Path) -> dict[str, Episode]:
    """key -> walk, of a file of lines {"key", "episode"}; a last line that was cut off is no line. Raises UserError."""
    done: dict[str, Episode] = {}
    if not path.is_file():
        return done
    for number, line in enumerate(path.read_bytes().splitlines(keepends=True), 1):
        if not line.endswith(b"\n"):
            break
        try:
            entry = json.loads(line)
            done[str(entry["key"])] = from_json(entry["episode"])
        except (ValueError, KeyError, TypeError):
            raise UserError(f"{path} line {number} is damaged; give another --out, or delete it") from None
    return done


def _numbers(turn: Mapping[str, Any]) -> dict[str, Any]:
    return {k: math.nan if v is None and k in ("direction", "wanted") else v for k, v in turn.items()}


def _plain(value: Any) -> Any:
    return None if isinstance(value, float) and math.isnan(value) else value
