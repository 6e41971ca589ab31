"""Cameras, how they are worn, and the model's virtual camera: geometry only.

Three frames are used. The *wearer's* frame is REP-103: x ahead (level), y left, z up. The camera's
*optical* frame is REP-103's: x right, y down, z ahead. A *view* is the picture that the model gets:
level with gravity, upright, unmirrored, with a known angle for every pixel, whatever camera took it.

In an equirectangular view the bearing of column u is (0.5 - (u + 0.5) / width) * hfov and the
elevation of row v is `elevation` + (0.5 - (v + 0.5) / height) * vfov, so a degree is as wide at the
edge as in the middle, and cameras of different fields of view draw the same thing equally large.
"""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from nav_vlm_node.errors import UserError

Array = npt.NDArray[np.float64]
Image = npt.NDArray[np.uint8]

PROJECTIONS = ("equirectangular", "squash")
DISTORTION_LENGTHS = {"": (0,), "plumb_bob": (0, 4, 5), "rational_polynomial": (0, 8), "equidistant": (0, 4)}


@dataclass(frozen=True, kw_only=True)
class Camera:
    """Intrinsics as in sensor_msgs/CameraInfo: pixels, of the picture as the camera delivers it.

    Raises UserError where the numbers cannot be a camera's.
    """

    width: int
    height: int
    fx: float
    fy: float
    cx: float
    cy: float
    distortion_model: str = "plumb_bob"
    d: tuple[float, ...] = ()

    def __post_init__(self) -> None:
        numbers = (self.fx, self.fy, self.cx, self.cy, *self.d)
        if not all(map(math.isfinite, numbers)) or min(self.width, self.height) < 1 or min(self.fx, self.fy) <= 0:
            raise UserError(
                f"camera intrinsics make no sense (width {self.width}, height {self.height}, fx {self.fx}, "
                f"fy {self.fy}); calibrate the camera, or leave camera_info unpublished and set camera_hfov"
            )
        if len(self.d) not in DISTORTION_LENGTHS.get(self.distortion_model, ()) and any(self.d):
            raise UserError(
                f"distortion model {self.distortion_model!r} with {len(self.d)} coefficients is not known; "
                "use plumb_bob (5), rational_polynomial (8) or equidistant (4)"
            )

    @classmethod
    def from_fov(cls, width: int, height: int, hfov: float) -> Camera:
        """A camera without distortion and with square pixels; hfov in radians, 0 < hfov < pi."""
        if not 0.0 < hfov < math.pi:
            raise UserError(f"horizontal field of view of {math.degrees(hfov):.0f} degrees: give 1 to 179")
        focal = width / 2 / math.tan(hfov / 2)
        return cls(width=width, height=height, fx=focal, fy=focal, cx=(width - 1) / 2, cy=(height - 1) / 2)

    @property
    def hfov(self) -> float:
        """Horizontal field of view in radians, without distortion."""
        return math.atan((self.cx + 0.5) / self.fx) + math.atan((self.width - 0.5 - self.cx) / self.fx)

    def scaled(self, factor: float) -> Camera:
        """The same camera with its picture resized by `factor` (pixel centres at whole numbers)."""
        return Camera(
            width=max(1, round(self.width * factor)),
            height=max(1, round(self.height * factor)),
            fx=self.fx * factor,
            fy=self.fy * factor,
            cx=(self.cx + 0.5) * factor - 0.5,
            cy=(self.cy + 0.5) * factor - 0.5,
            distortion_model=self.distortion_model,
            d=self.d,
        )

    def project(self, x: Array, y: Array, z: Array) -> tuple[Array, Array]:
        """Optical-frame directions to pixels (u, v); NaN behind the camera or past the lens model.

        Distortion: OpenCV's documented models (calib3d, "Detailed Description", and its fisheye).
        """
        with np.errstate(divide="ignore", invalid="ignore"):
            a, b = np.where(z > 1e-6, x / z, np.nan), np.where(z > 1e-6, y / z, np.nan)
            a, b = self._distort(a, b)
        return self.fx * a + self.cx, self.fy * b + self.cy

    def _distort(self, a: Array, b: Array) -> tuple[Array, Array]:
        if not any(self.d):
            return a, b
        r2 = a * a + b * b
        if self.distortion_model == "equidistant":
            r = np.sqrt(r2)
            theta = np.arctan(r)
            k = self.d
            bent = theta * (1 + k[0] * theta**2 + k[1] * theta**4 + k[2] * theta**6 + k[3] * theta**8)
            scale = np.where(r > 1e-9, bent / np.maximum(r, 1e-9), 1.0)
            return a * scale, b * scale
        k1, k2, p1, p2, k3, k4, k5, k6 = (*self.d, *(0.0,) * (8 - len(self.d)))
        # A polynomial lens folds back beyond its valid radius: what lies past the fold is outside the picture.
        radial = (1 + k1 * r2 + k2 * r2**2 + k3 * r2**3) / (1 + k4 * r2 + k5 * r2**2 + k6 * r2**3)
        radial = np.where(r2 > _fold_radius2((k1, k2, k3, k4, k5, k6)), np.nan, radial)
        return (
            a * radial + 2 * p1 * a * b + p2 * (r2 + 2 * a * a),
            b * radial + p1 * (r2 + 2 * b * b) + 2 * p2 * a * b,
        )


def _fold_radius2(k: tuple[float, float, float, float, float, float]) -> float:
    """Squared undistorted radius at which a radial model stops growing; inf where it never does."""
    r = np.linspace(0.0, 4.0, 801)
    r2 = r * r
    with np.errstate(divide="ignore", invalid="ignore"):
        bent = r * (1 + k[0] * r2 + k[1] * r2**2 + k[2] * r2**3) / (1 + k[3] * r2 + k[4] * r2**2 + k[5] * r2**3)
    falling = np.flatnonzero(~(np.diff(bent) > 0))
    return float(r2[falling[0]]) if len(falling) else math.inf


@dataclass(frozen=True, kw_only=True)
class Rig:
    """How the camera is worn.

    camera_yaw: radians, left positive, of the optical axis from where the wearer faces.
    camera_pitch: radians, positive looks down. camera_height: metres above the floor.
    image_rotation: degrees clockwise by which the delivered picture must be turned to stand upright.
    mirrored: the upright picture shows left and right swapped.
    """

    camera_yaw: float = 0.0
    camera_pitch: float = 0.0
    camera_height: float = 1.4
    image_rotation: int = 0
    mirrored: bool = False

    def __post_init__(self) -> None:
        if self.image_rotation not in (0, 90, 180, 270):
            raise UserError(f"image_rotation {self.image_rotation}: give 0, 90, 180 or 270 (degrees clockwise)")
        if not abs(self.camera_pitch) <= math.radians(80):
            raise UserError(f"camera_pitch {self.camera_pitch} rad: give at most 80 degrees up or down")


@dataclass(frozen=True, kw_only=True)
class View:
    """The model's virtual camera; angles in radians. `squash` is the whole picture, scaled to fit.

    fill: RGB of what the real camera does not show.
    """

    projection: str = "equirectangular"
    width: int = 160
    height: int = 160
    hfov: float = math.radians(100)
    vfov: float = math.radians(80)
    elevation: float = math.radians(-12)
    fill: tuple[int, int, int] = field(default=(122, 116, 104))  # CLIP's mean colour: 0 after normalising

    def __post_init__(self) -> None:
        if self.projection not in PROJECTIONS:
            raise UserError(f"view projection {self.projection!r} is not known; use one of {', '.join(PROJECTIONS)}")

    def to_json(self) -> dict[str, Any]:
        """A JSON-ready dict that `from_json` reads back."""
        return asdict(self)

    @classmethod
    def from_json(cls, data: dict[str, Any]) -> View:
        """Raises UserError for unknown keys or values."""
        try:
            return cls(**{**data, "fill": tuple(data.get("fill", cls().fill))})
        except TypeError as error:
            raise UserError(
                f"the model's view is not understood ({error}); update nav_vlm or retrain the model"
            ) from None

    def bearings(self) -> Array:
        """[width] bearing of each column, radians, left positive."""
        return (0.5 - (np.arange(self.width) + 0.5) / self.width) * self.hfov

    def elevations(self) -> Array:
        """[height] elevation of each row, radians, up positive."""
        return self.elevation + (0.5 - (np.arange(self.height) + 0.5) / self.height) * self.vfov


class Rectifier:
    """Turns pictures of one worn camera into a model's view. Maps are computed once; thread-safe after that.

    Call with uint8 [camera.height, camera.width, 3]; returns a new uint8 [view.height, view.width, 3].
    """

    def __init__(self, camera: Camera, rig: Rig, view: View) -> None:
        self.camera, self.rig, self.view = camera, rig, view
        if view.projection == "squash":
            return
        # Reduce first where the camera is much finer than the view, or thin things would flicker.
        fineness = max(camera.fx, camera.fy) / (view.width / view.hfov)
        self._reduce = 1.0 / max(1, int(fineness))
        self._map = view_map(camera.scaled(self._reduce), rig, view)

    def __call__(self, image: Image) -> Image:
        import cv2

        if image.shape != (self.camera.height, self.camera.width, 3):
            raise UserError(
                f"picture of {image.shape[1]}x{image.shape[0]} from a camera of "
                f"{self.camera.width}x{self.camera.height}; make camera_info and image agree"
            )
        size = (self.view.width, self.view.height)
        if self.view.projection == "squash":
            upright = np.rot90(image, -self.rig.image_rotation // 90)
            upright = upright[:, ::-1] if self.rig.mirrored else upright
            return np.asarray(cv2.resize(np.ascontiguousarray(upright), size, interpolation=cv2.INTER_AREA), np.uint8)
        if self._reduce < 1.0:
            small = self.camera.scaled(self._reduce)
            image = np.asarray(cv2.resize(image, (small.width, small.height), interpolation=cv2.INTER_AREA), np.uint8)
        return remap(image, self._map, fill=self.view.fill)


def view_map(camera: Camera, rig: Rig, view: View) -> npt.NDArray[np.float32]:
    """[view.height, view.width, 2] camera pixel (u, v) of every view pixel; far outside where there is none."""
    azimuth, elevation = np.meshgrid(view.bearings(), view.elevations())
    ahead = np.stack(
        [np.cos(elevation) * np.cos(azimuth), np.cos(elevation) * np.sin(azimuth), np.sin(elevation)], axis=-1
    )
    x_optical, y_optical, z_optical = np.moveaxis(ahead @ wearer_from_optical(rig), -1, 0)
    if rig.mirrored:
        x_optical = -x_optical
    for _ in range(rig.image_rotation // 90):
        x_optical, y_optical = y_optical, -x_optical
    pixels = np.stack(camera.project(x_optical, y_optical, z_optical), axis=-1)
    return np.nan_to_num(pixels, nan=-1e4, posinf=-1e4, neginf=-1e4).clip(-1e4, 1e4).astype(np.float32)


def wearer_from_optical(rig: Rig) -> Array:
    """[3, 3] rotation that takes optical-frame vectors of the upright picture to the wearer's frame."""
    cy, sy = math.cos(rig.camera_yaw), math.sin(rig.camera_yaw)
    cp, sp = math.cos(rig.camera_pitch), math.sin(rig.camera_pitch)
    yaw = np.array([[cy, -sy, 0], [sy, cy, 0], [0, 0, 1]])
    pitch = np.array([[cp, 0, sp], [0, 1, 0], [-sp, 0, cp]])
    body_from_optical = np.array([[0.0, 0, 1], [-1, 0, 0], [0, -1, 0]])
    return np.asarray(yaw @ pitch @ body_from_optical)


def remap(image: Any, pixels: npt.NDArray[np.float32], *, fill: tuple[int, ...] | float, nearest: bool = False) -> Any:
    """`image` sampled at `pixels` [H, W, 2]; `fill` where they lie outside."""
    import cv2

    how = cv2.INTER_NEAREST if nearest else cv2.INTER_LINEAR
    value = fill if isinstance(fill, tuple) else (float(fill),) * 4
    one_map: Any = None  # both coordinates are in `pixels`
    return cv2.remap(image, pixels, one_map, how, borderMode=cv2.BORDER_CONSTANT, borderValue=value)
