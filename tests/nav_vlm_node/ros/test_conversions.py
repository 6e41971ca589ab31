from __future__ import annotations

import math

import numpy as np
import pytest
from builtin_interfaces.msg import Time
from hypothesis import given
from hypothesis import strategies as st
from rclpy.serialization import deserialize_message, serialize_message
from sensor_msgs.msg import CameraInfo, RegionOfInterest

from nav_vlm_msgs.action import Guide
from nav_vlm_msgs.msg import Instruction as InstructionMsg
from nav_vlm_msgs.msg import Query as QueryMsg
from nav_vlm_msgs.msg import Step as StepMsg
from nav_vlm_node.errors import UserError
from nav_vlm_node.instruction import NAN, Action, Instruction, Status, Step
from nav_vlm_node.ros import queries
from nav_vlm_node.ros.camera_info import camera_from_ros
from nav_vlm_node.ros.conversions import (
    camera_to_ros,
    instruction_from_ros,
    instruction_to_ros,
    stamp_from_ros,
    stamp_to_ros,
    step_from_ros,
    step_to_ros,
)
from nav_vlm_node.view import Camera

float32s = st.one_of(st.just(NAN), st.floats(-3.125, 3.125, width=32))
# A NUL ends a string on the way through C, and lone surrogates are no text.
texts = st.text(st.characters(codec="utf-8", exclude_characters="\0"), max_size=30)
steps = st.builds(Step, st.sampled_from(Action), float32s, st.one_of(st.just(NAN), st.floats(0, 50, width=32)), texts)
instructions = st.builds(
    Instruction,
    query_id=texts, query=texts, status=st.sampled_from(Status), text=texts,
    steps=st.lists(steps, max_size=4).map(tuple), confidence=st.floats(0, 1, width=32), priority=st.integers(0, 1),
    latency=st.one_of(st.just(NAN), st.floats(0, 100)), image_age=st.one_of(st.just(NAN), st.floats(0, 100)),
    stamp=st.one_of(st.just(NAN), st.integers(1, 2**31 - 1).map(float)), frame_id=texts, model=texts, adapter=texts,
    message=texts,
)  # fmt: skip


@given(steps)
def test_steps_survive_the_round_trip(step: Step) -> None:
    assert repr(step_from_ros(step_to_ros(step))) == repr(step)


@given(instructions)
def test_instructions_survive_the_round_trip(instruction: Instruction) -> None:
    message = instruction_to_ros(instruction)
    assert repr(instruction_from_ros(message)) == repr(instruction)


@given(instructions)
def test_instructions_survive_the_wire(instruction: Instruction) -> None:
    data = serialize_message(instruction_to_ros(instruction))
    assert repr(instruction_from_ros(deserialize_message(data, InstructionMsg))) == repr(instruction)


def test_enumerations_are_the_constants_of_the_messages() -> None:
    for status in Status:
        assert getattr(InstructionMsg, f"STATUS_{status.name}") == status.value
    for action in Action:
        assert getattr(StepMsg, f"ACTION_{action.name}") == action.value
    assert QueryMsg.PRIORITY_URGENT == queries.URGENT
    constants = [name for name in dir(Guide.Feedback) if name.startswith("STAGE_")]
    assert len(constants) == 4


def test_an_unknown_status_or_action_is_refused() -> None:
    with pytest.raises(ValueError):
        instruction_from_ros(InstructionMsg(status=99))
    with pytest.raises(ValueError):
        step_from_ros(StepMsg(action=99))


@given(st.integers(0, 2**31 - 1), st.integers(0, 999_999_999))
def test_stamps_survive_to_a_microsecond(sec: int, nanosec: int) -> None:
    back = stamp_to_ros(stamp_from_ros(Time(sec=sec, nanosec=nanosec)))
    assert abs((back.sec - sec) * 10**9 + back.nanosec - nanosec) < 1000


@pytest.mark.parametrize("stamp", [NAN, math.inf, -1.0, 2.0**31, 1e300])
def test_a_stamp_that_is_none_is_zero(stamp: float) -> None:
    assert stamp_to_ros(stamp) == Time()
    assert math.isnan(stamp_from_ros(Time()))


def test_the_exact_stamp_wins() -> None:
    exact = Time(sec=1_700_000_000, nanosec=123_456_789)
    instruction = Instruction(query_id="", query="", status=Status.OK, text="", stamp=stamp_from_ros(exact))
    assert instruction_to_ros(instruction, exact).header.stamp == exact


@given(st.floats(50, 2000), st.floats(50, 2000), st.floats(0, 640), st.floats(0, 480))
def test_cameras_survive_the_round_trip(fx: float, fy: float, cx: float, cy: float) -> None:
    camera = Camera(width=640, height=480, fx=fx, fy=fy, cx=cx, cy=cy, d=(0.1, -0.05, 0.001, 0.002, 0.0))
    back = camera_from_ros(camera_to_ros(camera), 640, 480)
    assert back is not None
    assert back.d == camera.d
    np.testing.assert_allclose((back.fx, back.fy, back.cx, back.cy), (fx, fy, cx, cy), atol=1e-9)


def test_an_uncalibrated_camera_is_no_camera() -> None:
    assert camera_from_ros(CameraInfo(width=640, height=480), 640, 480) is None
    unfilled = CameraInfo(width=0, height=0, distortion_model="")
    assert camera_from_ros(unfilled, 640, 480) is None


def test_a_picture_that_was_made_smaller_keeps_its_field_of_view() -> None:
    camera = Camera.from_fov(1280, 960, 1.2)
    small = camera_from_ros(camera_to_ros(camera), 320, 240)
    assert small is not None
    assert small.hfov == pytest.approx(1.2)
    assert (small.width, small.height) == (320, 240)


def test_a_picture_that_was_cut_out_by_the_camera() -> None:
    camera = Camera.from_fov(640, 480, 1.2)
    message = camera_to_ros(camera)
    message.roi = RegionOfInterest(x_offset=100, y_offset=40, width=320, height=240)
    cut = camera_from_ros(message, 320, 240)
    assert cut is not None
    assert (cut.fx, cut.cx, cut.cy) == (camera.fx, camera.cx - 100, camera.cy - 40)


def test_a_camera_info_of_another_camera_is_refused() -> None:
    with pytest.raises(UserError, match="640x480 and the image has 640x360"):
        camera_from_ros(camera_to_ros(Camera.from_fov(640, 480, 1.2)), 640, 360)


def test_numbers_that_are_no_camera_are_refused() -> None:
    message = camera_to_ros(Camera.from_fov(640, 480, 1.2))
    message.k[4] = math.nan
    with pytest.raises(UserError, match="intrinsics"):
        camera_from_ros(message, 640, 480)


def test_a_distortion_model_without_coefficients_is_no_distortion() -> None:
    message = camera_to_ros(Camera.from_fov(640, 480, 1.2))
    message.distortion_model, message.d = "some_vendor_model", [0.0] * 12
    camera = camera_from_ros(message, 640, 480)
    assert camera is not None
    assert camera.d == ()
