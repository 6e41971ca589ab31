"""Messages to plain data and back: pure functions named x_to_ros and x_from_ros. Images are in `images`."""

from __future__ import annotations

import math

from builtin_interfaces.msg import Time
from geometry_msgs.msg import Quaternion
from sensor_msgs.msg import CameraInfo

from nav_vlm_msgs.msg import Instruction as InstructionMsg
from nav_vlm_msgs.msg import Step as StepMsg
from nav_vlm_node.instruction import NAN, Action, Instruction, Status, Step
from nav_vlm_node.view import Camera

NANOSECONDS = 1_000_000_000


def stamp_from_ros(stamp: Time) -> float:
    """Seconds; NaN for the zero stamp, which says that there is none."""
    return stamp.sec + stamp.nanosec / NANOSECONDS if stamp.sec or stamp.nanosec else NAN


def stamp_to_ros(stamp: float) -> Time:
    """The inverse of `stamp_from_ros`, to the nanosecond as far as a double holds it."""
    if not math.isfinite(stamp) or not 0 <= stamp < 2**31:
        return Time()
    total = round(stamp * NANOSECONDS)
    return Time(sec=total // NANOSECONDS, nanosec=total % NANOSECONDS)


def step_to_ros(step: Step) -> StepMsg:
    """The values of `Action` are the constants of the message."""
    return StepMsg(action=step.action.value, bearing=step.bearing, distance=step.distance, landmark=step.landmark)


def step_from_ros(message: StepMsg) -> Step:
    """Raises ValueError for an action that is not one of the message's constants."""
    return Step(Action(message.action), _number(message.bearing), _number(message.distance), message.landmark)


def instruction_to_ros(instruction: Instruction, stamp: Time | None = None) -> InstructionMsg:
    """stamp: the image's own, where it is at hand: a double loses some nanoseconds of it."""
    message = InstructionMsg(
        query_id=instruction.query_id,
        query=instruction.query,
        status=instruction.status.value,
        text=instruction.text,
        steps=[step_to_ros(step) for step in instruction.steps],
        confidence=instruction.confidence,
        priority=instruction.priority,
        latency=instruction.latency,
        image_age=instruction.image_age,
        model=instruction.model,
        adapter=instruction.adapter,
        message=instruction.message,
    )
    message.header.stamp = stamp_to_ros(instruction.stamp) if stamp is None else stamp
    message.header.frame_id = instruction.frame_id
    return message


def instruction_from_ros(message: InstructionMsg) -> Instruction:
    """Raises ValueError for a status or an action that is not one of the messages' constants."""
    return Instruction(
        query_id=message.query_id,
        query=message.query,
        status=Status(message.status),
        text=message.text,
        steps=tuple(step_from_ros(step) for step in message.steps),
        confidence=message.confidence,
        priority=message.priority,
        latency=_number(message.latency),
        image_age=_number(message.image_age),
        stamp=stamp_from_ros(message.header.stamp),
        frame_id=message.header.frame_id,
        model=message.model,
        adapter=message.adapter,
        message=message.message,
    )


def yaw_from_ros(orientation: Quaternion) -> float:
    """Radians about the vertical axis, left positive (REP-103); NaN for a quaternion of length 0."""
    x, y, z, w = orientation.x, orientation.y, orientation.z, orientation.w
    if x == y == z == w == 0.0:
        return NAN
    return math.atan2(2.0 * (w * z + x * y), w * w + x * x - y * y - z * z)


def yaw_to_ros(yaw: float) -> Quaternion:
    """The inverse of `yaw_from_ros`, level."""
    return Quaternion(z=math.sin(yaw / 2), w=math.cos(yaw / 2))


def camera_to_ros(camera: Camera) -> CameraInfo:
    """A camera_info without rectification: K, D and P of the camera itself."""
    k = [camera.fx, 0.0, camera.cx, 0.0, camera.fy, camera.cy, 0.0, 0.0, 1.0]
    return CameraInfo(
        width=camera.width,
        height=camera.height,
        distortion_model=camera.distortion_model,
        d=list(camera.d),
        k=k,
        r=[1.0, 0.0, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0, 1.0],
        p=[*k[:3], 0.0, *k[3:6], 0.0, *k[6:], 0.0],
    )


def _number(value: float) -> float:
    """One NaN object, so that tuples of steps compare equal."""
    return NAN if math.isnan(value) else value
