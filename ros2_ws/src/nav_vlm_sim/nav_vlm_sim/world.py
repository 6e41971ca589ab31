"""Draws scenes with MuJoCo: colour, what each pixel shows, and how far away it is.

One pool of solids is edited for every scene, because building a model costs fifty times more than
drawing it. The physics is never stepped: poses are written straight into the drawn state.
"""

from __future__ import annotations

import math
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from nav_vlm_node.errors import UserError
from nav_vlm_node.view import Camera
from nav_vlm_sim import textures
from nav_vlm_sim.furniture import Part
from nav_vlm_sim.scene import Light, Pose, Scene

NO_GRAPHICS = (
    "MuJoCo cannot draw here ({}); install the Debian packages libegl1, libgl1 and libegl-mesa0 "
    "(sudo apt-get install libegl1 libgl1 libegl-mesa0)"
)

os.environ.setdefault("MUJOCO_GL", "egl")  # off-screen; MuJoCo reads it when it is imported
try:
    import mujoco
except ModuleNotFoundError as error:
    raise UserError(f"the simulator needs MuJoCo ({error}); run make setup, or pip install mujoco") from None
except (ImportError, AttributeError, OSError) as error:  # PyOpenGL fails in all these ways where libEGL is missing
    raise UserError(NO_GRAPHICS.format(" ".join(str(error).split()))) from None

POOL = {"box": 230, "cylinder": 4, "ellipsoid": 24, "capsule": 24}
BUILDING_POOL = {"box": 900, "cylinder": 24, "ellipsoid": 96, "capsule": 64}  # for `walks.building`
PATTERNS = 10  # of each sort ("flat" and "cube"), the number that furniture.material draws from
MAX_SIDE = 1280  # pixels, of the largest picture that can be drawn
SCENES_PER_WORLD = 48  # scenes that share one set of surface patterns
NOTHING = -1


@dataclass(frozen=True, slots=True)
class Render:
    """rgb: uint8 [H, W, 3]. item: int16 [H, W], index into scene.items, or NOTHING for the shell.
    shell: int16 [H, W], index into scene.shell, or NOTHING. depth: float32 [H, W] metres along the optical axis."""

    rgb: npt.NDArray[np.uint8]
    item: npt.NDArray[np.int16]
    shell: npt.NDArray[np.int16]
    depth: npt.NDArray[np.float32]


class World:
    """A drawing machine for the scenes of one pattern set. Close it, or use it as a context manager.

    pool: solids of each shape, as many as the largest scene has.

    Only the thread that made it may use it (OpenGL). Raises UserError where nothing can be drawn.
    """

    def __init__(self, seed: int, family: str = "train", pool: Mapping[str, int] = POOL) -> None:
        rng = np.random.default_rng([seed, 303, len(family)])
        xml, assets = _model_xml(rng, family, pool)
        self._pool = pool
        self.model = mujoco.MjModel.from_xml_string(xml, assets)
        self.data = mujoco.MjData(self.model)
        mujoco.mj_forward(self.model, self.data)
        self._material = {"": -1} | {self.model.material(i).name: i for i in range(self.model.nmat)}
        self._free = {shape: [self.model.geom(f"{shape}{i}").id for i in range(n)] for shape, n in pool.items()}
        try:
            self._gl = mujoco.GLContext(MAX_SIDE, MAX_SIDE)
            self._gl.make_current()
            self._context = mujoco.MjrContext(self.model, mujoco.mjtFontScale.mjFONTSCALE_100)
        except (ImportError, AttributeError, RuntimeError, mujoco.FatalError) as error:
            raise UserError(NO_GRAPHICS.format(" ".join(str(error).split()))) from None
        self._context.readDepthMap = mujoco.mjtDepthMap.mjDEPTH_ZEROFAR  # finer far away
        mujoco.mjr_setBuffer(mujoco.mjtFramebuffer.mjFB_OFFSCREEN, self._context)
        self._scene = mujoco.MjvScene(self.model, maxgeom=sum(pool.values()) + 100)
        self._option = mujoco.MjvOption()
        self._option.geomgroup[:] = 0
        self._option.geomgroup[0] = 1
        self._camera = mujoco.MjvCamera()
        self._camera.type = mujoco.mjtCamera.mjCAMERA_FIXED
        self._camera.fixedcamid = 0
        self._perturb = mujoco.MjvPerturb()
        for flag in ("SHADOW", "REFLECTION", "SKYBOX", "HAZE", "FOG"):
            self._scene.flags[getattr(mujoco.mjtRndFlag, f"mjRND_{flag}")] = 0
        self._item_of_geom = np.full(self.model.ngeom, NOTHING, np.int16)
        self._shell_of_geom = np.full(self.model.ngeom, NOTHING, np.int16)

    def __enter__(self) -> World:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Frees the graphics context."""
        if self._gl is not None:
            self._gl.make_current()  # or the pictures of whichever world was drawn last would be freed
            self._context.free()
            self._gl.free()
            self._gl = None

    def load(self, scene: Scene) -> None:
        """Makes this the scene that `render` draws."""
        m = self.model
        m.geom_group[:] = 5
        self._item_of_geom[:] = NOTHING
        self._shell_of_geom[:] = NOTHING
        used = dict.fromkeys(self._pool, 0)
        for index, part in enumerate(scene.shell):
            self._shell_of_geom[self._set(part, used, 0.0, 0.0, 0.0)] = index
        for index, item in enumerate(scene.items):
            for part in item.parts:
                self._item_of_geom[self._set(part, used, item.x, item.y, item.yaw)] = index
        self.light(scene.lights)
        m.vis.headlight.ambient[:] = scene.ambient
        m.vis.headlight.diffuse[:] = scene.headlight
        m.vis.headlight.specular[:] = 0

    def light(self, lights: Sequence[Light]) -> None:
        """Hangs these two lamps in place of the scene's."""
        m = self.model
        for i, light in enumerate(lights):
            self.data.light_xpos[i] = light.position
            self.data.light_xdir[i] = np.array(light.direction) / np.linalg.norm(light.direction)
            m.light_diffuse[i] = light.diffuse
            m.light_exponent[i] = light.exponent

    def _set(self, part: Part, used: dict[str, int], x: float, y: float, yaw: float) -> int:
        geom = self._free[part.shape][used[part.shape]]
        used[part.shape] += 1
        m, d = self.model, self.data
        c, s = math.cos(yaw), math.sin(yaw)
        px, py, pz = part.position
        d.geom_xpos[geom] = (x + c * px - s * py, y + s * px + c * py, pz)
        c, s = math.cos(yaw + part.yaw), math.sin(yaw + part.yaw)
        rotation = np.array([[c, -s, 0], [s, c, 0], [0, 0, 1.0]])
        size = np.array(part.size, float)
        if part.shape == "box" and part.material and size[0] == size.min():
            # MuJoCo lays a flat pattern on a geom's own x-y plane: turn that plane to face the room.
            rotation = rotation[:, [1, 2, 0]]
            size = size[[1, 2, 0]]
        d.geom_xmat[geom] = rotation.ravel()
        m.geom_size[geom] = size
        m.geom_rgba[geom, :3] = np.clip(part.rgb, 0, 1)
        m.geom_matid[geom] = self._material[part.material]
        m.geom_group[geom] = 0
        return geom

    def render(self, pose: Pose, camera: Camera) -> Render:
        """What the camera sees from there. Raises ValueError for a picture larger than MAX_SIDE."""
        if max(camera.width, camera.height) > MAX_SIDE:
            raise ValueError(f"picture of {camera.width}x{camera.height}: at most {MAX_SIDE} a side")
        m, d = self.model, self.data
        m.cam_fovy[0] = math.degrees(2 * math.atan(camera.height / 2 / camera.fy))
        d.cam_xpos[0] = (pose.x, pose.y, pose.height)
        d.cam_xmat[0] = camera_axes(pose).ravel()
        self._gl.make_current()
        mujoco.mjv_updateScene(m, d, self._option, self._perturb, self._camera, mujoco.mjtCatBit.mjCAT_ALL, self._scene)
        area = mujoco.MjrRect(0, 0, camera.width, camera.height)
        shape = (camera.height, camera.width)
        rgb, ids = np.empty((*shape, 3), np.uint8), np.empty((*shape, 3), np.uint8)
        depth = np.empty(shape, np.float32)
        mujoco.mjr_render(area, self._scene, self._context)
        mujoco.mjr_readPixels(rgb, None, area, self._context)
        flags = self._scene.flags
        flags[mujoco.mjtRndFlag.mjRND_SEGMENT] = flags[mujoco.mjtRndFlag.mjRND_IDCOLOR] = 1
        mujoco.mjr_render(area, self._scene, self._context)
        mujoco.mjr_readPixels(ids, depth, area, self._context)
        flags[mujoco.mjtRndFlag.mjRND_SEGMENT] = flags[mujoco.mjtRndFlag.mjRND_IDCOLOR] = 0
        geom = self._geom_of_color(ids[::-1])
        return Render(
            np.ascontiguousarray(rgb[::-1]),
            self._item_of_geom[geom],
            self._shell_of_geom[geom],
            self._metres(depth[::-1]),
        )

    def _geom_of_color(self, ids: npt.NDArray[np.uint8]) -> npt.NDArray[np.intp]:
        """[H, W] geom ids; the last id stands for the background."""
        code = ids[..., 0].astype(np.int64) + 256 * ids[..., 1].astype(np.int64)
        table = np.full(self._scene.ngeom + 1, self.model.ngeom - 1, np.int64)
        for k in range(self._scene.ngeom):
            shown = self._scene.geoms[k]
            table[shown.segid + 1] = shown.objid
        return table[np.minimum(code, self._scene.ngeom)]

    def _metres(self, buffer: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
        """Depth-buffer values to metres, as mujoco.Renderer's own depth rendering does it."""
        near, far = (float(v) * self.model.stat.extent for v in (self.model.vis.map.znear, self.model.vis.map.zfar))
        scale, shift = -(far + near) / (far - near), -2 * far * near / (far - near)
        return np.asarray(-0.5 * shift / (buffer.astype(np.float64) - 0.5 * scale - 0.5), np.float32)


def camera_axes(pose: Pose) -> npt.NDArray[np.float64]:
    """[3, 3] MuJoCo camera frame (columns: right, up, backwards) in the room's frame."""
    cy, sy, cp, sp = math.cos(pose.yaw), math.sin(pose.yaw), math.cos(pose.pitch), math.sin(pose.pitch)
    ahead = np.array([cy * cp, sy * cp, -sp])
    right = np.array([sy, -cy, 0.0])
    up = np.cross(right, ahead)
    cr, sr = math.cos(pose.roll), math.sin(pose.roll)
    return np.stack([cr * right - sr * up, sr * right + cr * up, -ahead], axis=1)


def _model_xml(rng: np.random.Generator, family: str, pool: Mapping[str, int]) -> tuple[str, dict[str, bytes]]:
    """The pool as MJCF, and its pattern files."""
    assets, lines = {}, []
    for sort, mapping in (("flat", "2d"), ("cube", "cube")):
        for i in range(PATTERNS):
            file = f"{sort}{i}.png"
            assets[file] = textures.png(textures.surface(rng, family))
            repeat = ""
            if sort == "flat":
                repeat = f'texuniform="true" texrepeat="{rng.uniform(0.3, 2):.2f} {rng.uniform(0.3, 2):.2f}"'
            gloss = f'specular="{rng.uniform(0, 0.4):.2f}" shininess=".3"'
            lines.append(
                f'<texture name="{sort}{i}" type="{mapping}" file="{file}"/>'
                f'<material name="{sort}:{i}" texture="{sort}{i}" {repeat} {gloss}/>'
            )
    signs = {f"exit_{arrow}": textures.exit_sign(rng, arrow) for arrow in ("", "left", "right", "ahead")}
    signs["toilet"] = textures.toilet_sign(rng)
    for name, picture in signs.items():
        assets[f"{name}.png"] = textures.png(picture)
        lines.append(
            f'<texture name="{name}" type="2d" file="{name}.png"/>'
            f'<material name="{name}" texture="{name}" texuniform="false" texrepeat="1 1" emission=".5"/>'
        )
    geoms = "".join(
        f'<geom name="{shape}{i}" type="{shape}" size=".1 .1 .1" contype="0" conaffinity="0" group="5"/>'
        for shape, n in pool.items()
        for i in range(n)
    )
    xml = f"""<mujoco><visual><global offwidth="{MAX_SIDE}" offheight="{MAX_SIDE}"/>
    <quality shadowsize="0" offsamples="0"/><map znear="0.01" zfar="10"/></visual>
    <statistic extent="4" center="0 0 1"/>
    <asset>{"".join(lines)}
    <material name="metal" specular=".9" shininess=".8"/><material name="glow" emission="1"/></asset>
    <worldbody><light name="l0" castshadow="false" cutoff="90"/><light name="l1" castshadow="false" cutoff="90"/>
    {geoms}<camera name="camera" pos="0 0 1.5"/>
    <geom name="background" type="box" size=".001 .001 .001" pos="0 0 -100" group="5"/></worldbody></mujoco>"""
    return xml, assets
