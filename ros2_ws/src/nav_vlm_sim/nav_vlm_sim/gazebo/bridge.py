"""What ros_gz_bridge carries between Gazebo and ROS 2, as the YAML that its parameter_bridge reads (config_file)."""

from __future__ import annotations

from dataclasses import dataclass

from nav_vlm_sim.gazebo.simulators import WEARER

TO_ROS, TO_GZ = "GZ_TO_ROS", "ROS_TO_GZ"


@dataclass(frozen=True, kw_only=True)
class Topic:
    """ros: the name in ROS 2; a relative one follows the bridge's namespace."""

    ros: str
    gz: str
    ros_type: str
    gz_type: str
    direction: str = TO_ROS


TOPICS = (
    Topic(ros="/clock", gz="clock", ros_type="rosgraph_msgs/msg/Clock", gz_type="gz.msgs.Clock"),
    Topic(ros="image", gz=f"{WEARER}/image", ros_type="sensor_msgs/msg/Image", gz_type="gz.msgs.Image"),
    Topic(
        ros="camera_info", gz=f"{WEARER}/camera_info",
        ros_type="sensor_msgs/msg/CameraInfo", gz_type="gz.msgs.CameraInfo",
    ),
    Topic(ros="depth", gz=f"{WEARER}/depth/image", ros_type="sensor_msgs/msg/Image", gz_type="gz.msgs.Image"),
    Topic(ros="imu", gz=f"{WEARER}/imu", ros_type="sensor_msgs/msg/Imu", gz_type="gz.msgs.IMU"),
    Topic(ros="odom", gz=f"{WEARER}/odom", ros_type="nav_msgs/msg/Odometry", gz_type="gz.msgs.Odometry"),
    Topic(
        ros="cmd_vel", gz=f"{WEARER}/cmd_vel",
        ros_type="geometry_msgs/msg/Twist", gz_type="gz.msgs.Twist", direction=TO_GZ,
    ),
)  # fmt: skip


def bridge_yaml() -> str:
    """The file's text."""
    return "".join(
        f'- ros_topic_name: "{topic.ros}"\n  gz_topic_name: "/{topic.gz}"\n  ros_type_name: "{topic.ros_type}"\n'
        f'  gz_type_name: "{topic.gz_type}"\n  direction: {topic.direction}\n'
        for topic in TOPICS
    )
