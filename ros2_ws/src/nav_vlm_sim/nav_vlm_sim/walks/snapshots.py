"""What the wearer's camera saw at each question of a walk that is over, drawn again."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np

from nav_vlm_node.errors import UserError
from nav_vlm_sim.walks.crowd import Crowd
from nav_vlm_sim.walks.episode import Episode, Picture, Stage
from nav_vlm_sim.walks.floorplan import read_plan
from nav_vlm_sim.walks.painter import Painter
from nav_vlm_sim.walks.picks import Kept, pictured
from nav_vlm_sim.walks.procedural import plan_of
from nav_vlm_sim.walks.rig import camera_pose
from nav_vlm_sim.walks.space import length_of

UNEQUAL = 1e-6  # metres between a shortest path then and now
SIZE, QUALITY = (240, 180), 72  # pixels, width first; of jpeg


def stage_of(walk: Kept, *, by_hand: bool, painter: Painter | None = None) -> Stage:
    """The building that was walked. by_hand: the plan is the path of a YAML. Raises UserError."""
    return Stage(read_plan(Path(walk.plan)) if by_hand else plan_of(int(walk.plan)), painter)


def check(stage: Stage, walk: Kept) -> None:
    """Raises UserError where the building is no longer the one that was walked."""
    asked, plan = walk.episode.walk, stage.building.plan
    same = walk.number < len(plan.walks) and plan.walks[walk.number] == asked
    if not same or abs(length_of(stage.way((asked.x, asked.y), asked.goal)) - walk.episode.shortest) > UNEQUAL:
        raise UserError(
            f"the plan {plan.name!r} is not what it was when it was walked; evaluate again, with another --out"
        )


def snapshots(stage: Stage, episode: Episode, most: int) -> dict[int, bytes]:
    """Turn -> jpeg of SIZE, of at most so many turns: the camera sways as it did, people stand where they stood."""
    return {k: jpeg(picture) for k, picture in pictures(stage, episode, pictured(episode.turns, most)).items()}


def pictures(stage: Stage, episode: Episode, turns: list[int]) -> dict[int, Picture]:
    """Turn -> what the camera saw, uint8 RGB as the guide had it. People who were not recorded stand at their start."""
    crowd = Crowd.of(stage.building, stage.space)
    found = {}
    for k in turns:
        turn = episode.turns[k]
        crowd.stand(turn.people)
        found[k] = stage.picture(crowd, camera_pose(episode.seed, turn.time, turn.x, turn.y, turn.yaw))
    return found


def people_missing(stage: Stage, episode: Episode) -> bool:
    """Whether somebody moves in the building of whom the record does not say where they were."""
    moving = len(stage.building.scene.speeds)
    return any(len(turn.people) != moving for turn in episode.turns)


def jpeg(picture: Picture) -> bytes:
    """A small file of it."""
    small = cv2.resize(picture, SIZE, interpolation=cv2.INTER_AREA)
    done, data = cv2.imencode(".jpg", np.ascontiguousarray(small[..., ::-1]), [cv2.IMWRITE_JPEG_QUALITY, QUALITY])
    assert done
    return bytes(data)
