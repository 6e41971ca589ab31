"""The node `image_to_jpeg`: a camera's raw images as jpegs, so that only these cross a network: `republish_node`."""

from __future__ import annotations

import sys
import time
from typing import Any

from rclpy.node import Node
from sensor_msgs.msg import CompressedImage, Image

from nav_vlm_node.errors import UserError
from nav_vlm_node.ros import qos
from nav_vlm_node.ros.camera_tables import JPEG
from nav_vlm_node.ros.declaring import declare_table
from nav_vlm_node.ros.images import image_from_ros
from nav_vlm_node.ros.jpeg import JPEG_FORMAT, jpeg_of
from nav_vlm_node.ros.run import main_of


class RepublishNode(Node):
    """What the wearer's computer runs when the GPU is on another one. This node will:

    * Subscribe `image` (sensor_msgs/Image), in every encoding that the node nav_vlm understands
    * Publish `image/compressed` (sensor_msgs/CompressedImage, jpeg) with the image's own stamp and frame_id

    Nothing is encoded while nobody subscribes. Images beyond `max_rate` are dropped; the newest is always preferred.
    """

    def __init__(self, **node_arguments: Any) -> None:
        super().__init__("image_to_jpeg", **node_arguments)
        self.log: Any = Node.get_logger(self)
        declare_table(self, JPEG)
        self._problem = ""
        self._due = 0.0  # time.monotonic() from which the next image is wanted
        self._jpegs = self.create_publisher(CompressedImage, "image/compressed", qos.CAMERA)
        subscription = self.create_subscription(Image, "image", self._on_image, qos.CAMERA)
        self.log.info(f"{subscription.topic_name} as jpeg on {self._jpegs.topic_name}")

    def _on_image(self, message: Image) -> None:
        now = time.monotonic()
        period = 1.0 / float(self.get_parameter("max_rate").value)
        if now < self._due - 0.1 * period or not self._jpegs.get_subscription_count():
            return
        self._due = max(self._due + period, now)
        try:
            data = jpeg_of(image_from_ros(message), int(self.get_parameter("jpeg_quality").value))
        except (UserError, ValueError) as error:
            if str(error) != self._problem:  # said once, not thirty times a second
                self._problem = str(error)
                self.log.error(f"image not passed on: {error}")
            return
        self._problem = ""
        self._jpegs.publish(CompressedImage(header=message.header, format=JPEG_FORMAT, data=data))


def main() -> int:
    """The executable `republish_node`."""
    return main_of(lambda: [RepublishNode()])


if __name__ == "__main__":
    sys.exit(main())
