"""Demo records made by hand, so that tests of drawing and reporting need no renderer."""

from __future__ import annotations

import math

import numpy as np

from nav_vlm_node.instruction import Action, Instruction, Status, Step
from nav_vlm_node.language import parse
from nav_vlm_node.score import Truth
from nav_vlm_node.view import Camera
from nav_vlm_sim.demo.cases import Case
from nav_vlm_sim.demo.records import Answered, By, Reply, Setting
from nav_vlm_sim.demo.verdict import verdict_of
from nav_vlm_sim.questions import Kind, Question
from nav_vlm_sim.records import Frame
from nav_vlm_sim.truth import Observation, Seen
from tests.nav_vlm_sim.hand_built import RIG, crate, empty_room, put, standing

CAMERA = Camera.from_fov(320, 240, math.radians(90))
SETTING = Setting(
    command="nav-vlm demo", model="made up", adapter="guide", device="cpu", seed=0, domain=7, ros="ROS 2 Jazzy",
    start_seconds=3.25,
)  # fmt: skip


def frame(bearing: float = 0.5, distance: float = 3.0, kind: str = "box") -> Frame:
    """A grey picture of a room with one crate in it (radians, metres)."""
    scene, pose = empty_room(), standing()
    item = put(crate(kind=kind), bearing, distance, pose)
    scene.items.append(item)
    seen = (Seen(0, kind, True, bearing, distance, 400),)
    grey = np.full((CAMERA.height, CAMERA.width, 3), 128, np.uint8)
    cells, depth = np.zeros((40, 40), np.uint8), np.zeros((40, 40), np.float16)
    return Frame(
        scene=scene, index=0, pose=pose, camera=CAMERA, rig=RIG, raw=grey, rgb=grey, cells=cells, depth=depth,
        observation=Observation(seen, {}, None, True),
    )  # fmt: skip


def visible(bearing: float = 0.5, distance: float = 3.0, hazards: tuple[Step, ...] = ()) -> Truth:
    """The truth about the way to a box."""
    steps = (*hazards, Step(Action.TURN, bearing), Step(Action.MOVE, 0.0, distance, "box"))
    return Truth("target", "box", True, bearing, distance, hazards, steps)


def instruction(text: str, status: Status = Status.OK, message: str = "") -> Instruction:
    """An answer with that text."""
    return Instruction(
        query_id="q", query="?", status=status, text=text, steps=parse(text).steps, confidence=0.9, latency=0.4,
        image_age=0.1, stamp=5.0, message=message,
    )  # fmt: skip


def answered(
    text: str | None, truth: Truth | None = None, *, number: int = 1, by: By = "action", question: str = "Where is it?"
) -> Answered:
    """One question with that answer; None for no answer at all."""
    truth = truth or visible()
    case = Case(
        sort="something in view", frame=frame(), truth=truth,
        question=Question(Kind.TARGET, question, "box", False, truth.steps, truth.steps),
    )  # fmt: skip
    given = None if text is None else instruction(text)
    pieces = ((0.2, "Turn"), (0.3, "Turn left")) if by == "action" and text else ()
    reply = Reply(instruction=given, pieces=pieces, total=0.5)
    return Answered(number=number, case=case, by=by, reply=reply, verdict=verdict_of(given, truth))
