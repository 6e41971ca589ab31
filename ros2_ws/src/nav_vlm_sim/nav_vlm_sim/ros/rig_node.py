"""The node `sim_rig`: what somebody carries through a building, camera, IMU, odometry, and the time: `sim_rig_node`."""

from __future__ import annotations

import math
import sys
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from geometry_msgs.msg import PoseStamped
from nav_msgs.msg import Odometry as OdometryMsg
from rclpy.node import Node
from rclpy.qos import DurabilityPolicy, HistoryPolicy, QoSProfile, ReliabilityPolicy
from rosgraph_msgs.msg import Clock
from sensor_msgs.msg import CameraInfo, Image, Imu

from nav_vlm_node.errors import UserError
from nav_vlm_node.ros import qos
from nav_vlm_node.ros.conversions import camera_to_ros, stamp_from_ros, yaw_from_ros, yaw_to_ros
from nav_vlm_node.ros.declaring import declare_table
from nav_vlm_node.ros.run import run_nodes
from nav_vlm_node.score import wrap
from nav_vlm_sim.ros.walk_tables import EPOCH, RIG, plan_named
from nav_vlm_sim.scene import Pose
from nav_vlm_sim.walks.building import Building
from nav_vlm_sim.walks.crowd import Crowd
from nav_vlm_sim.walks.episode import Picture, Stage
from nav_vlm_sim.walks.painter import Painter
from nav_vlm_sim.walks.rig import CAMERA, Odometry, camera_pose
from nav_vlm_sim.walks.walker import BODY, TICK

Draw = Callable[[Building, Crowd, Pose], Picture]

GRAVITY = 9.80665  # m/s^2, the standard value (CGPM 1901)
EVERY_TICK = QoSProfile(
    history=HistoryPolicy.KEEP_LAST,
    depth=200,
    reliability=ReliabilityPolicy.RELIABLE,
    durability=DurabilityPolicy.VOLATILE,
)
"""Where the wearer is, and the time: none may be lost, or the walk is another one."""


class RigNode(Node):
    """Follows the wearer through a building. This node will:

    * Subscribe `wearer` (geometry_msgs/PoseStamped, frame map): where the body is at that simulated time
    * Publish `image` (sensor_msgs/Image, rgb8) and `camera_info`, `rate` times a simulated second, and where the wearer
      says the same place and time twice, at once
    * Publish `odom` (nav_msgs/Odometry) and `imu` (sensor_msgs/Imu) at every tick: with the errors of people's own
    * Publish `/clock` last, when all else of that time is out

    draw: instead of MuJoCo; it is called on one thread. Raises UserError for a plan that is none.
    """

    def __init__(self, *, draw: Draw | None = None, **node_arguments: Any) -> None:
        super().__init__("sim_rig", **node_arguments)
        values = declare_table(self, RIG)
        self.log: Any = Node.get_logger(self)
        self._seed, self._period = int(values["seed"]), 1.0 / float(values["rate"])
        self._frame_id = str(values["frame_id"])
        self._painter = draw or Painter()
        self.stage = Stage(plan_named(str(values["plan"])), self._painter)
        self._crowd = Crowd.of(self.stage.building, self.stage.space)
        self._odometry = Odometry(self._seed)
        self._last: tuple[float, float, float, float] | None = None  # time, x, y, yaw
        self._shown, self._image = -math.inf, Image()
        self._images = self.create_publisher(Image, "image", qos.CAMERA)
        self._infos = self.create_publisher(CameraInfo, "camera_info", qos.CAMERA)
        self._odometries = self.create_publisher(OdometryMsg, "odom", EVERY_TICK)
        self._imus = self.create_publisher(Imu, "imu", EVERY_TICK)
        self._clocks = self.create_publisher(Clock, "/clock", EVERY_TICK)
        # OpenGL belongs to one thread; the executor's callbacks run on any.
        self._drawing = ThreadPoolExecutor(1, "rig")
        self.create_subscription(PoseStamped, "wearer", self._on_wearer, EVERY_TICK)
        self.log.info(f"{self.stage.building.plan.name}: waiting for the wearer on {self.resolve_topic_name('wearer')}")

    def stop(self) -> None:
        """Free the graphics. Idempotent."""
        try:
            self._drawing.submit(getattr(self._painter, "close", lambda: None)).result()
        except RuntimeError:  # shut down before
            return
        self._drawing.shutdown(wait=True)

    def _on_wearer(self, message: PoseStamped) -> None:
        self._drawing.submit(self._follow, message).add_done_callback(self._complain)

    def _complain(self, done: Any) -> None:
        if not done.cancelled() and done.exception() is not None:
            self.log.error(f"the picture could not be drawn: {done.exception()}")

    def _follow(self, message: PoseStamped) -> None:
        """On the drawing thread: one message of the wearer, and all that is published for it."""
        time = stamp_from_ros(message.header.stamp)
        x, y = message.pose.position.x, message.pose.position.y
        yaw = yaw_from_ros(message.pose.orientation)
        if not all(map(math.isfinite, (time, x, y, yaw))):
            return
        looks = self._last is not None and time <= self._last[0]
        if not looks:
            self._pass(time, x, y, yaw, message)
        if time - self._shown >= self._period - 1e-6 or (looks and time > self._shown):
            self._draw(time, x, y, yaw, message)
            self._publish_image()
        elif looks:
            self._publish_image()
        self._clocks.publish(Clock(clock=message.header.stamp))

    def _pass(self, time: float, x: float, y: float, yaw: float, message: PoseStamped) -> None:
        """Time goes on: everybody moves, and is counted."""
        seconds = TICK if self._last is None else time - self._last[0]
        if self._last is not None:
            for _ in range(max(1, round(seconds / TICK))):
                self._crowd.step(TICK, x, y, BODY)
        place = self._odometry.step(x, y, yaw)
        turned = 0.0 if self._last is None else wrap(yaw - self._last[3]) / seconds
        gone = 0.0 if self._last is None else math.dist((x, y), self._last[1:3]) / seconds
        odometry = OdometryMsg(child_frame_id="base_link")
        odometry.header.stamp, odometry.header.frame_id = message.header.stamp, "odom"
        odometry.pose.pose.position.x, odometry.pose.pose.position.y = place.x, place.y
        odometry.pose.pose.orientation = yaw_to_ros(place.yaw)
        odometry.twist.twist.linear.x, odometry.twist.twist.angular.z = gone, turned
        self._odometries.publish(odometry)
        imu = Imu()
        imu.header.stamp, imu.header.frame_id = message.header.stamp, "base_link"
        imu.orientation = yaw_to_ros(place.yaw)
        imu.angular_velocity.z, imu.linear_acceleration.z = turned, GRAVITY
        self._imus.publish(imu)
        self._last = (time, x, y, yaw)

    def _draw(self, time: float, x: float, y: float, yaw: float, message: PoseStamped) -> None:
        picture = self.stage.picture(self._crowd, camera_pose(self._seed, time - EPOCH, x, y, yaw))
        height, width = picture.shape[:2]
        self._image = Image(height=height, width=width, encoding="rgb8", is_bigendian=0, step=3 * width)
        self._image.header.stamp, self._image.header.frame_id = message.header.stamp, self._frame_id
        self._image.data = picture.tobytes()
        self._shown = time

    def _publish_image(self) -> None:
        info = camera_to_ros(CAMERA)
        info.header = self._image.header
        self._infos.publish(info)
        self._images.publish(self._image)


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs the node until SIGINT or SIGTERM. Returns the exit status; 2 after one line that says what is wrong."""
    words = list(sys.argv[1:] if arguments is None else arguments)
    try:
        return run_nodes(lambda: [RigNode()], ["sim_rig_node", *words])
    except UserError as error:
        print(f"sim_rig_node: error: {error}", file=sys.stderr)
        return 2


if __name__ == "__main__":
    raise SystemExit(main())
