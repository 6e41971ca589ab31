"""A client without ROS: Cyclone DDS and types written down by hand. Run: python dds_client.py DOMAIN

Publishes an Image and a query_text until an Instruction comes, and prints that as one JSON object. Annotations must not
be postponed here: Cyclone reads them as types.
"""

# mypy: disable-error-code="misc,call-arg"
# (cyclonedds has no annotations, so its base class is Any.)

import json
import sys
import time
from dataclasses import dataclass

from cyclonedds.core import Policy, Qos
from cyclonedds.domain import DomainParticipant
from cyclonedds.idl import IdlStruct
from cyclonedds.idl.types import float32, float64, int32, sequence, uint8, uint32
from cyclonedds.pub import DataWriter
from cyclonedds.sub import DataReader
from cyclonedds.topic import Topic
from cyclonedds.util import duration


@dataclass
class Time(IdlStruct, typename="builtin_interfaces::msg::dds_::Time_"):
    sec: int32
    nanosec: uint32


@dataclass
class Header(IdlStruct, typename="std_msgs::msg::dds_::Header_"):
    stamp: Time
    frame_id: str


@dataclass
class Image(IdlStruct, typename="sensor_msgs::msg::dds_::Image_"):
    header: Header
    height: uint32
    width: uint32
    encoding: str
    is_bigendian: uint8
    step: uint32
    data: sequence[uint8]


@dataclass
class String(IdlStruct, typename="std_msgs::msg::dds_::String_"):
    data: str


@dataclass
class Step(IdlStruct, typename="nav_vlm_msgs::msg::dds_::Step_"):
    action: uint8
    bearing: float32
    distance: float32
    landmark: str


@dataclass
class Instruction(IdlStruct, typename="nav_vlm_msgs::msg::dds_::Instruction_"):
    header: Header
    query_id: str
    query: str
    status: uint8
    text: str
    steps: sequence[Step]
    confidence: float32
    priority: uint8
    latency: float64
    image_age: float64
    model: str
    adapter: str
    message: str


WIDTH, HEIGHT = 64, 48
RELIABLE = Qos(Policy.Reliability.Reliable(duration(seconds=1)), Policy.History.KeepLast(10))


def picture() -> Image:
    """A wall with a dark door in it, taken now."""
    row = [200, 190, 180] * 20 + [60, 40, 30] * 12 + [200, 190, 180] * (WIDTH - 32)
    now = time.time()
    stamp = Time(sec=int(now), nanosec=int(now % 1 * 1e9))
    return Image(
        header=Header(stamp=stamp, frame_id="dds_camera"), height=HEIGHT, width=WIDTH, encoding="rgb8", is_bigendian=0,
        step=3 * WIDTH, data=row * HEIGHT,
    )  # fmt: skip


def main() -> int:
    """Ask until there is an answer, for a minute at most."""
    participant = DomainParticipant(int(sys.argv[1]))
    images = DataWriter(participant, Topic(participant, "rt/image", Image), qos=RELIABLE)
    questions = DataWriter(participant, Topic(participant, "rt/query_text", String), qos=RELIABLE)
    answers = DataReader(participant, Topic(participant, "rt/instruction", Instruction), qos=RELIABLE)
    end = time.monotonic() + 60
    matched = False
    while time.monotonic() < end:
        images.write(picture())
        if not matched and questions.get_matched_subscriptions() and answers.get_matched_publications():
            matched = True
            questions.write(String(data="Where is the door?"))
        for answer in answers.take(N=1):
            found = {**vars(answer), "frame_id": answer.header.frame_id, "rclpy": "rclpy" in sys.modules}
            found["steps"] = [vars(step) for step in answer.steps]
            print(json.dumps(found, default=str))
            return 0
        time.sleep(0.1)
    print("no instruction came", file=sys.stderr)
    return 1


if __name__ == "__main__":
    sys.exit(main())
