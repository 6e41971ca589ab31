"""The parameters of the camera's nodes, as tables; no ROS here, and nothing else."""

from __future__ import annotations

from nav_vlm_node.ros.parameter_table import Spec

CAMERA: tuple[Spec, ...] = (
    Spec(
        name="source",
        default="",
        read_only=True,
        description="a camera (0, /dev/video0), a video, an image, or a folder of images (jpeg, png; in order of name)",
    ),
    Spec(
        name="hfov",
        default=0.0,
        unit="rad",
        low=0.0,
        high=3.1,
        read_only=True,
        description="field of view across the image; 0: not known, and camera_info says so (uncalibrated)",
    ),
    Spec(
        name="rate",
        default=0.0,
        unit="Hz",
        low=0.0,
        high=240.0,
        read_only=True,
        description="images a second, at most for a camera; 0: the source's own, 10 for images",
    ),
    Spec(name="loop", default=False, read_only=True, description="begin again at the end of a video or folder"),
    Spec(name="raw", default=True, read_only=True, description="publish image"),
    Spec(name="compressed", default=False, read_only=True, description="publish image/compressed (jpeg)"),
    Spec(
        name="jpeg_quality",
        default=85,
        low=1,
        high=100,
        read_only=True,
        description="quality of the jpegs",
    ),
    Spec(name="frame_id", default="camera_optical_frame", read_only=True, description="the optical frame's name"),
)

JPEG: tuple[Spec, ...] = (
    Spec(name="jpeg_quality", default=85, low=1, high=100, description="quality of the jpegs"),
    Spec(
        name="max_rate",
        default=10.0,
        unit="Hz",
        low=0.1,
        high=240.0,
        description="jpegs a second, at most; images in between are dropped",
    ),
)

PLAY: tuple[Spec, ...] = (
    Spec(name="bag", default="", read_only=True, description="rosbag2 folder, .mcap or .db3"),
    Spec(
        name="rate",
        default=1.0,
        low=0.05,
        high=20.0,
        read_only=True,
        description="how fast it is played; 1: as it was recorded",
    ),
)
