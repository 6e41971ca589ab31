"""Protobuf's wire format, as far as it is spoken here; no Gazebo is needed."""

from __future__ import annotations

import contextlib
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nav_vlm_node.view import Rig
from nav_vlm_sim.scene import Pose
from nav_vlm_sim.world import camera_axes
from tests.gazebo_classic.turns import rotated, standing, times, turn, wearer_of
from tests.gazebo_classic.wire import decode, encode

values = st.one_of(st.integers(0, 2**64 - 1), st.floats(allow_nan=False), st.binary(max_size=300), st.text(max_size=40))
angles = st.floats(-3.1, 3.1)


@given(st.lists(st.tuples(st.integers(1, 2**29 - 1), values), max_size=6))
def test_what_is_encoded_is_decoded(fields: list[tuple[int, int | float | bytes | str]]) -> None:
    wanted: dict[int, list[int | float | bytes]] = {}
    for number, value in fields:
        wanted.setdefault(number, []).append(value.encode() if isinstance(value, str) else value)
    assert decode(encode(fields)) == wanted


@given(st.binary(max_size=60))
def test_what_is_no_message_is_a_value_error(data: bytes) -> None:
    with contextlib.suppress(ValueError):
        decode(data)


def test_as_protobuf_writes_it() -> None:
    # The example of protobuf's own encoding guide: field 1, 150; field 2, "testing".
    assert encode([(1, 150), (2, "testing")]) == bytes.fromhex("089601") + bytes.fromhex("120774657374696e67")
    with pytest.raises(ValueError, match="within a field"):
        decode(bytes.fromhex("1207746573"))


@given(angles, st.floats(-1, 1), st.floats(-0.5, 0.5), st.floats(-1, 1), st.floats(-0.5, 0.5))
def test_the_camera_is_where_it_is_wanted(
    yaw: float, pitch: float, roll: float, rig_yaw: float, rig_pitch: float
) -> None:
    pose = Pose(x=1.5, y=-2, height=1.3, yaw=yaw, pitch=pitch, roll=roll)
    rig = Rig(camera_yaw=rig_yaw, camera_pitch=rig_pitch, camera_height=1.45)
    wearer = wearer_of(pose, rig)
    camera = times(wearer.turn, turn(rig_yaw, rig_pitch))
    lens = [a + b for a, b in zip(wearer.at, rotated(wearer.turn, (0.0, 0.0, 1.45)), strict=True)]
    assert lens == pytest.approx([1.5, -2, 1.3])
    right, up, backwards = camera_axes(Pose(x=0, y=0, height=0, yaw=yaw + rig_yaw, pitch=pitch, roll=roll)).T
    assert rotated(camera, (1.0, 0.0, 0.0)) == pytest.approx(-backwards)
    assert rotated(camera, (0.0, -1.0, 0.0)) == pytest.approx(right)
    assert rotated(camera, (0.0, 0.0, 1.0)) == pytest.approx(up)


def test_upright_is_upright() -> None:
    where = standing(2.0, 3.0, math.pi / 2)
    assert where.at == (2.0, 3.0, 0.0)
    assert rotated(where.turn, (1.0, 0.0, 0.0)) == pytest.approx((0.0, 1.0, 0.0), abs=1e-12)
