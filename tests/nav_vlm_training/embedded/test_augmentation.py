"""Mirrored and shifted frames stay true: pictures, dense targets and what is said of them change together."""

from __future__ import annotations

import math
from dataclasses import fields, replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from nav_vlm_node.instruction import Action, Step
from nav_vlm_node.language import render_canonical
from nav_vlm_sim.records import PIXEL_CLASSES
from nav_vlm_sim.truth import TARGETS, Observation, Seen, Target, guide_steps
from nav_vlm_training.embedded.architecture import VIEW
from nav_vlm_training.embedded.features import changed
from nav_vlm_training.embedded.pretrain import make_batch
from nav_vlm_training.embedded.targets import (
    ARROWS,
    HAZARDS,
    Frames,
    Targets,
    degrees_per_cell,
    mirror,
    room_to_shift,
    shift,
    targets_of,
)

bearings = st.floats(-0.8, 0.8)
distances = st.floats(0.5, 9.0)


@st.composite
def observations(draw: st.DrawFn) -> Observation:
    """What could be true of a frame."""

    def hazard() -> Step:
        return Step(Action.CAUTION, draw(bearings), draw(distances), draw(st.sampled_from(HAZARDS[1:])))

    targets = {}
    for name in TARGETS:
        visible = draw(st.sampled_from([True, False, None]))
        hazards = (hazard(),) if visible and draw(st.booleans()) else ()
        where = (draw(bearings), draw(distances)) if visible else (math.nan, math.nan)
        targets[name] = Target(name, visible, *where, hazards)
    seen = tuple(
        Seen(0, "exit sign", True, draw(bearings), draw(distances), 99, draw(st.sampled_from(ARROWS[1:])))
        for _ in range(draw(st.integers(0, 1)))
    )
    return Observation(seen, targets, hazard() if draw(st.booleans()) else None, draw(st.booleans()))


def same(a: Targets, b: Targets) -> bool:
    return all(np.allclose(getattr(a, f.name), getattr(b, f.name), atol=1e-4) for f in fields(Targets))


def written(observation: Observation) -> str:
    """To compare by: NaN is not equal to itself, and minus nothing is nothing."""
    return repr(observation).replace("-0.0,", "0.0,")


@given(observations())
def test_mirrored_twice_is_as_before(observation: Observation) -> None:
    once = changed(observation, mirrored=True, turn=0.0)
    assert written(changed(once, mirrored=True, turn=0.0)) == written(observation)
    for name, target in observation.targets.items():
        if target.visible:
            assert once.targets[name].bearing == -target.bearing
            assert once.targets[name].distance == target.distance
            assert [h.bearing for h in once.targets[name].hazards] == [-h.bearing for h in target.hazards]
    opposite = {"left": "right", "right": "left", "ahead": "ahead"}
    assert [s.arrow for s in once.seen] == [opposite[s.arrow] for s in observation.seen]
    assert once.ahead_known == observation.ahead_known
    t = targets_of([observation])
    assert same(mirror(mirror(t)), t)


@given(observations(), st.integers(-8, 8))
def test_a_frame_and_its_arrays_change_alike(observation: Observation, cells: int) -> None:
    """Pretraining changes arrays, the language stages change what they are made from: the same things come out."""
    arrays = targets_of([observation])
    assert same(targets_of([changed(observation, mirrored=True, turn=0.0)]), mirror(arrays))
    degrees = cells * degrees_per_cell(VIEW)
    turned = changed(observation, mirrored=False, turn=math.radians(degrees))
    if cells:
        found, expected = targets_of([turned]), shift(arrays, degrees)
        for f in fields(Targets):
            if f.name not in ("ahead_bearing", "ahead_distance"):  # of something that is no longer known
                assert np.allclose(getattr(found, f.name), getattr(expected, f.name), atol=1e-4), f.name
    else:
        assert same(targets_of([turned]), arrays)


@given(observations())
def test_what_a_guide_says_is_mirrored_too(observation: Observation) -> None:
    other = changed(observation, mirrored=True, turn=0.0)
    for name, target in observation.targets.items():
        if target.visible:
            swapped = {"left": "right", "right": "left"}
            words = render_canonical(guide_steps(observation, name)).replace(".", " .").replace(",", " ,").split(" ")
            expected = " ".join(swapped.get(word, word) for word in words).replace(" .", ".").replace(" ,", ",")
            assert render_canonical(guide_steps(other, name)) == expected


@pytest.fixture(scope="module")
def frames(drawn: Path) -> Frames:
    return Frames(sorted((drawn / "frames/train").glob("world-*")), VIEW)


def centre(cells: np.ndarray, kind: str) -> float | None:  # type: ignore[type-arg]
    """Bearing in degrees of the middle of what is drawn as `kind`; None where nothing is."""
    columns = np.nonzero(cells == PIXEL_CLASSES.index(kind))[1]
    if not len(columns):
        return None
    return (0.5 - (columns.mean() + 0.5) / cells.shape[1]) * math.degrees(VIEW.hfov)


def gaps(cells: np.ndarray, truth: Targets, row: int) -> dict[str, float]:  # type: ignore[type-arg]
    """For each visible target: how far what is drawn lies to the left of what is true, in degrees."""
    found = {}
    for k, name in enumerate(TARGETS):
        if truth.visible[row, k] == 1 and (middle := centre(cells, name)) is not None:
            found[name] = middle - float(truth.bearing[row, k])
    return found


def test_truth_stays_with_the_picture(frames: Frames) -> None:
    """However a batch is changed, each thing is drawn as far from its true bearing as before, on the same or, if the
    batch was mirrored, on the other side."""
    rows = np.arange(len(frames))
    before = [gaps(frames.cells(rows)[row], frames.targets, row) for row in range(len(rows))]
    assert sum(map(len, before)) > 15
    sides, moved = set(), 0
    for seed in range(8):
        rgb, cells, depth, truth = make_batch(frames, rows, np.random.default_rng(seed))
        after = Targets(**{name: tensor.numpy() for name, tensor in truth.items()})
        found = [gaps(cells[row].numpy(), after, row) for row in range(len(rows))]
        middles = [abs(a[n] - b[n]) for a, b in zip(before, found, strict=True) for n in a]
        mirrored = max(middles) > 0.1
        sides.add(mirrored)
        for row in range(len(rows)):
            assert set(found[row]) == set(before[row])
            for name, gap in found[row].items():
                assert gap == pytest.approx(-before[row][name] if mirrored else before[row][name], abs=0.01)
        assert ((depth.numpy() > 0) == (cells.numpy() != 0)).mean() > 0.97, "depth moves with the classes"
        original = frames.rgb(rows)[:, :, ::-1] if mirrored else frames.rgb(rows)
        for row in range(len(rows)):
            changes = after.bearing[row] - (-1 if mirrored else 1) * frames.targets.bearing[row]
            visible = frames.targets.visible[row] == 1
            if visible.any():
                by = -round(float(changes[visible][0]) / degrees_per_cell(VIEW))
                moved += by != 0
                difference = np.abs(rgb[row].numpy().astype(int) - np.roll(original[row], 4 * by, 1))
                assert difference.mean() < 12, "the picture moves with its truth"
    assert sides == {False, True}
    assert moved > 10


def test_nothing_is_shifted_out_of_view(frames: Frames) -> None:
    for cells in frames.cells(np.arange(len(frames))):
        left, right = room_to_shift(cells)
        for by in (-left, right):
            rolled = np.roll(cells, by, 1)
            assert (rolled != 0).sum() == (cells != 0).sum()
            used = np.flatnonzero((cells != 0).any(axis=0)) + by
            assert used[0] >= 0
            assert used[-1] < cells.shape[1], "nothing comes in again at the other side"


def test_after_a_shift_it_is_not_known_what_is_ahead(frames: Frames) -> None:
    observation = replace(frames.observations[0], ahead_known=True)
    assert not changed(observation, mirrored=False, turn=0.1).ahead_known
    assert changed(observation, mirrored=True, turn=0.0).ahead_known
