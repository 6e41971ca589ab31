"""Pictures to jpeg, as sensor_msgs/CompressedImage carries them."""

from __future__ import annotations

import cv2

from nav_vlm_node.frames import Image

JPEG_FORMAT = "rgb8; jpeg compressed bgr8"  # as image_transport names it: OpenCV's order inside the file


def jpeg_of(image: Image, quality: int) -> bytes:
    """The jpeg file of uint8 [H, W, 3] RGB; quality 1 to 100. Raises ValueError for what OpenCV cannot encode."""
    good, data = cv2.imencode(".jpg", image[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, quality])
    if not good:
        raise ValueError(f"a picture of shape {image.shape} cannot be a jpeg")
    return bytes(data.tobytes())
