"""The parameters of the nodes of a simulated walk, and the names that they share; no ROS here."""

from __future__ import annotations

from pathlib import Path

from nav_vlm_node.errors import UserError
from nav_vlm_node.ros.parameter_table import Spec
from nav_vlm_sim.walks.floorplan import FloorPlan, read_plan
from nav_vlm_sim.walks.procedural import plan_of
from nav_vlm_sim.walks.walker import MANNERS

EPOCH = 10.0  # seconds on /clock when a walk begins: 0 is no time for ROS
MOST_SEED = 2**53 - 1

PLAN = (
    Spec(name="plan", default="", read_only=True, description="a floor plan's YAML, or the seed of a drawn one"),
    Spec(name="seed", default=0, low=0, high=MOST_SEED, read_only=True, description="of walker, camera and odometry"),
)
RIG: tuple[Spec, ...] = (
    *PLAN,
    Spec(name="rate", default=5.0, unit="Hz", low=0.1, high=10.0, read_only=True, description="pictures a second"),
    Spec(name="frame_id", default="camera_optical_frame", read_only=True, description="the optical frame's name"),
)
WALKER: tuple[Spec, ...] = (
    *PLAN,
    Spec(name="walk", default=0, low=0, high=999, read_only=True, description="which of the plan's walks"),
    Spec(name="walker", default="average", choices=tuple(MANNERS), read_only=True, description="how somebody walks"),
    Spec(name="lockstep", default=True, read_only=True,
         description="time stands still while the guide thinks; false: it goes on, and the wearer walks on slowly"),
    Spec(name="speed", default=1.0, low=0.05, high=20.0, read_only=True,
         description="simulated seconds per second, without lockstep"),
    Spec(name="delay", default=0.0, unit="s", low=0.0, high=30.0, read_only=True,
         description="simulated seconds by which every answer is held back, without lockstep: a slower model"),
    Spec(name="record", default="", read_only=True, description="file that the walk is written to at its end (JSON)"),
)  # fmt: skip


def plan_named(name: str) -> FloorPlan:
    """The plan that the parameter `plan` names. Raises UserError."""
    if not name:
        raise UserError("plan is empty; give plan:=FLOOR.yaml, or the seed of a drawn one, such as plan:=7")
    if not name.isascii() or not name.isdigit():
        return read_plan(Path(name).expanduser())
    if int(name) > MOST_SEED:
        raise UserError(f"plan {name}: give a seed from 0 to {MOST_SEED}")
    return plan_of(int(name))
