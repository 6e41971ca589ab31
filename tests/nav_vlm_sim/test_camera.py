"""The simulated camera that the node and the demo use."""

from __future__ import annotations

import math
import threading
from dataclasses import replace

import pytest

from nav_vlm_node.errors import UserError
from nav_vlm_node.view import Rig, View
from nav_vlm_sim.camera import SimulatedCamera


def test_pictures_have_the_size_and_the_truth_that_were_asked_for() -> None:
    rig = Rig(camera_pitch=0.2, camera_height=1.2)
    with SimulatedCamera(320, 180, math.radians(75), rig=rig) as camera:
        frame = camera.frame(480)
        assert frame.raw.shape == (180, 320, 3)
        assert (frame.camera, frame.rig) == (camera.camera, rig)
        assert math.degrees(frame.camera.hfov) == pytest.approx(75)
        assert frame.observation.seen
        assert (camera.frame(480, 1).raw != frame.raw).any()
        assert (camera.frame(480 * 50).raw != frame.raw).any(), "another world"
        assert (camera.frame(480).raw == frame.raw).all(), "and back"


@pytest.mark.parametrize("worn", [{"image_rotation": 90}, {"image_rotation": 180}, {"mirrored": True}])
def test_the_way_it_is_worn_changes_the_picture_and_not_the_truth(worn: dict[str, int]) -> None:
    plain, rig = Rig(camera_pitch=0.15), replace(Rig(camera_pitch=0.15), **worn)  # type: ignore[arg-type]
    size = (240, 240)
    with SimulatedCamera(*size, rig=plain) as one, SimulatedCamera(*size, rig=rig) as other:
        a, b = one.frame(481), other.frame(481)
    assert (a.raw != b.raw).any()
    assert abs(a.rgb.astype(int) - b.rgb).mean() < 1.0
    for name, target in a.observation.targets.items():
        assert b.observation.targets[name].visible == target.visible or None in (
            target.visible, b.observation.targets[name].visible,
        )  # fmt: skip


def test_what_is_visible_is_a_matter_of_the_models_view() -> None:
    narrow = View(hfov=math.radians(30), vfov=math.radians(24))
    with SimulatedCamera(240, 180, 1.7) as wide, SimulatedCamera(240, 180, 1.7, view=narrow) as slit:
        shown = [sum(bool(t.visible) for t in c.frame(480).observation.targets.values()) for c in (wide, slit)]
    assert shown[1] < shown[0]


def test_closing_twice_and_from_where_it_was_used() -> None:
    camera = SimulatedCamera(64, 48)
    camera.close()
    failures: list[BaseException] = []

    def work() -> None:
        try:
            camera.frame(1)
            camera.close()
            camera.close()
        except BaseException as error:
            failures.append(error)

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert not failures


def test_bad_cameras_are_refused() -> None:
    with pytest.raises(UserError, match="field of view"):
        SimulatedCamera(64, 48, 4.0)
    with pytest.raises(UserError, match="make no sense"):
        SimulatedCamera(0, 48)
