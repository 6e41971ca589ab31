"""Cameras, rigs and views, against OpenCV's lens models and against pictures whose every ray is known."""

from __future__ import annotations

import math
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import cv2
import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from nav_vlm_node.errors import UserError
from nav_vlm_node.view import PROJECTIONS, Camera, Rectifier, Rig, View, remap, view_map, wearer_from_optical

Array = npt.NDArray[np.float64]
Image = npt.NDArray[np.uint8]
VIEW = View()
patient = settings(deadline=None)  # the first call of OpenCV on a busy machine takes its time

PINHOLE = ("plumb_bob", ())
WEBCAM = ("plumb_bob", (-0.31, 0.12, 0.001, -0.0008, -0.02))
WIDE = ("rational_polynomial", (2.1, 1.2, 0.0004, -0.0003, 0.06, 2.4, 1.9, 0.3))
FISHEYE = ("equidistant", (-0.01, 0.03, -0.02, 0.005))
LENSES = (PINHOLE, WEBCAM, WIDE, FISHEYE)

degrees = st.floats(-60, 60)
rigs = st.builds(
    lambda yaw, pitch, rotation, mirrored: Rig(
        camera_yaw=math.radians(yaw), camera_pitch=math.radians(pitch), image_rotation=rotation, mirrored=mirrored
    ),
    st.floats(-30, 30), st.floats(-15, 35), st.sampled_from([0, 90, 180, 270]), st.booleans(),
)  # fmt: skip


def camera_of(lens: tuple[str, tuple[float, ...]], width: int = 320, height: int = 240, hfov: float = 1.5) -> Camera:
    model, d = lens
    return replace(Camera.from_fov(width, height, hfov), distortion_model=model, d=d)


def matrix(camera: Camera) -> Array:
    return np.array([[camera.fx, 0, camera.cx], [0, camera.fy, camera.cy], [0, 0, 1]])


# ---- lenses ------------------------------------------------------------------------------------


@patient
@given(st.sampled_from(LENSES), st.lists(st.tuples(degrees, degrees), min_size=1, max_size=20))
def test_lenses_are_opencvs(lens: tuple[str, tuple[float, ...]], angles: list[tuple[float, float]]) -> None:
    camera = replace(camera_of(lens), fx=310.0, fy=290.0, cx=150.0, cy=130.0)
    points: Array = np.array([[math.tan(math.radians(a)), math.tan(math.radians(b)), 1.0] for a, b in angles]) * 2.5
    none, d = np.zeros(3), np.array(lens[1])
    if lens[0] == "equidistant":
        expected = cv2.fisheye.projectPoints(points[:, None], none, none, matrix(camera), d)[0][:, 0]
    else:
        expected = cv2.projectPoints(points, none, none, matrix(camera), d if len(d) else None)[0][:, 0]
    found = np.stack(camera.project(*points.T), axis=-1)
    shown = np.asarray(np.isfinite(found).all(axis=1))
    assert np.allclose(found[shown], expected[shown], atol=1e-6)
    near = np.linalg.norm(points[:, :2] / points[:, 2:], axis=1) < 0.9
    assert shown[near].all(), "only far beside the axis may a lens model end"


@pytest.mark.parametrize("lens", LENSES)
def test_nothing_behind_the_camera_is_seen(lens: tuple[str, tuple[float, ...]]) -> None:
    u, v = camera_of(lens).project(np.array([0.1, 0.0]), np.array([0.1, 0.0]), np.array([-1.0, 0.0]))
    assert np.isnan(u).all()
    assert np.isnan(v).all()


@patient
@given(st.floats(-0.6, -0.05), st.floats(-0.1, 0.3))
def test_a_lens_never_folds_back(k1: float, k2: float) -> None:
    """Past its radius a polynomial maps rays into the middle of the picture again: ghosts, were they drawn."""
    camera = camera_of(("plumb_bob", (k1, k2, 0.0, 0.0, 0.0)))
    tangent = np.linspace(0, 3.5, 200)
    u, _ = camera.project(tangent, np.zeros(200), np.ones(200))
    shown = u[np.isfinite(u)]
    assert len(shown) > 10
    assert (np.diff(shown) > 0).all()
    assert np.isfinite(u[: len(shown)]).all(), "it ends once"


@patient
@given(st.integers(16, 2000), st.integers(16, 2000), st.floats(0.1, 3.0))
def test_a_field_of_view_is_what_it_says(width: int, height: int, hfov: float) -> None:
    camera = Camera.from_fov(width, height, hfov)
    assert camera.hfov == pytest.approx(hfov)
    edge = math.tan(hfov / 2)
    u, _ = camera.project(np.array([-edge, edge]), np.zeros(2), np.ones(2))
    assert u == pytest.approx([-0.5, width - 0.5])


@patient
@given(st.sampled_from(LENSES), st.sampled_from([0.5, 0.25, 2.0]), degrees, degrees)
def test_a_resized_picture_shows_the_same_at_the_same_place(
    lens: tuple[str, tuple[float, ...]], factor: float, a: float, b: float
) -> None:
    camera = camera_of(lens)
    ray = np.array([math.tan(math.radians(a))]), np.array([math.tan(math.radians(b))]), np.ones(1)
    big, small = camera.project(*ray), camera.scaled(factor).project(*ray)
    for one, other in zip(big, small, strict=True):
        assert np.allclose((one + 0.5) * factor - 0.5, other, equal_nan=True)


# ---- rigs --------------------------------------------------------------------------------------


@patient
@given(st.floats(-3, 3), st.floats(-1.3, 1.3))
def test_a_rig_is_a_rotation_with_rep_103_signs(yaw: float, pitch: float) -> None:
    turn = wearer_from_optical(Rig(camera_yaw=yaw, camera_pitch=pitch))
    assert turn @ turn.T == pytest.approx(np.eye(3))
    assert np.linalg.det(turn) == pytest.approx(1)
    axis = turn @ (0, 0, 1)
    assert math.atan2(axis[1], axis[0]) == pytest.approx(yaw), "left is positive"
    assert math.asin(-axis[2]) == pytest.approx(pitch), "positive looks down"
    assert (turn @ (1, 0, 0))[2] == pytest.approx(0), "no roll"


def test_ahead_left_and_up_of_a_level_camera() -> None:
    turn = wearer_from_optical(Rig())
    assert turn @ (0, 0, 1) == pytest.approx((1, 0, 0))
    assert turn @ (-1, 0, 0) == pytest.approx((0, 1, 0))
    assert turn @ (0, -1, 0) == pytest.approx((0, 0, 1))


# ---- views -------------------------------------------------------------------------------------


def test_a_degree_is_equally_wide_everywhere() -> None:
    bearings, elevations = VIEW.bearings(), VIEW.elevations()
    assert np.diff(bearings) == pytest.approx(-VIEW.hfov / VIEW.width)
    assert bearings[0] == pytest.approx(-bearings[-1])
    assert bearings[0] > 0, "left is positive"
    assert np.diff(elevations) == pytest.approx(-VIEW.vfov / VIEW.height)
    assert elevations.mean() == pytest.approx(VIEW.elevation)


@patient
@given(st.floats(60, 110), st.sampled_from([(320, 240), (320, 180), (240, 320)]), st.floats(-12, 12))
def test_a_column_of_the_view_is_a_bearing(hfov: float, size: tuple[int, int], yaw: float) -> None:
    """With a level camera the plane of a bearing is a column of the picture, at focal length times its tangent."""
    camera = Camera.from_fov(*size, math.radians(hfov))
    pixels = view_map(camera, Rig(camera_yaw=math.radians(yaw)), VIEW)
    for column in (20, 60, 80, 111, 140):
        off = VIEW.bearings()[column] - math.radians(yaw)
        assert pixels[:, column, 0] == pytest.approx(camera.cx - camera.fx * math.tan(off), abs=1e-2)


def coloured(azimuth: Array, elevation: Array) -> Image:
    """What stands in a direction, in a world where every direction has its own colour."""
    waves = np.stack(
        [np.sin(3.1 * azimuth), np.sin(4.3 * elevation + 1), np.sin(2.2 * azimuth - 3.7 * elevation)], axis=-1
    )
    return np.asarray(128 + 110 * waves, np.uint8)


def rays_of(camera: Camera) -> tuple[Array, npt.NDArray[np.bool_]]:
    """[N, 3] the ray of every pixel by OpenCV, and [N] where its way back through the lens is exact."""
    v, u = np.mgrid[0 : camera.height, 0 : camera.width].astype(np.float64)
    points = np.stack([u.ravel(), v.ravel()], axis=-1)[:, None]
    k, d, none = matrix(camera), np.array(camera.d) if camera.d else np.zeros(4), np.zeros(3)
    fisheye = camera.distortion_model == "equidistant"
    flat = (cv2.fisheye.undistortPoints if fisheye else cv2.undistortPoints)(points, k, d)
    rays = np.concatenate([flat, np.ones((len(flat), 1, 1))], axis=-1)
    back = (cv2.fisheye.projectPoints if fisheye else cv2.projectPoints)(rays, none, none, k, d)[0]
    return np.asarray(rays[:, 0], np.float64), np.asarray(np.abs(back - points).max((1, 2)) < 0.2)


def photographed(camera: Camera, rig: Rig) -> Image:
    """The picture that a worn camera delivers of that world; rays by OpenCV, not by the code under test.

    Black where the ray is not known.
    """
    rays, exact = rays_of(camera)
    x, y, _ = rays.T
    for _ in range(rig.image_rotation // 90):  # clockwise: what is right comes to be below
        x, y = -y, x
    if rig.mirrored:
        x = -x
    ahead = np.stack([x, y, np.ones_like(x)], axis=-1) @ wearer_from_optical(rig).T
    azimuth = np.arctan2(ahead[:, 1], ahead[:, 0])
    elevation = np.arctan2(ahead[:, 2], np.hypot(ahead[:, 0], ahead[:, 1]))
    picture = np.where(exact[:, None], coloured(azimuth, elevation), 0).astype(np.uint8)
    return picture.reshape(camera.height, camera.width, 3)


@settings(max_examples=20, deadline=None)
@given(
    st.sampled_from(LENSES), rigs, st.floats(60, 110), st.sampled_from([(640, 480), (320, 180), (320, 240), (240, 320)])
)
def test_the_view_is_the_same_whatever_the_camera(
    lens: tuple[str, tuple[float, ...]], rig: Rig, hfov: float, size: tuple[int, int]
) -> None:
    camera = camera_of(lens, *size, math.radians(hfov))
    found = Rectifier(camera, rig, VIEW)(photographed(camera, rig))
    expected = coloured(*np.meshgrid(VIEW.bearings(), VIEW.elevations()))
    pixels = view_map(camera, rig, VIEW)
    exact = rays_of(camera)[1].reshape(camera.height, camera.width).astype(np.uint8)
    inside = remap(cv2.erode(exact, np.ones((9, 9))), pixels, fill=0, nearest=True) > 0
    inside &= ((pixels > 3) & (pixels < np.array([camera.width - 4, camera.height - 4]))).all(-1)
    assume(inside.mean() > 0.02)
    difference = np.abs(found.astype(int) - expected)[inside]
    assert difference.mean() < 2.5
    assert np.percentile(difference, 98) < 12


def test_what_the_camera_does_not_show_is_the_fill_colour() -> None:
    camera = Camera.from_fov(320, 240, math.radians(60))
    shown = Rectifier(camera, Rig(), VIEW)(np.full((240, 320, 3), 255, np.uint8))
    beside = np.abs(VIEW.bearings()) > math.radians(31)
    assert (shown[:, beside] == VIEW.fill).all()
    assert (shown[60, ~beside] == 255).mean() > 0.95
    assert (np.array(VIEW.fill) != 0).all()


def test_a_lens_that_ends_leaves_the_fill_colour_and_no_ghosts() -> None:
    camera = camera_of(("plumb_bob", (-0.5, 0.0, 0.0, 0.0, 0.0)), hfov=math.radians(50))
    shown = Rectifier(camera, Rig(), VIEW)(np.full((240, 320, 3), 255, np.uint8))
    assert (shown[:, 0] == VIEW.fill).all()
    assert (shown[:, -1] == VIEW.fill).all()


def test_thin_things_do_not_flicker_in_a_fine_picture() -> None:
    camera = Camera.from_fov(1920, 1080, math.radians(70))
    stripes = np.zeros((1080, 1920, 3), np.uint8)
    stripes[:, ::8] = 255
    shown = Rectifier(camera, Rig(), VIEW)(stripes)[80, 60:100].astype(int)
    assert shown.max() - shown.min() < 40, "an eighth white everywhere, not white here and black there"


def test_one_rectifier_serves_many_threads() -> None:
    camera = Camera.from_fov(320, 240, 1.5)
    rectify = Rectifier(camera, Rig(camera_pitch=0.2), VIEW)
    picture = photographed(camera, Rig(camera_pitch=0.2))
    once = rectify(picture)
    with ThreadPoolExecutor(8) as pool:
        assert all((again == once).all() for again in pool.map(rectify, [picture] * 32))


@pytest.mark.parametrize("rotation", [0, 90, 180, 270])
@pytest.mark.parametrize("mirrored", [False, True])
def test_squash_shows_the_whole_picture_upright(rotation: int, mirrored: bool) -> None:
    upright = np.zeros((60, 80, 3), np.uint8)
    upright[:30, :40] = (250, 0, 0)
    upright[:30, 40:] = (0, 250, 0)
    shown = upright[:, ::-1] if mirrored else upright
    delivered = np.ascontiguousarray(np.rot90(shown, rotation // 90))
    camera = Camera.from_fov(delivered.shape[1], delivered.shape[0], 1.5)
    view = View(projection="squash", width=40, height=40)
    squashed = Rectifier(camera, Rig(image_rotation=rotation, mirrored=mirrored), view)(delivered)
    assert squashed.shape == (40, 40, 3)
    assert tuple(squashed[5, 5]) == (250, 0, 0)
    assert tuple(squashed[5, 35]) == (0, 250, 0)
    assert tuple(squashed[35, 20]) == (0, 0, 0)


def test_remap_takes_the_nearest_where_numbers_are_names() -> None:
    names = np.array([[3, 9], [3, 9]], np.int16)
    pixels = np.array([[[0.4, 0.0], [0.6, 0.0], [5.0, 5.0]]], np.float32)
    assert remap(names, pixels, fill=-1, nearest=True).tolist() == [[3, 9, -1]]


# ---- what cannot be ----------------------------------------------------------------------------


@pytest.mark.parametrize(
    "change",
    [
        {"fx": 0.0}, {"fy": -3.0}, {"fx": math.nan}, {"cx": math.inf}, {"width": 0}, {"d": (math.nan,) * 5},
        {"d": (0.1, 0.2)}, {"distortion_model": "thin_prism", "d": (0.1,) * 12},
    ],
)  # fmt: skip
def test_cameras_that_cannot_be(change: dict[str, object]) -> None:
    with pytest.raises(UserError) as caught:
        replace(Camera.from_fov(320, 240, 1.5), **change)  # type: ignore[arg-type]
    assert "\n" not in str(caught.value)


def test_a_lens_without_distortion_may_have_any_model() -> None:
    assert replace(Camera.from_fov(320, 240, 1.5), distortion_model="none", d=(0.0,) * 4).d == (0.0,) * 4


@pytest.mark.parametrize("hfov", [0.0, -1.0, math.pi, math.nan])
def test_fields_of_view_that_cannot_be(hfov: float) -> None:
    with pytest.raises(UserError, match="field of view"):
        Camera.from_fov(320, 240, hfov)


@pytest.mark.parametrize("change", [{"image_rotation": 45}, {"camera_pitch": 1.5}, {"camera_pitch": math.nan}])
def test_rigs_that_cannot_be(change: dict[str, float]) -> None:
    with pytest.raises(UserError):
        Rig(**change)  # type: ignore[arg-type]


def test_a_view_goes_through_json() -> None:
    view = View(width=224, height=200, hfov=1.2, fill=(1, 2, 3))
    assert View.from_json(view.to_json()) == view
    assert View.from_json({}) == View()
    with pytest.raises(UserError, match="lens"):
        View.from_json({"lens": 3})
    with pytest.raises(UserError, match=PROJECTIONS[0]):
        View(projection="cubemap")


def test_a_picture_of_another_size_is_refused() -> None:
    rectify = Rectifier(Camera.from_fov(320, 240, 1.5), Rig(), VIEW)
    for shape in ((240, 321, 3), (320, 240, 3), (240, 320)):
        with pytest.raises(UserError, match="320x240"):
            rectify(np.zeros(shape, np.uint8))
