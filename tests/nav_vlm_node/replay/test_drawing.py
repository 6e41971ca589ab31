"""What is drawn onto a frame lies where the instruction says it does."""

from __future__ import annotations

import itertools
import math
import re
import xml.etree.ElementTree as ET

import cv2
import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from nav_vlm_node.frames import Frame
from nav_vlm_node.instruction import Action, Instruction, Status, Step
from nav_vlm_node.replay.drawing import Canvas, route_of, side_of, upright
from nav_vlm_node.replay.plots import ticks
from nav_vlm_node.replay.told import instruction_from_json, instruction_to_json, same_answer
from nav_vlm_node.view import Camera, Rectifier, Rig, View

FOCAL = 320 / math.tan(math.radians(35))  # of 640 pixels across 70 degrees
NUMBERS = st.floats(-3.1, 3.1) | st.just(math.nan)
STEPS = st.lists(
    st.builds(
        Step,
        st.sampled_from(Action),
        NUMBERS,
        st.floats(0, 30) | st.just(math.nan),
        st.sampled_from(["", "door", "<&"]),
    ),
    max_size=6,
)


def canvas(rig: Rig, height: int = 480, width: int = 640) -> Canvas:
    return Canvas(Frame(np.zeros((height, width, 3), np.uint8)), rig, math.radians(70))


def test_ahead_on_the_floor() -> None:
    x, y = canvas(Rig(camera_height=1.5)).project(np.array([[3.0, 0.0, -1.5]]))[0]
    assert (x, y) == (pytest.approx(319.5), pytest.approx(239.5 + FOCAL * 1.5 / 3))


def test_left_is_left() -> None:
    points = np.array([[3.0, 1.0, -1.4]])
    (x, y), (mirrored, same) = canvas(Rig()).project(points)[0], canvas(Rig(mirrored=True)).project(points)[0]
    assert x < 319.5
    assert (mirrored, same) == (pytest.approx(x), pytest.approx(y))  # the frame is shown unmirrored


@pytest.mark.parametrize("rotation", [90, 180, 270])
def test_a_turned_camera(rotation: int) -> None:
    """A point is drawn where it is seen in the upright picture: a spot in the sensor's picture goes the same way."""
    rig = Rig(image_rotation=rotation)
    points = np.array([[4.0, 0.6, -1.0]])
    sideways = rotation % 180 == 90
    turned = canvas(rig, *((640, 480) if sideways else (480, 640)))
    assert (turned.width, turned.height) == (640, 480)
    x, y = turned.project(points)[0]
    assert x < turned.width / 2  # left
    assert y > turned.height / 2  # below


@pytest.mark.parametrize("rotation", [0, 90, 180, 270])
@pytest.mark.parametrize("mirrored", [False, True])
def test_upright_undoes_the_camera(rotation: int, mirrored: bool) -> None:
    seen = np.arange(24, dtype=np.uint8).reshape(2, 4, 3)
    sensor = seen[:, ::-1] if mirrored else seen
    sensor = np.rot90(sensor, rotation // 90)
    shown = upright(np.ascontiguousarray(sensor), Rig(image_rotation=rotation, mirrored=mirrored))
    assert np.array_equal(shown, seen)


@pytest.mark.parametrize("rotation", [0, 90, 180, 270])
@pytest.mark.parametrize("mirrored", [False, True])
def test_it_is_drawn_where_the_model_sees_it(rotation: int, mirrored: bool) -> None:
    """A spot painted where the canvas puts a point has that point's bearing in the model's picture."""
    rig = Rig(image_rotation=rotation, mirrored=mirrored, camera_pitch=math.radians(10), camera_yaw=math.radians(8))
    sideways = rotation % 180 == 90
    drawn = canvas(rig, *((640, 480) if sideways else (480, 640)))
    x, y = drawn.project(np.array([[3.0, 0.9, -0.6]]))[0]
    shown = np.zeros((drawn.height, drawn.width, 3), np.uint8)
    cv2.circle(shown, (round(x), round(y)), 9, (255, 255, 255), -1)
    flipped = shown[:, ::-1] if mirrored else shown
    sensor = np.ascontiguousarray(np.rot90(flipped, rotation // 90))
    assert np.array_equal(upright(sensor, rig), shown)
    view = View(width=300, height=150, hfov=math.radians(100), vfov=math.radians(50), elevation=math.radians(-10))
    camera = Camera.from_fov(sensor.shape[1], sensor.shape[0], math.radians(70))
    seen = (Rectifier(camera, rig, view)(sensor)[..., 0] > 200).astype(float)  # what it does not see is gray
    assert seen.sum() > 0
    bearing = float((seen.sum(axis=0) * view.bearings()).sum() / seen.sum())
    assert bearing == pytest.approx(math.atan2(0.9, 3.0), abs=math.radians(1))


def test_the_way() -> None:
    route = route_of(
        (Step(Action.TURN, math.pi / 2), Step(Action.MOVE, 0.0, 2.0), Step(Action.MOVE, -math.pi / 2, 1.0))
    )
    assert route[-1] == pytest.approx([1.0, 2.0])
    assert side_of(math.radians(35)) == "35° left"
    assert side_of(math.radians(-5)) == "5° right"
    assert len(route_of((Step(Action.STOP),))) == 0


@given(STEPS)
def test_any_steps_make_whole_svg(steps: list[Step]) -> None:
    drawn = canvas(Rig(camera_pitch=0.2)).svg([("answer", steps), ("against", steps)])
    ET.fromstring(drawn)
    assert "nan" not in drawn
    assert "inf" not in drawn


@settings(deadline=None)
@given(st.floats(-0.4, 0.4), st.floats(0.3, 20.0), st.floats(-0.8, 0.6))
@example(0.0, 2.0, 0.0)  # the floor of a level camera's picture begins farther away
@example(-0.35, 2.0, 0.0)
@example(0.0, 13.0, -0.375)  # it begins where the way ends
@example(0.0, 2.0, -0.8)  # no floor in view
def test_every_way_and_every_word_is_in_the_picture(bearing: float, far: float, pitch: float) -> None:
    steps = [Step(Action.CAUTION, bearing, 0.5, "stairs"), Step(Action.TURN, bearing), Step(Action.MOVE, 0.0, far)]
    layers = [("truth", steps), ("against", steps), ("answer", steps)]
    drawn = ET.fromstring(canvas(Rig(camera_pitch=pitch)).svg(layers))
    tips = [path.get("d", "") for path in drawn.iter("path") if path.get("class") == "tip"]
    corners = [tuple(map(float, point.split())) for tip in tips for point in re.split("[ML]", tip.rstrip("Z"))[1:]]
    assert len(corners) == 3 * 3
    assert all(0 <= x <= 640 and -240 <= y <= 480 for x, y in corners)
    boxes = [[float(box.get(name, "nan")) for name in ("x", "y", "width", "height")] for box in drawn.iter("rect")]
    assert len(boxes) == 6
    assert all(x >= 0 and y >= 0 and x + wide <= 640 and y + high <= 480 for x, y, wide, high in boxes)
    for one, other in itertools.combinations(boxes, 2):
        assert any(one[at] + one[at + 2] <= other[at] or other[at] + other[at + 2] <= one[at] for at in (0, 1))


@given(STEPS, st.text(max_size=10), NUMBERS)
def test_instructions_survive_json(steps: list[Step], text: str, number: float) -> None:
    told = Instruction(
        query_id=text, query=text, status=Status.OK, text=text, steps=tuple(steps), latency=number, confidence=0.5
    )
    back = instruction_from_json(instruction_to_json(told))
    assert same_answer(told, back)
    assert (back.query_id, repr(back.latency)) == (told.query_id, repr(told.latency))


@given(st.floats(-1e6, 1e6), st.floats(1e-3, 1e6))
def test_ticks_are_few_and_inside(low: float, span: float) -> None:
    found = ticks(low, low + span)
    assert len(found) <= 10
    assert all(low - 1e-6 * span <= each <= low + span * (1 + 1e-6) for each in found)
