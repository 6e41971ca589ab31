from __future__ import annotations

import math
from dataclasses import fields, replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nav_vlm_node.instruction import Action, Step
from nav_vlm_node.language import mirrored, parse, render_canonical
from nav_vlm_node.view import View
from nav_vlm_training.augment.example import Example, can_be_mirrored
from nav_vlm_training.augment.mirror import mirrored_text, swap_sides
from nav_vlm_training.augment.steps import same_steps
from nav_vlm_training.data.samples import Pictures, Sample, read_dataset
from tests.nav_vlm_training.datasets import VIEW, make_dataset

BEARINGS = st.integers(-35, 36).map(lambda n: math.radians(5 * n))
DISTANCES = st.one_of(st.just(math.nan), st.floats(0.5, 30))
LANDMARKS = st.sampled_from(["door", "exit sign", "chair", "lift", ""])
STEPS = st.lists(st.builds(Step, st.sampled_from(list(Action)), BEARINGS, DISTANCES, LANDMARKS), min_size=1, max_size=5)


@settings(deadline=None)
@given(STEPS)
def test_canonical_text_is_mirrored_as_its_steps_are(steps: list[Step]) -> None:
    text = render_canonical(steps)
    assert mirrored_text(text) == render_canonical(mirrored(steps))


@settings(deadline=None)
@given(STEPS)
def test_twice_is_nothing(steps: list[Step]) -> None:
    text = render_canonical(steps)
    assert swap_sides(swap_sides(text)) == text


@pytest.mark.parametrize(
    ("text", "other"),
    [
        ("Turn left.", "Turn right."),
        ("TURN LEFT now, then bear Right.", "TURN RIGHT now, then bear Left."),
        ("The door is on your left-hand side.", "The door is on your right-hand side."),
        ("The chair is at 2 o'clock.", "The chair is at 10 o'clock."),
        ("The chair is at 12 o'clock.", "The chair is at 12 o'clock."),
        ("Turn clockwise.", "Turn counterclockwise."),
        ("Go right away to the door.", "Go right away to the door."),
        ("The exit is right in front of you.", "The exit is right in front of you."),
        ("There is a chair to the left of the door.", "There is a chair to the right of the door."),
        ("Is the door on the left?", "Is the door on the right?"),
        ("Walk straight ahead.", "Walk straight ahead."),
    ],
)
def test_what_is_a_side_and_what_is_not(text: str, other: str) -> None:
    assert swap_sides(text) == other
    assert swap_sides(other) == text


def test_a_text_whose_mirror_image_is_not_certain_is_none() -> None:
    assert mirrored_text("Turn anticlockwise.") is None  # comes back as "counterclockwise"
    assert mirrored_text("Turn left 35 degrees.") == "Turn right 35 degrees."


@pytest.fixture
def data(tmp_path: Path) -> tuple[Pictures, Sample]:
    read = read_dataset(make_dataset(tmp_path / "set", scenes=1, views=2))
    asked = next(s for s in read.samples if s.truth.visible and abs(s.truth.bearing) > 0.2)
    return Pictures(read.folder, VIEW), asked


def example_of(sample: Sample, mirrored: bool = False) -> Example:
    return Example(sample, sample.question, sample.text, mirrored)


def test_pictures_and_words_are_mirrored_together(data: tuple[Pictures, Sample]) -> None:
    pictures, sample = data
    plain, mirror = example_of(sample), example_of(sample, mirrored=True)
    np.testing.assert_array_equal(mirror.images(pictures)[0], plain.images(pictures)[0][:, ::-1])
    assert same_steps(parse(mirror.answer).steps, mirrored(parse(plain.answer).steps))
    assert mirror.answer != plain.answer
    back = replace(mirror, said=mirror.question, told=mirror.answer)
    assert back.answer == plain.answer


def test_there_is_no_way_to_flip_pictures_alone() -> None:
    """Nothing that a user sets flips a picture, and of what handles them one line does, with the words."""
    from nav_vlm_training.augment import example
    from nav_vlm_training.augment.plan import Augment
    from nav_vlm_training.fit.config import FitConfig

    assert [f.name for f in fields(Augment)] == ["mirror", "light", "rephrase"]
    assert not [f.name for f in fields(FitConfig) if "flip" in f.name]
    package = Path(example.__file__).parents[1]
    flips = [
        f"{path.relative_to(package)}"
        for part in ("augment", "data", "fit")  # all that lies between a data set and the model
        for path in (package / part).rglob("*.py")
        for line in path.read_text().splitlines()
        if any(way in line for way in ("::-1", "flip(", "fliplr", "RandomHorizontalFlip", "FLIP_LEFT_RIGHT"))
    ]
    assert flips == ["augment/example.py"]


def test_a_camera_worn_askew_is_not_mirrored_where_the_view_follows_it(data: tuple[Pictures, Sample]) -> None:
    _, sample = data
    askew = example_of(replace(sample, rig=replace(sample.rig, camera_yaw=0.2)))
    assert can_be_mirrored(askew, VIEW)
    assert not can_be_mirrored(askew, View(projection="squash", width=32, height=32))
    assert can_be_mirrored(example_of(sample), View(projection="squash", width=32, height=32))
    assert not can_be_mirrored(replace(askew, told="Turn anticlockwise."), VIEW)


def test_frames_come_oldest_first(data: tuple[Pictures, Sample]) -> None:
    pictures, sample = data
    other = "images/0-1.png" if sample.image == "images/0-0.png" else "images/0-0.png"
    first, last = (pictures(replace(sample, image=name)) for name in (other, sample.image))
    shown = example_of(replace(sample, earlier=(other,))).images(pictures, 3)
    for image, expected in zip(shown, (first, first, last), strict=True):
        np.testing.assert_array_equal(image, expected)
    assert len(example_of(replace(sample, earlier=(other,) * 5)).images(pictures, 3)) == 3
