"""Where things are drawn: what is left of the wearer is left in the picture and in the plan."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nav_vlm_node.instruction import Action, Step
from nav_vlm_sim.demo.pictures import BLUE, GREEN, ORANGE, PHOTO, SIDE, enlarged, page, painted, wrapped
from nav_vlm_sim.demo.shapes import Shape, from_above, into_picture, labels_of
from nav_vlm_sim.demo.svg import drawing
from tests.nav_vlm_sim.demo.made_up import CAMERA, frame, instruction, visible

CHAIR = Step(Action.CAUTION, 0.2, 1.8, "chair")


def middle(shape: Shape) -> tuple[float, float]:
    x, y = np.mean(shape.points, axis=0)
    return float(x), float(y)


def of(shapes: list[Shape], form: str, role: str) -> Shape:
    found = [shape for shape in shapes if (shape.form, shape.role) == (form, role)]
    assert len(found) == 1, [(shape.form, shape.role) for shape in shapes]
    return found[0]


@pytest.mark.parametrize("scale", [1.0, 1.5])
@pytest.mark.parametrize("bearing", [-0.6, -0.1, 0.3, 0.6])
def test_marks_are_where_the_truth_is(bearing: float, scale: float) -> None:
    truth = visible(bearing, 3.0, (CHAIR,))
    shapes = into_picture(frame(bearing, 3.0), truth, None, scale)
    # A level camera at 1.4 m that looks 10 degrees down: the column by hand, of the thing's middle 0.4 m high.
    x, y, z = 3.0 * math.cos(bearing), 3.0 * math.sin(bearing), 0.4 - 1.4
    c, s = math.cos(math.radians(10)), math.sin(math.radians(10))
    ahead, up = c * x - s * z, s * x + c * z
    column = CAMERA.cx - CAMERA.fx * y / ahead
    row = CAMERA.cy - CAMERA.fy * up / ahead
    ring = of(shapes, "ring", "truth").points[0]
    assert ring == pytest.approx(((column + 0.5) * scale, (row + 0.5) * scale), abs=1.0)
    assert of(shapes, "ring", "truth").text == "box, 3.0 m"
    assert of(shapes, "cross", "hazard").text == "chair, 1.8 m"
    assert not [shape for shape in shapes if shape.role in ("answer", "said")]


@pytest.mark.parametrize(("side", "sign"), [("left", -1), ("right", 1)])
def test_the_answers_arrow_points_to_its_side(side: str, sign: int) -> None:
    caution = f"Caution, box 10 degrees {side} at 2 metres."
    said = instruction(f"{caution} Turn {side} 30 degrees, then move 4 metres to the box.")
    shapes = into_picture(frame(), visible(), said)
    arrow, diamond = of(shapes, "area", "answer"), of(shapes, "diamond", "said")
    tip = min(arrow.points, key=lambda point: point[1])
    assert sign * (tip[0] - CAMERA.width / 2) > 30
    assert sign * (diamond.points[0][0] - CAMERA.width / 2) > 5
    plan = from_above(frame(), visible(), said, 400)
    assert sign * (middle(of(plan, "area", "answer"))[0] - 200) > 20
    assert sign * (of(plan, "diamond", "said").points[0][0] - 200) > 5


def test_an_arrow_outside_the_picture_is_told_in_words() -> None:
    shapes = into_picture(frame(), visible(), instruction("Turn left 120 degrees, then move 3 metres to the box."))
    assert of(shapes, "label", "answer").text == "answer: 120 degrees left, 3 m"
    assert of(shapes, "label", "answer").points[0][0] < CAMERA.width / 2


def test_the_plan_is_to_scale() -> None:
    near = from_above(frame(0.0, 2.0), visible(0.0, 2.0), None, 480)
    wearer = of(near, "dot", "wearer").points[0]
    ring, corner = of(near, "ring", "truth").points[0], of(near, "area", "truth").points[0]
    unit = (wearer[1] - ring[1]) / 2.0
    assert ring[0] == pytest.approx(wearer[0])
    assert abs(corner[0] - wearer[0]) / unit == pytest.approx(0.4, abs=0.01)  # half of a corridor of 0.8 m
    sideways = of(from_above(frame(math.pi / 2, 2.0), visible(math.pi / 2, 2.0), None, 480), "ring", "truth").points[0]
    assert sideways[0] < wearer[0]
    assert sideways[1] == pytest.approx(wearer[1])


@settings(max_examples=40, deadline=None)
@given(
    bearing=st.floats(-math.pi, math.pi), distance=st.floats(0.3, 12), turn=st.integers(-36, 36),
    move=st.integers(1, 20),
)  # fmt: skip
def test_whatever_is_answered_can_be_drawn(bearing: float, distance: float, turn: int, move: int) -> None:
    side = "left" if turn > 0 else "right"
    text = f"Turn {side} {5 * abs(turn) or 5} degrees, then move {move} metres to the box."
    shot, truth, said = frame(bearing, distance), visible(bearing, distance, (CHAIR,)), instruction(text)
    pictured, planned = into_picture(shot, truth, said), from_above(shot, truth, said, 240)
    for shapes, size in ((pictured, (320, 240)), (planned, (240, 240))):
        assert all(math.isfinite(value) for shape in shapes for point in shape.points for value in point)
        canvas = np.full((size[1], size[0], 3), 128, np.uint8)
        assert painted(canvas, shapes).shape == canvas.shape
        assert "nan" not in drawing(shapes, *size, css="over")


def test_labels_stay_inside_and_apart() -> None:
    shapes = [Shape("dot", "truth", ((x, y),), "a long label") for x in (5.0, 150.0, 299.0) for y in (3.0, 8.0, 190.0)]
    labels = labels_of(shapes, (300, 200), lambda text, size: 0.5 * size * len(text))
    assert len(labels) == len(shapes)
    for i, one in enumerate(labels):
        assert one.x >= 0
        assert one.y >= 0
        assert one.x + one.width <= 300
        assert one.y + one.height <= 200
        for other in labels[:i]:
            aside = one.x >= other.x + other.width or other.x >= one.x + one.width
            assert aside or one.y >= other.y + other.height or other.y >= one.y + one.height


def test_the_page_has_the_photograph_the_plan_and_the_words() -> None:
    truth, said = visible(0.4, 3.0, (CHAIR,)), instruction("Turn right 40 degrees, then move 3 metres to the box.")
    photo = enlarged(frame(0.4).raw)
    assert photo.shape == (720, PHOTO, 3)
    marks = into_picture(frame(0.4), truth, said, PHOTO / CAMERA.width)
    whole = page(photo, marks, from_above(frame(0.4), truth, said, SIDE), "Where is it?", [("truth", "x " * 300)])
    assert whole.shape[1] == PHOTO + SIDE
    assert whole.shape[0] > 720 + 100
    pictured = whole[:720, :PHOTO].astype(int)
    for colour, left in ((GREEN, True), (ORANGE, True), (BLUE, False)):
        columns = np.flatnonzero((np.abs(pictured - colour).sum(-1) < 12).any(0))
        assert len(columns), colour
        assert bool(columns.mean() < PHOTO / 2) is left, colour
    assert (whole[730:] < 100).any()


def test_words_are_wrapped_to_the_width() -> None:
    assert wrapped("", 100, 20) == [""]
    lines = wrapped("some words that are too long for one line", 120, 20)
    assert len(lines) > 2
    assert " ".join(lines) == "some words that are too long for one line"
