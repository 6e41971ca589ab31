"""The node `sim_camera`: a simulated worn camera on ROS 2. Run it: `nav-vlm-sim camera`, or `sim_camera_node`."""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import cv2
from rcl_interfaces.msg import SetParametersResult
from rclpy.node import Node
from rclpy.parameter import Parameter
from rclpy.qos import DurabilityPolicy, HistoryPolicy, QoSProfile, ReliabilityPolicy
from sensor_msgs.msg import CameraInfo, CompressedImage, Image
from std_msgs.msg import String

from nav_vlm_node.errors import UserError
from nav_vlm_node.ros import qos
from nav_vlm_node.ros.conversions import camera_to_ros, stamp_from_ros
from nav_vlm_node.ros.declaring import declare_table
from nav_vlm_node.ros.parameter_table import Spec
from nav_vlm_node.ros.run import run_nodes
from nav_vlm_node.view import Rig
from nav_vlm_sim.camera import SimulatedCamera
from nav_vlm_sim.records import Frame, frame_to_json
from nav_vlm_sim.scene import ROOMS
from nav_vlm_sim.textures import FAMILIES
from nav_vlm_sim.world import MAX_SIDE, SCENES_PER_WORLD

JPEG_QUALITY = 90
FIRST_SEED = 3_000_000 * SCENES_PER_WORLD  # of a world that no model is trained on
MOST_SEED = 2**53 - 1
TRUTH = QoSProfile(
    history=HistoryPolicy.KEEP_LAST,
    depth=1,
    reliability=ReliabilityPolicy.RELIABLE,
    durability=DurabilityPolicy.TRANSIENT_LOCAL,
)
"""The truth of what is shown now: whoever joins late gets it too."""

PARAMETERS: tuple[Spec, ...] = (
    Spec(name="seed", default=FIRST_SEED, low=0, high=MOST_SEED,
         description="which scene; setting it shows that scene next"),
    Spec(name="view", default=0, low=0, high=9999, description="which place in the scene; setting it shows that next"),
    Spec(name="views", default=3, low=1, high=100, description="places of a scene before the next scene's turn"),
    Spec(name="hold_time", default=0.0, unit="s", low=0.0, high=86400.0,
         description="time until the next place or scene; 0: stay"),
    Spec(name="rate", default=10.0, unit="Hz", low=0.1, high=120.0, read_only=True, description="pictures a second"),
    Spec(name="width", default=640, low=16, high=MAX_SIDE, read_only=True, description="pixels, as delivered"),
    Spec(name="height", default=480, low=16, high=MAX_SIDE, read_only=True, description="pixels, as delivered"),
    Spec(name="hfov", default=1.5708, unit="rad", low=0.2, high=2.6, read_only=True,
         description="field of view across the picture as delivered"),
    Spec(name="camera_yaw", default=0.0, unit="rad", low=-3.15, high=3.15, read_only=True,
         description="direction of the camera from where the wearer faces, left positive"),
    Spec(name="camera_pitch", default=0.175, unit="rad", low=-1.396, high=1.396, read_only=True,
         description="how far the camera looks down"),
    Spec(name="camera_height", default=1.4, unit="m", low=0.1, high=2.2, read_only=True,
         description="height of the camera above the floor"),
    Spec(name="image_rotation", default=0, unit="deg", choices=(0, 90, 180, 270), read_only=True,
         description="clockwise turn that puts the picture upright"),
    Spec(name="mirrored", default=False, read_only=True, description="the picture shows left and right swapped"),
    Spec(name="compressed", default=False, read_only=True, description="publish image/compressed (jpeg) too"),
    Spec(name="frame_id", default="camera_optical_frame", read_only=True, description="the optical frame's name"),
    Spec(name="room", default="any", choices=("any", *ROOMS), read_only=True, description="sort of room; any: by seed"),
    Spec(name="family", default="train", choices=tuple(FAMILIES), read_only=True,
         description="surface patterns and light"),
)  # fmt: skip


@dataclass(frozen=True, eq=False)
class _Shown:
    """A frame with its jpeg, b"" where none is wanted."""

    frame: Frame
    jpeg: bytes


class SimulatedCameraNode(Node):
    """Shows scenes by seed, one place after the other. This node will:

    * Publish `image` (sensor_msgs/Image, rgb8); by parameter `compressed`, `image/compressed` (CompressedImage, jpeg)
    * Publish `camera_info` (sensor_msgs/CameraInfo) with the image's stamp and frame_id
    * Publish `truth` (std_msgs/String, JSON, latched) when another picture is shown: what `nav-vlm-sim render --json`
      prints, and `stamp`, that of the first image that shows it [s]

    Every `hold_time` seconds of the node's clock the next place of the scene comes, then the next scene (seed + 1).
    Setting `seed` or `view` shows that one as soon as it is drawn; until then the old one goes on.
    Raises UserError where nothing can be drawn.
    """

    def __init__(self, **node_arguments: Any) -> None:
        super().__init__("sim_camera", **node_arguments)
        self._wanted = (FIRST_SEED, 0)
        self._declare()
        self._camera = SimulatedCamera(
            self._value("width"),
            self._value("height"),
            self._value("hfov"),
            rig=Rig(
                **{
                    name: self._value(name)
                    for name in ("camera_yaw", "camera_pitch", "camera_height", "image_rotation", "mirrored")
                }
            ),
            room=None if self._value("room") == "any" else self._value("room"),
            family=self._value("family"),
        )
        # OpenGL belongs to one thread; the executor's callbacks run on any.
        self._painter = ThreadPoolExecutor(1, "painter")
        self._drawing: Future[_Shown] | None = None
        self._at = (self._value("seed"), self._value("view"))
        self._wanted = self._at
        self._told: _Shown | None = None
        self._info = camera_to_ros(self._camera.camera)
        try:
            self._shown = self._painter.submit(self._draw, *self._at).result()
        except BaseException:
            self.stop()
            raise
        self._shown_since = self.get_clock().now()
        self._images = self.create_publisher(Image, "image", qos.CAMERA)
        self._infos = self.create_publisher(CameraInfo, "camera_info", qos.CAMERA)
        self._truths = self.create_publisher(String, "truth", TRUTH)
        self._jpegs = None
        if self._value("compressed"):
            self._jpegs = self.create_publisher(CompressedImage, "image/compressed", qos.CAMERA)
        self.create_timer(1.0 / self._value("rate"), self._tick)
        self.get_logger().info(  # type: ignore[no-untyped-call]
            f"scene {self._at[0]}, {self._info.width}x{self._info.height} on {self._images.topic_name}, "
            f"{self._value('rate'):g} Hz"
        )

    def stop(self) -> None:
        """Free the graphics. Idempotent."""
        try:
            self._painter.submit(self._camera.close).result()
        except RuntimeError:  # shut down before
            return
        self._painter.shutdown(wait=True)

    def _declare(self) -> None:
        def follow(changed: list[Parameter]) -> SetParametersResult:
            values = {parameter.name: parameter.value for parameter in changed}
            if "seed" in values or "view" in values:
                seed = values.get("seed", self._wanted[0])
                self._wanted = (seed, values.get("view", 0 if "seed" in values else self._wanted[1]))
            return SetParametersResult(successful=True)

        # What is added first is called last, when every check has let the change by; Humble has no callback for after.
        self.add_on_set_parameters_callback(follow)
        declare_table(self, PARAMETERS)

    def _value(self, name: str) -> Any:
        return self.get_parameter(name).value

    def _draw(self, seed: int, view: int) -> _Shown:
        """On the painter's thread."""
        frame = self._camera.frame(seed, view)
        jpeg = b""
        if self._value("compressed"):
            ok, data = cv2.imencode(".jpg", frame.raw[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, JPEG_QUALITY])
            assert ok
            jpeg = data.tobytes()
        return _Shown(frame, jpeg)

    def _tick(self) -> None:
        self._advance()
        shown = self._shown
        stamp = self.get_clock().now().to_msg()
        self._info.header.stamp = stamp
        self._info.header.frame_id = self._value("frame_id")
        raw = shown.frame.raw
        image = Image(height=raw.shape[0], width=raw.shape[1], encoding="rgb8", is_bigendian=0, step=3 * raw.shape[1])
        image.header = self._info.header
        image.data = raw.tobytes()
        self._infos.publish(self._info)
        self._images.publish(image)
        if self._jpegs is not None:
            self._jpegs.publish(
                CompressedImage(header=self._info.header, format="rgb8; jpeg compressed bgr8", data=shown.jpeg)
            )
        if shown is not self._told:
            self._told = shown
            truth = frame_to_json(shown.frame) | {"stamp": stamp_from_ros(stamp)}
            self._truths.publish(String(data=json.dumps(truth)))

    def _advance(self) -> None:
        """Takes over what has been drawn, and has the next one drawn when it is its turn."""
        if self._drawing is not None:
            if not self._drawing.done():
                return
            self._shown, self._drawing = self._drawing.result(), None
            self._shown_since = self.get_clock().now()
        held = (self.get_clock().now() - self._shown_since).nanoseconds * 1e-9
        hold = self._value("hold_time")
        if self._wanted == self._at and hold and held >= hold:
            seed, view = self._at
            last = view + 1 >= self._value("views")
            self._wanted = (seed + 1, 0) if last else (seed, view + 1)
        if self._wanted != self._at:
            self._at = self._wanted
            self._drawing = self._painter.submit(self._draw, *self._at)


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs the node until SIGINT or SIGTERM. Returns the exit status; 2 after one line that says what is wrong."""
    words = list(sys.argv[1:] if arguments is None else arguments)
    try:
        return run_nodes(lambda: [SimulatedCameraNode()], ["sim_camera_node", *words])
    except UserError as error:
        print(f"sim_camera_node: error: {error}", file=sys.stderr)
        return 2


if __name__ == "__main__":
    raise SystemExit(main())
