"""The node `play`: a recording's camera and questions, live and with /clock, for replay.launch.py: `play_node`."""

from __future__ import annotations

import sys
import threading
import time
from pathlib import Path
from typing import Any

from builtin_interfaces.msg import Time
from nav_msgs.msg import Odometry
from rclpy.node import Node
from rclpy.publisher import Publisher
from rclpy.qos import QoSProfile
from rosgraph_msgs.msg import Clock
from sensor_msgs.msg import CameraInfo, CompressedImage, Image
from std_msgs.msg import String

from nav_vlm_msgs.msg import Instruction, Query
from nav_vlm_node.errors import UserError
from nav_vlm_node.replay.bags import Bag
from nav_vlm_node.replay.storages import Raw, Topic
from nav_vlm_node.ros import qos
from nav_vlm_node.ros.camera_tables import PLAY
from nav_vlm_node.ros.declaring import declare_table
from nav_vlm_node.ros.guide_state import GuideState
from nav_vlm_node.ros.run import STOPPED, main_of_one

PLAYED: dict[str, tuple[Any, QoSProfile]] = {
    "sensor_msgs/msg/Image": (Image, qos.CAMERA),
    "sensor_msgs/msg/CompressedImage": (CompressedImage, qos.CAMERA),
    "sensor_msgs/msg/CameraInfo": (CameraInfo, qos.CAMERA),
    "nav_msgs/msg/Odometry": (Odometry, qos.ODOMETRY),
    "nav_vlm_msgs/msg/Query": (Query, qos.QUESTION),
}
TICK = 0.01  # s between two times on /clock
JUMP = 10.0  # s; a gap beyond is no pause but a wild time, and is not waited for
PATIENCE = 20.0  # s that the last answers are waited for
MATCHING = 10.0  # s that the node's subscriptions are waited for, once it is active


class PlayNode(Node):
    """Plays what nav_vlm hears, under the names that it has in the bag. This node will:

    * Wait until `nav_vlm` is active, by its service `nav_vlm/get_state`
    * Publish the bag's images, camera_info, odometry, `query` and `query_text`, and `/clock`: the bag's own, else by
      when each message was recorded
    * Subscribe `instruction`, and end once every question has its answer

    ended: set at the end; `fault` says why where it was too early. Raises UserError for what is no bag.
    """

    def __init__(self, *, ended: threading.Event | None = None, **node_arguments: Any) -> None:
        super().__init__("play", **node_arguments)
        values = declare_table(self, PLAY)
        self.log: Any = Node.get_logger(self)
        self.ended = ended or threading.Event()
        self.fault = ""
        self._rate = float(values["rate"])
        self._stop = threading.Event()
        if not values["bag"]:
            raise UserError("bag is empty; give bag:=FOLDER, a rosbag2 recording")
        self._bag = Bag(Path(str(values["bag"])).expanduser())
        for note in self._bag.notes:
            self.log.warning(note)
        self._asked = self._answered = self._shown = 0
        self.create_subscription(Instruction, "instruction", self._on_instruction, qos.ANSWER)
        self._clock_topic = self.create_publisher(Clock, "/clock", 10)
        self._state = GuideState(self)
        self._topics: dict[str, Publisher] = {}
        self._questions: set[str] = set()
        self._own_clock = any(topic.name == "/clock" and topic.count for topic in self._bag.topics)
        for topic in self._bag.topics:
            self._offer(topic)
        self._thread = threading.Thread(target=self._run, name="play", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """End playing. Idempotent."""
        self._stop.set()
        if self._thread is not threading.current_thread():
            self._thread.join(5.0)

    def _offer(self, topic: Topic) -> None:
        texts = topic.msgtype == "std_msgs/msg/String" and topic.name.endswith("/query_text")
        if texts or topic.msgtype in PLAYED:
            kind, profile = (String, qos.QUESTION) if texts else PLAYED[topic.msgtype]
            self._topics[topic.name] = self.create_publisher(kind, topic.name, profile)
            if profile is qos.QUESTION:
                self._questions.add(topic.name)
        elif topic.name == "/clock":
            self._topics[topic.name] = self._clock_topic

    def _on_instruction(self, message: Instruction) -> None:
        self._answered += 1

    def _run(self) -> None:
        try:
            self._state.await_active(self._stop)
            self._await_listeners()
            player = _Pace(self._rate)
            self._play(player)
            end = time.monotonic() + PATIENCE
            while self._answered < self._asked and time.monotonic() < end and not self._stop.is_set():
                self._tick(player.time)
                time.sleep(TICK)
            self.log.info(f"played: {self._asked} questions, {self._answered} answers")
        except UserError as error:
            self.fault = str(error)
        except Exception as error:  # the thread's border
            if not self._stop.is_set():
                self.fault = f"{type(error).__name__}: {error}"
        finally:
            self._bag.close()
            self.ended.set()

    def _await_listeners(self) -> None:
        """Until somebody hears the camera and the questions: what is played before that is lost."""
        end = time.monotonic() + MATCHING
        pictures = [each for each in self._topics.values() if each.msg_type in (Image, CompressedImage)]
        questions = [self._topics[name] for name in self._questions]
        for group in filter(None, (pictures, questions)):
            while not self._stop.is_set() and not any(each.get_subscription_count() for each in group):
                if time.monotonic() > end:
                    names = ", ".join(each.topic_name for each in group)
                    what = (
                        "give the rig or image_topic that the bag was made with, image_transport:=compressed for jpegs"
                    )
                    raise UserError(f"nobody listens to {names}; {what}")
                time.sleep(0.05)

    def _play(self, pace: _Pace) -> None:
        played = passed = 0

        def take(raw: Raw) -> None:
            nonlocal played, passed
            passed += 1
            if passed <= played:  # begun anew behind damage
                return
            played = passed
            while not self._stop.is_set() and pace.wait(raw.time):
                self._tick(pace.time)
            if self._stop.is_set():
                raise UserError(STOPPED)
            self._tick(raw.time)
            self._asked += raw.topic in self._questions
            self._topics[raw.topic].publish(raw.data)

        def restart() -> None:
            nonlocal passed
            passed = 0

        self._bag.each(frozenset(self._topics), take, restart)

    def _tick(self, bag_time: int) -> None:
        if (
            0 < self._shown - bag_time < JUMP * 1e9
        ):  # files that do not quite follow each other; nobody's clock goes back
            return
        self._shown = bag_time
        seconds, rest = divmod(bag_time, 1_000_000_000)
        if not self._own_clock and 0 <= seconds < 2**31:
            self._clock_topic.publish(Clock(clock=Time(sec=seconds, nanosec=rest)))


class _Pace:
    """Turns recorded times into waiting. time: of the bag, now [ns]."""

    def __init__(self, rate: float) -> None:
        self._rate = rate
        self._began: tuple[float, int] | None = None  # time.monotonic() and the bag's time then
        self.time = 0

    def wait(self, due: int) -> bool:
        """Sleep a little; False once it is `due` [ns]."""
        now = time.monotonic()
        if self._began is not None:
            self.time = self._began[1] + round((now - self._began[0]) * self._rate * 1e9)
        if self._began is None or abs(due - self.time) > JUMP * 1e9:
            self._began, self.time = (now, due), due
        if self.time >= due:
            return False
        time.sleep(min(TICK, (due - self.time) * 1e-9 / self._rate))
        return True


def main() -> int:
    """The executable `play_node`."""
    return main_of_one("play_node", lambda ended: PlayNode(ended=ended), sys.argv)


if __name__ == "__main__":
    sys.exit(main())
