"""`nav-vlm record` on a real graph: what a camera publishes is in the bag, and replays to the same answers."""

from __future__ import annotations

import shutil
import signal
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from nav_msgs.msg import Odometry
from sensor_msgs.msg import Image

from nav_vlm_msgs.msg import Instruction as InstructionMsg
from nav_vlm_msgs.msg import Query
from nav_vlm_node.errors import UserError
from nav_vlm_node.frames import Frame
from nav_vlm_node.guide import Guide
from nav_vlm_node.replay.bags import Bag
from nav_vlm_node.replay.run import Replay, replay
from nav_vlm_node.ros import qos, record_node
from nav_vlm_node.ros.conversions import instruction_to_ros
from nav_vlm_node.ros.record_node import Recording, RecordNode
from nav_vlm_node.ros.rigs import Topics
from nav_vlm_node.vlm.scripted import ScriptedEngine
from tests.bags import data_file, picture
from tests.conftest import Graph
from tests.nav_vlm_node.replay.conftest import by_picture
from tests.processes import Session

QUESTION = "Where is the door?"
TOPICS = Topics(image="image", compressed="image/compressed")


class Camera:
    """A camera, a wearer and a stand-in for the node, whose messages are recorded one after the other."""

    def __init__(self, ros: Graph, recorder: RecordNode) -> None:
        self.ros, self.recorder = ros, recorder
        self.node = ros.node("camera")
        self.images = self.node.create_publisher(Image, "image", qos.CAMERA)
        self.queries = self.node.create_publisher(Query, "query", qos.QUESTION)
        self.answers = self.node.create_publisher(InstructionMsg, "instruction", qos.ANSWER)
        self.guide = Guide(ScriptedEngine(by_picture))
        everything = (self.images, self.queries, self.answers)
        ros.until(lambda: all(each.get_subscription_count() for each in everything), "the recorder")

    def until_recorded(self, topic: str, publish: Any) -> None:
        """Publish until the recorder has it: best effort may lose a picture on a busy machine."""
        before = self.recorder.counts[topic]
        for _ in range(10):
            publish()
            try:
                self.ros.until(lambda: self.recorder.counts[topic] > before or self.recorder.fault, "a message", 5.0)
                assert self.recorder.fault == ""
                return
            except pytest.fail.Exception:
                continue
        pytest.fail(f"nothing of {topic} is recorded")

    def show(self, number: int) -> Any:
        """Publish a picture; returns its stamp."""
        pixels = picture(number)
        height, width = pixels.shape[:2]
        message = Image(height=height, width=width, encoding="rgb8", step=3 * width, data=pixels.tobytes())
        message.header.stamp = self.node.get_clock().now().to_msg()
        message.header.frame_id = "camera_optical"
        self.images.publish(message)
        return message.header.stamp

    def walk(self, count: int, image_topic: str = "/image") -> None:
        """Pictures, each followed by a question and the answer to it."""
        for number in range(count):
            stamps: list[Any] = []
            self.until_recorded(image_topic, lambda number=number, stamps=stamps: stamps.append(self.show(number)))
            asked = Query(id=f"q{number}", text=QUESTION)
            self.until_recorded("/query", lambda asked=asked: self.queries.publish(asked))
            answer = self.guide.answer(Frame(picture(number), frame_id="camera_optical"), QUESTION, query_id=asked.id)
            message = instruction_to_ros(answer, stamps[-1])
            self.until_recorded("/instruction", lambda message=message: self.answers.publish(message))


@pytest.fixture
def scripted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("nav_vlm_node.vlm.load.load_engine", lambda *_: ScriptedEngine(by_picture))


def recorder(ros: Graph, out: Path, **how: Any) -> RecordNode:
    node: RecordNode = ros.add(RecordNode(Recording(out=out, topics=TOPICS, **how), context=ros.context))
    return node


@pytest.mark.parametrize("storage", ["mcap", "sqlite3"])
def test_a_recording_replays_to_the_same_answers(ros: Graph, tmp_path: Path, scripted: None, storage: str) -> None:
    node = recorder(ros, tmp_path / "bag", storage=storage, zstd=storage == "mcap")
    Camera(ros, node).walk(4)
    node.stop()
    assert (node.fault, node.lost) == ("", {})
    report = replay(Replay(bag=tmp_path / "bag", out=tmp_path / "out", quiet=True))
    assert report["notes"] == []
    assert report["status"] == {"OK": 4}
    live = report["live"]
    assert (live["n"], live["looked_at_the_same_image"]) == (4, 4)
    assert live["equal_steps"]["value"] == live["equal_answer"]["value"] == 1.0
    metadata = yaml.safe_load((tmp_path / "bag/metadata.yaml").read_text())["rosbag2_bagfile_information"]
    offered = {
        each["topic_metadata"]["name"]: each["topic_metadata"]["offered_qos_profiles"]
        for each in metadata["topics_with_message_count"]
    }
    for profiles in offered.values():
        assert isinstance(profiles, str), "Humble's rosbag2 reads no other"
        (profile,) = yaml.safe_load(profiles)
        assert (profile["history"], profile["reliability"], profile["durability"]) == (1, 1, 2)  # rmw's numbers
    assert set(offered) == {
        "/image", "/camera_info", "/query", "/query_text", "/instruction", "/instruction_text", "/hazard",
        "/diagnostics", "/clock", "/odom",
    }  # fmt: skip


def test_odometry_is_recorded_under_its_own_name(ros: Graph, tmp_path: Path) -> None:
    node = recorder(ros, tmp_path / "bag", odom="wheels/odom")
    places = ros.node("wheels").create_publisher(Odometry, "wheels/odom", qos.ODOMETRY)
    ros.until(places.get_subscription_count, "the recorder")

    def recorded() -> int:
        places.publish(Odometry())
        return node.counts["/wheels/odom"]

    ros.until(recorded, "odometry")
    node.stop()
    with Bag(tmp_path / "bag") as bag:
        kinds = {topic.name: topic.msgtype for topic in bag.topics if topic.count}
    assert kinds == {"/wheels/odom": "nav_msgs/msg/Odometry"}


def test_as_jpegs_the_share_of_equal_steps_is_reported(ros: Graph, tmp_path: Path, scripted: None) -> None:
    node = recorder(ros, tmp_path / "bag", jpeg=90)
    Camera(ros, node).walk(2, "/image/compressed")
    node.stop()
    report = replay(Replay(bag=tmp_path / "bag", out=tmp_path / "out", quiet=True))
    assert report["images"]["topic"] == "/image/compressed"
    assert report["status"] == {"OK": 2}
    live = report["live"]
    assert (live["n"], live["looked_at_the_same_image"], live["equal_steps"]["n"]) == (2, 2, 2)
    assert live["equal_steps"]["value"] < 1.0  # `by_picture` tells pictures apart that differ in any pixel
    assert "same steps as live" in (tmp_path / "out/report.html").read_text(encoding="utf-8")


def test_throttled(ros: Graph, tmp_path: Path) -> None:
    node = recorder(ros, tmp_path / "bag", image_rate=0.001)
    camera = Camera(ros, node)
    camera.until_recorded("/image", lambda: camera.show(0))
    for number in range(5):
        camera.show(number)
        camera.until_recorded("/query", lambda: camera.queries.publish(Query(text=QUESTION)))
    node.stop()
    assert node.counts == {"/image": 1, "/query": 5}
    with Bag(tmp_path / "bag") as bag:
        assert {topic.name: topic.count for topic in bag.topics if topic.count} == {"/image": 1, "/query": 5}


def test_a_sqlite3_recording_that_is_killed_is_not_lost(
    ros: Graph, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(record_node, "COMMIT", 0.0)
    node = recorder(ros, tmp_path / "bag", storage="sqlite3")
    camera = Camera(ros, node)
    for number in range(3):
        camera.until_recorded("/image", lambda number=number: camera.show(number))
    killed = shutil.copy(data_file(tmp_path / "bag"), tmp_path / "killed.db3")
    with Bag(Path(killed)) as bag:
        assert {topic.name: topic.count for topic in bag.topics if topic.count} == {"/image": 3}
    node.stop()


@pytest.mark.parametrize(("storage", "mode"), [("mcap", ""), ("sqlite3", "message")])
def test_what_is_packed_is_packed_as_rosbag2_does(ros: Graph, tmp_path: Path, storage: str, mode: str) -> None:
    node = recorder(ros, tmp_path / "bag", storage=storage, zstd=True)
    camera = Camera(ros, node)
    camera.until_recorded("/image", lambda: camera.show(0))
    node.stop()
    told = yaml.safe_load((tmp_path / "bag/metadata.yaml").read_text())["rosbag2_bagfile_information"]
    assert told["compression_mode"].lower() == mode
    assert picture(0).tobytes()[:3000] not in data_file(tmp_path / "bag").read_bytes()


def test_a_disk_that_is_full(ros: Graph, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def write(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("rosbags.rosbag2.Writer.write", write)
    ended = threading.Event()
    recording = Recording(out=tmp_path / "bag", topics=TOPICS)
    node: RecordNode = ros.add(RecordNode(recording, ended=ended, context=ros.context))
    camera = Camera(ros, node)
    camera.show(0)
    ros.until(lambda: node.fault or camera.show(1) is None, "the fault")
    assert ended.wait(10), "the recorder does not go on as if nothing were"
    camera.show(2)
    ros.until(lambda: node.lost["/image"], "what is left out")
    node.stop()
    assert "No space left on device" in node.fault
    assert node.counts == {}, "nothing was written"


def test_a_folder_that_is_there_is_not_touched(ros: Graph, tmp_path: Path) -> None:
    with pytest.raises(UserError, match="is there already; give another folder"):
        recorder(ros, tmp_path)
    assert not list(tmp_path.glob("*.mcap"))


@pytest.fixture
def terminal() -> Iterator[None]:
    """What is started hears of a closed terminal, even where these tests run under nohup."""
    before = signal.signal(signal.SIGHUP, signal.SIG_DFL)
    yield
    signal.signal(signal.SIGHUP, before)


@pytest.mark.usefixtures("terminal")
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP], ids=lambda number: number.name)
def test_the_command(ros: Graph, tmp_path: Path, number: signal.Signals) -> None:
    probe = ros.node("probe", namespace="me")
    queries = probe.create_publisher(Query, "query", qos.QUESTION)
    command = [sys.executable, "-m", "nav_vlm_node.cli", "record", str(tmp_path / "bag"), "--namespace", "/me"]
    if number is signal.SIGINT:
        command = ["nohup", *command]  # which a closed terminal does not end
    with Session(command) as session:

        def heard() -> bool:
            session.still_runs()
            return bool(queries.get_subscription_count())

        ros.until(heard, "the recorder")
        queries.publish(Query(id="a", text=QUESTION))
        assert queries.wait_for_all_acked()
        if number is signal.SIGINT:
            session.process.send_signal(signal.SIGHUP)
        session.process.send_signal(number)
        output, errors = session.process.communicate(timeout=120)
        assert session.process.returncode == 0, errors
        assert "Traceback" not in errors
        assert session.alive() == []
    assert output.split() == ["1", "/me/query"]
    with Bag(tmp_path / "bag") as bag:
        assert [topic.name for topic in bag.topics if topic.count] == ["/me/query"]
