"""A wearer for tests: camera, questions and ears on a graph, beside a `GuideNode` with an engine of choice."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import Any

import cv2
import numpy as np
from lifecycle_msgs.msg import Transition
from lifecycle_msgs.srv import ChangeState
from rclpy.parameter import Parameter
from sensor_msgs.msg import CameraInfo, CompressedImage
from sensor_msgs.msg import Image as ImageMsg
from std_msgs.msg import String

from nav_vlm_msgs.msg import Instruction as InstructionMsg
from nav_vlm_msgs.msg import Query
from nav_vlm_node.frames import Image
from nav_vlm_node.ros.conversions import instruction_from_ros, stamp_to_ros
from nav_vlm_node.ros.node import GuideNode
from nav_vlm_node.vlm.protocol import Engine
from nav_vlm_node.vlm.scripted import ScriptedEngine
from tests.conftest import Graph
from tests.pictures import room

GOOD = "Caution, chair ahead at 1 metre. Turn left 35 degrees, then move 4 metres to the door."
TRANSITIONS = {
    "configure": Transition.TRANSITION_CONFIGURE,
    "activate": Transition.TRANSITION_ACTIVATE,
    "deactivate": Transition.TRANSITION_DEACTIVATE,
    "cleanup": Transition.TRANSITION_CLEANUP,
}


class Brake:
    """Stops an engine at one of its tokens until it is released; `reached` says that it is there."""

    def __init__(self, at: int = 2) -> None:
        self.at = at
        self.reached = threading.Event()
        self._released = threading.Event()
        self.tokens = 0  # how many were begun

    def __call__(self, index: int) -> None:
        if threading.current_thread().name == "nav_vlm_model":
            self.tokens += 1
            if index == self.at:
                self.reached.set()
                assert self._released.wait(120), "the test did not release the engine"

    def release(self) -> None:
        self._released.set()


def guide_node(ros: Graph, engine: Engine | str | Callable[[], Engine] = GOOD, **parameters: Any) -> GuideNode:
    """A node on the graph; patient with a slow machine unless the test says otherwise."""
    arguments = {name: parameters.pop(name) for name in ("namespace",) if name in parameters}
    values = {"max_image_age": 30.0, "max_answer_age": 60.0, "image_timeout": 30.0, "deadline": 100.0, **parameters}
    overrides = [Parameter(name, value=value) for name, value in values.items()]
    if isinstance(engine, str):
        engine = ScriptedEngine(engine)
    make = engine if callable(engine) else lambda: engine
    return ros.add(
        GuideNode(
            engine_factory=lambda _: make(), context=ros.context, parameter_overrides=overrides, **arguments
        )
    )  # fmt: skip


class Wearer:
    """Publishes what a rig publishes and keeps what is answered, by question id."""

    def __init__(self, ros: Graph, guide: GuideNode, *, active: bool = True, namespace: str = "") -> None:
        self.ros, self.guide = ros, guide
        self.node = ros.node("wearer", namespace=namespace)
        self.heard: list[InstructionMsg] = ros.collect(self.node, InstructionMsg, "instruction")
        self.spoken: list[String] = ros.collect(self.node, String, "instruction_text")
        self.compressed = guide.get_parameter("image_transport").value == "compressed"
        kind, topic = (CompressedImage, "image/compressed") if self.compressed else (ImageMsg, "image")
        self.images = self.node.create_publisher(kind, topic, 1)
        self.infos = self.node.create_publisher(CameraInfo, "camera_info", 1)
        self.queries = self.node.create_publisher(Query, "query", 10)
        self.texts = self.node.create_publisher(String, "query_text", 10)
        everything = (self.images, self.infos, self.queries, self.texts)
        ros.until(lambda: all(each.get_subscription_count() for each in everything), "the node to be discovered")
        ros.until(lambda: guide.count_subscribers("instruction") and guide.count_subscribers("instruction_text"))
        if active:
            ros.until(lambda: guide.state == "active", "the node to be active")

    def message(self, image: Image, stamp: float | None = None, frame_id: str = "camera_optical") -> Any:
        """`image` as the camera's message; stamp: now if None."""
        if self.compressed:
            data = cv2.imencode(".jpg", image[..., ::-1])[1].tobytes()
            message: Any = CompressedImage(format="rgb8; jpeg compressed bgr8", data=data)
        else:
            height, width = image.shape[:2]
            data = np.ascontiguousarray(image).tobytes()
            message = ImageMsg(height=height, width=width, encoding="rgb8", step=3 * width, data=data)
        message.header.frame_id = frame_id
        now = self.guide.get_clock().now().to_msg()
        message.header.stamp = now if stamp is None else stamp_to_ros(stamp)
        return message

    def look(self, image: Image | None = None, stamp: float | None = None) -> Any:
        """The camera takes a picture, which arrives; returns its message."""
        message = self.message(room() if image is None else image, stamp)
        self.publish(message)
        return message

    def publish(self, message: Any) -> None:
        """Best effort may lose a picture on a busy machine: a camera would send the next."""
        count = self.guide.feed.count
        deadline = time.monotonic() + 60
        while self.guide.feed.count == count:
            assert time.monotonic() < deadline, "no picture arrives"
            self.images.publish(message)
            for _ in range(50):
                if self.guide.feed.count > count:
                    return
                time.sleep(0.01)

    def ask(self, text: str = "Where is the door?", query_id: str = "", priority: int = 0) -> None:
        """Ask by topic `query`."""
        self.queries.publish(Query(id=query_id, text=text, priority=priority))

    def answers(self, query_id: str) -> list[InstructionMsg]:
        """What was heard for an id so far."""
        return [message for message in list(self.heard) if message.query_id == query_id]

    def answer(self, query_id: str) -> InstructionMsg:
        """Wait for the instruction for an id."""
        return self.ros.until(lambda: self.answers(query_id), f"the answer to {query_id}")[0]

    def ask_and_hear(self, text: str = "Where is the door?", query_id: str = "q", priority: int = 0) -> InstructionMsg:
        """One question, one answer."""
        self.ask(text, query_id, priority)
        return self.answer(query_id)

    def transition(self, name: str) -> bool:
        """A lifecycle transition, asked for from outside."""
        request = ChangeState.Request(transition=Transition(id=TRANSITIONS[name]))
        return bool(self.ros.call(self.node, ChangeState, "nav_vlm/change_state", request).success)


def plain(message: InstructionMsg) -> Any:
    """The message as an Instruction."""
    return instruction_from_ros(message)
