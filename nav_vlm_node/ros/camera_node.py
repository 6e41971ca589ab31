"""The node `camera`: a webcam, a video or a folder of images as a camera on ROS 2. Run `camera_node`."""

from __future__ import annotations

import logging
import sys
import threading
import time
from collections.abc import Mapping
from typing import Any

from builtin_interfaces.msg import Time
from rclpy.node import Node
from rclpy.parameter import Parameter
from sensor_msgs.msg import CameraInfo, CompressedImage
from sensor_msgs.msg import Image as ImageMsg

from nav_vlm_node.errors import UserError
from nav_vlm_node.frames import Image
from nav_vlm_node.ros import qos
from nav_vlm_node.ros.camera_tables import CAMERA
from nav_vlm_node.ros.conversions import camera_to_ros
from nav_vlm_node.ros.declaring import declare_table
from nav_vlm_node.ros.jpeg import JPEG_FORMAT, jpeg_of
from nav_vlm_node.ros.run import run_nodes
from nav_vlm_node.sources import Source, open_source
from nav_vlm_node.view import Camera


class CameraNode(Node):
    """Shows a source as a camera does. This node will:

    * Publish `image` (sensor_msgs/Image, rgb8) and, by parameter `compressed`, `image/compressed` (CompressedImage)
    * Publish `camera_info` (sensor_msgs/CameraInfo) with the image's stamp and frame_id; without `hfov` it says that
      the camera is not calibrated

    A picture of a camera is stamped when it has been read, one of a file when it is shown, by the node's clock. A file
    that is shown once begins when somebody subscribes.
    ended: set when there is nothing more to show; `fault` then says why, "" for the end of the file.
    Raises UserError where the source cannot be read.
    """

    def __init__(self, *, ended: threading.Event | None = None, **node_arguments: Any) -> None:
        super().__init__("camera", **node_arguments)
        self.log: Any = Node.get_logger(self)
        self.ended = ended or threading.Event()
        self.fault = ""
        values = declare_table(self, CAMERA)
        self._values = values
        if not values["raw"] and not values["compressed"]:
            raise UserError("neither raw nor compressed: there is nothing to publish; set one of them to true")
        self._source: Source = open_source(values["source"])
        self._info = CameraInfo()
        self._images = self.create_publisher(ImageMsg, "image", qos.CAMERA) if values["raw"] else None
        self._jpegs = None
        if values["compressed"]:
            self._jpegs = self.create_publisher(CompressedImage, "image/compressed", qos.CAMERA)
        self._infos = self.create_publisher(CameraInfo, "camera_info", qos.CAMERA)
        self._stopping = threading.Event()
        topics = " and ".join(str(publisher.topic_name) for publisher in (self._images, self._jpegs) if publisher)
        self.log.info(f"{self._source.name} on {topics}")
        self._thread = threading.Thread(target=self._run, name="camera", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Stop showing. Idempotent."""
        self._stopping.set()
        self._thread.join(5.0)
        if not self._thread.is_alive():  # a camera that hangs is left to the end of the process
            self._source.close()

    def _run(self) -> None:
        try:
            self._show()
        except UserError as error:
            self.fault = str(error)
        except Exception as error:
            logging.getLogger(__name__).exception("the camera failed")
            self.fault = f"{type(error).__name__}: {error}"
        self.ended.set()

    def _show(self) -> None:
        source, rate, loop = self._source, float(self._values["rate"]), bool(self._values["loop"])
        period = 1.0 / rate if rate else 0.0 if source.live or not source.rate else 1.0 / source.rate
        if not source.live and not loop:
            self._await_subscriber()
        due = time.monotonic()
        for image in source.pictures(loop):
            early = due - time.monotonic()
            if source.live and early > 0.1 * period:
                continue  # read, so that the next one is fresh, and left out
            if self._stopping.wait(max(0.0, early)):
                return
            self._publish(image, self.get_clock().now().to_msg())
            due = max(due + period, time.monotonic() - period)  # no burst after a pause

    def _await_subscriber(self) -> None:
        """Until somebody sees what is shown only once."""
        publishers = [publisher for publisher in (self._images, self._jpegs) if publisher]
        while not any(publisher.get_subscription_count() for publisher in publishers):
            if self._stopping.wait(0.05):
                return

    def _publish(self, image: Image, stamp: Time) -> None:
        height, width = image.shape[:2]
        info = self._info_of(width, height)
        info.header.stamp, info.header.frame_id = stamp, self._values["frame_id"]
        self._infos.publish(info)
        if self._images is not None:
            message = ImageMsg(height=height, width=width, encoding="rgb8", is_bigendian=0, step=3 * width)
            message.header = info.header
            message.data = image.tobytes()
            self._images.publish(message)
        if self._jpegs is not None:
            data = jpeg_of(image, int(self._values["jpeg_quality"]))
            self._jpegs.publish(CompressedImage(header=info.header, format=JPEG_FORMAT, data=data))

    def _info_of(self, width: int, height: int) -> CameraInfo:
        """Of this size; folders may hold images of several."""
        if (self._info.width, self._info.height) != (width, height):
            hfov = float(self._values["hfov"])
            if hfov > 0:
                self._info = camera_to_ros(Camera.from_fov(width, height, hfov))
            else:
                self._info = CameraInfo(width=width, height=height)  # K[0] = 0: uncalibrated
        return self._info


def show(
    arguments: list[str] | None = None,
    values: Mapping[str, bool | int | float | str] | None = None,
    **node_arguments: Any,
) -> int:
    """Run the node until SIGINT, SIGTERM or the end of the source; returns the exit status, 1 for a lost camera.

    values: parameters by name. Raises UserError for a source that cannot be read and for parameters that cannot be.
    """
    ended = threading.Event()
    made: list[CameraNode] = []
    overrides = [Parameter(name, value=value) for name, value in (values or {}).items()]

    def make() -> list[CameraNode]:
        made.append(CameraNode(ended=ended, parameter_overrides=overrides, **node_arguments))
        return made

    status = run_nodes(make, arguments, ended=ended)
    if made[0].fault:
        print(f"camera: error: {made[0].fault}", file=sys.stderr)
        return 1
    return status


def main() -> int:
    """The executable `camera_node`."""
    try:
        return show(sys.argv)
    except UserError as error:
        print(f"camera_node: error: {error}", file=sys.stderr)
        return 2


if __name__ == "__main__":
    sys.exit(main())
