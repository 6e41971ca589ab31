"""What the wearer carries: the same for the same seed and time, and wrong by as much as it says."""

from __future__ import annotations

import math

import numpy as np
import pytest

from nav_vlm_sim.walks.rig import DRIFT, RIG, SCALE, SWAY, Odometry, camera_pose


def test_the_camera_sways_by_seed_and_time() -> None:
    assert camera_pose(3, 1.5, 1.0, 2.0, 0.5) == camera_pose(3, 1.5000001, 1.0, 2.0, 0.5)
    assert camera_pose(3, 1.5, 1.0, 2.0, 0.5) != camera_pose(3, 1.6, 1.0, 2.0, 0.5)
    assert camera_pose(3, 1.5, 1.0, 2.0, 0.5) != camera_pose(4, 1.5, 1.0, 2.0, 0.5)
    poses = [camera_pose(7, 0.1 * k, 1.0, 2.0, 0.5) for k in range(400)]
    assert {(p.x, p.y, p.yaw, p.height) for p in poses} == {(1.0, 2.0, 0.5, RIG.camera_height)}
    assert np.std([p.roll for p in poses]) == pytest.approx(SWAY, rel=0.2)
    assert np.mean([p.pitch for p in poses]) == pytest.approx(RIG.camera_pitch, abs=SWAY / 4)


def test_odometry_begins_at_the_origin_and_errs_by_scale_and_drift() -> None:
    ends, headings = [], []
    for seed in range(200):
        odometry = Odometry(seed)
        assert odometry.step(5.0, 3.0, 0.7)[:2] == (0.0, 0.0)
        for k in range(100):
            place = odometry.step(5.0 + 0.08 * (k + 1), 3.0, 0.7)
        ends.append(place.x / 8.0)
        headings.append(place.yaw - 0.7)
    assert np.mean(ends) == pytest.approx(1.0, abs=0.01)
    assert np.std(ends) == pytest.approx(SCALE, rel=0.25)
    assert np.std(headings) == pytest.approx(DRIFT * math.sqrt(100), rel=0.25)


def test_the_same_seed_is_the_same_odometry() -> None:
    places = []
    for _ in range(2):
        odometry = Odometry(5)
        places.append([odometry.step(0.1 * k, 0.05 * k, 0.01 * k) for k in range(30)])
    assert places[0] == places[1]
