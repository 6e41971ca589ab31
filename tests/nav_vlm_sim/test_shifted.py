"""The shifted building and walks: what nobody saw before, and the pictures that come before a picture."""

from __future__ import annotations

import hashlib
import itertools
import json
import math
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nav_vlm_node.language import landmark_of, parse
from nav_vlm_node.view import Camera, Rig, View
from nav_vlm_sim import card, furniture, textures
from nav_vlm_sim.dataset import make, read_lines
from nav_vlm_sim.plan import EARLIER, Plan
from nav_vlm_sim.questions import NAMES, PHRASINGS, Kind, ask
from nav_vlm_sim.records import PIXEL_CLASSES, earlier_pictures, take_frame
from nav_vlm_sim.scene import (
    SHIFTED,
    SHIFTED_AMBIENT,
    SHIFTED_HEIGHT,
    SHIFTED_HFOV,
    STEP_TIME,
    WALKING,
    Pose,
    Scene,
    earlier_viewpoint,
    sample_scene,
    sample_viewpoint,
)
from nav_vlm_sim.truth import NEW_TARGETS, TARGETS
from nav_vlm_sim.world import POOL, World

VIEW = View()
seeds = st.integers(0, 2**53)
sampled = settings(max_examples=30, deadline=None)


def digest(scenes: list[Scene]) -> str:
    """Of where everything is, to a micrometre, and how it is lit."""
    told = [
        [
            [[i.kind, i.arrow, *np.round([i.x, i.y, i.yaw, i.height], 6).tolist(), len(i.parts)] for i in scene.items],
            np.round([*scene.half, scene.height, scene.ambient, scene.headlight], 6).tolist(),
            [[*np.round([*light.position, *light.diffuse], 6).tolist()] for light in scene.lights],
            [np.round([pose.x, pose.y, pose.yaw, pose.height], 6).tolist() for pose, _, _ in views_of(scene)],
        ]
        for scene in scenes
    ]
    return hashlib.sha256(json.dumps(told).encode()).hexdigest()[:16]


def views_of(scene: Scene) -> list[tuple[Pose, Camera, Rig]]:
    return [sample_viewpoint(scene, index) for index in range(2)]


def test_the_scenes_that_models_were_trained_and_measured_on_stay_what_they_are() -> None:
    assert digest([sample_scene(seed) for seed in range(0, 4800, 96)]) == "b0ba3070baaaf553"
    assert digest([sample_scene(seed, family="heldout") for seed in range(0, 4800, 96)]) == "403b1ef1ed5ab758"


@sampled
@given(seeds, st.booleans())
def test_everything_about_the_shifted_building_is_out_of_the_others_ranges(seed: int, walking: bool) -> None:
    scene = sample_scene(seed, family=SHIFTED, walking=walking)
    assert SHIFTED_AMBIENT[0] <= scene.ambient <= SHIFTED_AMBIENT[1] < sample_scene(seed).ambient
    red, _, blue = np.mean([light.diffuse for light in scene.lights], axis=0)
    assert red < blue
    for pose, camera, rig in views_of(scene):
        hfov = math.degrees(2 * math.atan(camera.width / 2 / camera.fx))
        assert SHIFTED_HFOV[0] - 0.5 < hfov < SHIFTED_HFOV[1] + 0.5 < 60
        assert SHIFTED_HEIGHT[0] <= rig.camera_height <= SHIFTED_HEIGHT[1] < 1.15
        assert abs(pose.height - rig.camera_height) < 0.15


def test_no_surface_pattern_is_in_two_families() -> None:
    for one, other in itertools.combinations(textures.FAMILIES.values(), 2):
        assert not set(one) & set(other)
    rng = np.random.default_rng(0)
    for _ in range(20):
        pattern = textures.surface(rng, SHIFTED)
        assert pattern.shape == (textures.SIZE, textures.SIZE, 3)
        assert pattern.std() > 1  # there is something to see


def test_the_new_landmarks_are_only_there() -> None:
    kinds = {i.kind for seed in range(300) for i in sample_scene(seed).items}
    assert not kinds & set(NEW_TARGETS)
    shifted = [i.kind for seed in range(300) for i in sample_scene(seed, family=SHIFTED).items]
    assert all(shifted.count(name) > 60 for name in NEW_TARGETS)
    assert not set(NEW_TARGETS) & (set(TARGETS) | set(PIXEL_CLASSES))


@pytest.mark.parametrize("name", NEW_TARGETS)
def test_the_new_landmarks_can_be_asked_for_and_told(name: str) -> None:
    for words, phrase in itertools.product(NAMES[name], PHRASINGS[Kind.TARGET]):
        assert landmark_of(phrase.format(words)) == name
    (caution,) = parse(f"Caution, {name} 10 degrees left at 2 metres.").steps
    assert caution.landmark == name


def test_questions_there_are_about_them_too_and_elsewhere_never() -> None:
    asked = {}
    for family in ("train", SHIFTED):
        with World(5, family) as world:
            scene = sample_scene(245, family=family)
            world.load(scene)
            observation = take_frame(world, scene, 0, VIEW).observation
        drawn = itertools.islice(ask(observation, np.random.default_rng(1)), 800)
        asked[family] = {q.target for q in drawn if q.kind is Kind.TARGET}
        assert set(observation.targets) == set(TARGETS) | (set(NEW_TARGETS) if family == SHIFTED else set())
    assert asked[SHIFTED] & set(NEW_TARGETS)
    assert not asked["train"] & set(NEW_TARGETS)


# ---- walks -------------------------------------------------------------------------------------


@sampled
@given(seeds)
def test_who_walks_walks_the_way_he_faces_and_comes_from_where_it_was_free(seed: int) -> None:
    scene = sample_scene(seed, family=SHIFTED, walking=True)
    before = scene.before(STEP_TIME)
    assert all(scene.items[index].kind == "person" for index in scene.speeds)
    for index, (now, then) in enumerate(zip(scene.items, before.items, strict=True)):
        way = np.array([now.x - then.x, now.y - then.y])
        if index not in scene.speeds:
            assert not way.any()
            continue
        assert WALKING[0] * STEP_TIME <= np.hypot(*way) <= WALKING[1] * STEP_TIME
        assert math.cos(math.atan2(way[1], way[0]) - now.yaw) == pytest.approx(1)
        assert (np.abs([then.x, then.y]) < scene.half).all()
    assert not sample_scene(seed).speeds


def test_walks_have_more_people_and_most_of_them_walk() -> None:
    scenes = [sample_scene(seed, walking=True) for seed in range(200)]
    people = sum(item.kind == "person" for scene in scenes for item in scene.items)
    still = sum(item.kind == "person" for seed in range(200) for item in sample_scene(seed).items)
    assert people > still + 300
    assert sum(len(scene.speeds) for scene in scenes) > 0.8 * people


@sampled
@given(seeds, st.integers(1, EARLIER))
def test_the_wearer_came_the_way_he_faces(seed: int, steps: int) -> None:
    scene = sample_scene(seed, walking=True)
    pose, _, _ = sample_viewpoint(scene, 0)
    seconds = steps * STEP_TIME
    before = earlier_viewpoint(scene.before(seconds), pose, 0, seconds)
    came = np.array([pose.x - before.x, pose.y - before.y])
    assert np.hypot(*came) <= 1.2 * seconds + 1e-9
    if came.any():
        assert math.atan2(came[1], came[0]) == pytest.approx(math.atan2(math.sin(pose.yaw), math.cos(pose.yaw)))
    assert (np.abs([before.x, before.y]) < scene.half).all()
    assert before.height == pose.height


def test_the_pictures_before_show_the_scene_before_and_leave_the_world_as_it_was() -> None:
    scene = next(s for s in (sample_scene(seed, walking=True) for seed in range(100)) if len(s.speeds) > 3)
    with World(0) as world:
        world.load(scene)
        frame = take_frame(world, scene, 0, VIEW)
        pictures = earlier_pictures(world, frame, EARLIER)
        again = take_frame(world, scene, 0, VIEW)
    assert len(pictures) == EARLIER
    assert (again.raw == frame.raw).all()
    changes = [np.abs(picture.astype(int) - frame.raw).mean() for picture in pictures]
    assert changes[0] > 1 < changes[1]
    assert all(picture.shape == frame.raw.shape for picture in pictures)


def test_a_data_set_of_walks_names_its_pictures_oldest_first(tmp_path: Path) -> None:
    plan = Plan(
        scenes=2, seed=8, views=1, questions=2, family=SHIFTED, walking=True, shares=(("train", 1.0), ("test", 1.0))
    )
    made = make(plan, tmp_path / "data", workers=1, quiet=True)
    assert "--family shifted --walking" in made["command"]
    assert any("people walk" in line for line in made["simulated"])
    assert any("another building" in line for line in made["simulated"])
    for line in read_lines(tmp_path / "data"):
        stem = line["image"].removesuffix(".png")
        assert line["earlier"] == [f"{stem}-2.png", f"{stem}-1.png"]
        assert all((tmp_path / "data" / name).is_file() for name in (*line["earlier"], line["image"]))
    lines = read_lines(tmp_path / "data")
    first = card.digest(tmp_path / "data", lines)
    (tmp_path / "data" / lines[0]["earlier"][0]).write_bytes(b"another picture")
    assert card.digest(tmp_path / "data", lines) != first


def test_plans_of_before_are_the_same_plans() -> None:
    assert "walking" not in Plan(scenes=1, seed=0).to_json()
    assert Plan(scenes=1, seed=0, walking=True).to_json()["walking"] is True


def test_the_solids_are_enough_for_a_crowd() -> None:
    for seed in range(400):
        scene = sample_scene(seed, family=SHIFTED, walking=True)
        shapes = [part.shape for part in scene.shell] + [p.shape for item in scene.items for p in item.parts]
        assert all(shapes.count(shape) <= most for shape, most in POOL.items())
    rng = np.random.default_rng(0)
    for make_one in (furniture.cash_machine, furniture.trolley):
        item = make_one(rng)
        assert max(part.position[2] + part.size[2] for part in item.parts) <= item.height + 0.01
