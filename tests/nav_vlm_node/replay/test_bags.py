"""Recordings that are not as they should be: one line says what is wrong, and what can be read is replayed."""

from __future__ import annotations

import contextlib
import shutil
import sqlite3
import struct
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from nav_vlm_node.errors import UserError
from nav_vlm_node.replay.answering import Frames
from nav_vlm_node.replay.bags import Bag
from nav_vlm_node.replay.contents import choose_image_topic, read_contents
from nav_vlm_node.replay.messages import Decoder
from nav_vlm_node.replay.questions import from_bag
from nav_vlm_node.replay.salvage import MAGIC
from nav_vlm_node.ros.rigs import Topics
from tests.bags import START, STORE, data_file, image_message, make_bag, ns, picture, recording

Replayed = Callable[..., dict[str, Any]]
QUESTIONS = [(0.5, "Where is the door?"), (1.52, "How do I get to the exit?")]


def looked_at(report: dict[str, Any]) -> list[int | None]:
    return [entry["image"] and entry["image"]["position"] for entry in report["answers"]]


def one_line_each(notes: list[str]) -> None:
    assert all(note and "\n" not in note and len(note) < 500 for note in notes), notes


@pytest.mark.parametrize("storage", ["mcap", "sqlite3"])
def test_without_metadata(replayed: Replayed, tmp_path: Path, storage: str) -> None:
    bag = make_bag(tmp_path / "bag", storage)
    (bag / "metadata.yaml").unlink()
    report = replayed(bag)
    assert report["status"] == {"OK": 2}
    assert report["notes"] == ["bag bag has no metadata.yaml; its files are read as they are"]


@pytest.mark.parametrize("storage", ["mcap", "sqlite3"])
@pytest.mark.parametrize("metadata", [True, False], ids=["metadata", "no metadata"])
def test_cut_off(replayed: Replayed, tmp_path: Path, storage: str, metadata: bool) -> None:
    bag = make_bag(tmp_path / "bag", storage, questions=(), count=40, height=180)
    if not metadata:
        (bag / "metadata.yaml").unlink()
    file = data_file(bag)
    file.write_bytes(file.read_bytes()[: file.stat().st_size * 6 // 10])
    questions = tmp_path / "q.yaml"
    questions.write_text("- {time: 0.55, question: 'Where is the door?'}\n")
    report = replayed(bag, questions=questions)
    assert looked_at(report) == [5]
    assert 5 < report["images"]["count"] < 40
    one_line_each(report["notes"])
    assert any("cut off" in note for note in report["notes"]), report["notes"]


def test_a_recorder_that_was_killed(replayed: Replayed, tmp_path: Path) -> None:
    """An mcap file that ends within a record, without index, and no metadata.yaml."""
    bag = make_bag(tmp_path / "bag", questions=(), height=180)
    (bag / "metadata.yaml").unlink()
    file = data_file(bag)
    content = file.read_bytes()
    file.write_bytes(content[: len(content) // 2])
    report = replayed(bag, questions=_yaml(tmp_path))
    one_line_each(report["notes"])
    assert report["images"]["count"] > 0


def test_files_of_one_recording_are_read_in_the_order_of_their_numbers(tmp_path: Path) -> None:
    folder = tmp_path / "bag"
    folder.mkdir()
    for number in (10, 2, 1, 0):
        with recording(tmp_path / f"part{number}") as part:
            part.image(number, ns(number))
        shutil.copy(data_file(tmp_path / f"part{number}"), folder / f"walk_{number}.mcap")
    times: list[int] = []
    with Bag(folder) as bag:
        bag.each(frozenset(["/image"]), lambda raw: times.append(raw.time), times.clear)
    assert times == [ns(number) for number in (0, 1, 2, 10)]


@pytest.mark.parametrize("storage", ["mcap", "sqlite3"])
@pytest.mark.parametrize("profiles", ["[]", "''", "other"])
def test_a_qos_that_somebody_edited_in_metadata_loses_nothing(tmp_path: Path, storage: str, profiles: str) -> None:
    """As is done by hand where rosbag2 of another version stumbles over it."""
    folder = make_bag(tmp_path / "bag", storage)
    file = folder / "metadata.yaml"
    metadata = yaml.safe_load(file.read_text())
    for topic in metadata["rosbag2_bagfile_information"]["topics_with_message_count"]:
        other = [
            {
                "history": "keep_last",
                "depth": 3,
                "reliability": "best_effort",
                "durability": "volatile",
                "liveliness": "automatic",
                "avoid_ros_namespace_conventions": False,
                **{name: {"sec": 0, "nsec": 0} for name in ("deadline", "lifespan", "liveliness_lease_duration")},
            }
        ]
        topic["topic_metadata"]["offered_qos_profiles"] = yaml.safe_load(profiles) if profiles != "other" else other
    file.write_text(yaml.safe_dump(metadata))
    counts: Counter[str] = Counter()
    with Bag(folder) as bag:
        assert bag.notes == []
        bag.each(frozenset(["/image", "/query"]), lambda raw: counts.update([raw.topic]), counts.clear)
    assert counts == {"/image": 20, "/query": 2}


@pytest.mark.parametrize("version", [8, 9])
@pytest.mark.parametrize("storage", ["mcap", "sqlite3"])
def test_bags_of_humble_and_of_jazzy_are_read(tmp_path: Path, storage: str, version: int) -> None:
    folder = make_bag(tmp_path / "bag", storage, version=version)
    with Bag(folder) as bag:
        assert bag.notes == []
        assert {topic.name: topic.count for topic in bag.topics} == {"/image": 20, "/query": 2}


@pytest.mark.parametrize("alone", [False, True], ids=["folder", "file"])
def test_what_sqlite_has_only_in_its_log_is_not_lost_without_a_word(tmp_path: Path, alone: bool) -> None:
    folder = make_bag(tmp_path / "bag", "sqlite3")
    file = data_file(folder)
    file.with_name(f"{file.name}-wal").write_bytes(b"x")
    with Bag(file if alone else folder) as bag:
        (note,) = bag.notes
        assert f"{file.name}-wal holds messages that are not read" in note
        assert "PRAGMA wal_checkpoint" in note


@pytest.mark.parametrize(("storage", "encoding"), [("mcap", "unknown"), ("sqlite3", "unknown"), ("sqlite3", "")])
def test_a_type_that_rosbag2_could_not_find_is_no_damage(tmp_path: Path, storage: str, encoding: str) -> None:
    """rosbag2 writes such an encoding for what it has no definition of (local_message_definition_source.cpp)."""
    folder = make_bag(tmp_path / "bag", storage)
    file = data_file(folder)
    if storage == "sqlite3":
        with contextlib.closing(sqlite3.connect(file)) as database, database:
            database.execute(
                "UPDATE message_definitions SET encoding = ?, encoded_message_definition = '' WHERE topic_type = ?",
                (encoding, "nav_vlm_msgs/msg/Query"),
            )
    else:
        file.write_bytes(_without_definition(file.read_bytes(), b"nav_vlm_msgs/msg/Query"))
    with Bag(folder) as bag:
        counts: Counter[str] = Counter()
        bag.each(frozenset(["/image", "/query"]), lambda raw: counts.update([raw.topic]), counts.clear)
        assert bag.notes == []
    assert counts == {"/image": 20, "/query": 2}


def _without_definition(content: bytes, name: bytes) -> bytes:
    """An mcap file in which the schema of this name has another encoding of the same length."""
    at = struct.pack("<I", len(name)) + name + struct.pack("<I", 7)
    assert at + b"ros2msg" in content
    return content.replace(at + b"ros2msg", at + b"unknown")


def test_one_of_two_files_is_gone(replayed: Replayed, tmp_path: Path) -> None:
    bag = make_bag(tmp_path / "bag")
    second = data_file(make_bag(tmp_path / "second", count=3, questions=()))
    shutil.copy(second, bag / f"other{second.suffix}")
    (bag / "metadata.yaml").unlink()
    (bag / f"third{second.suffix}").write_bytes(b"nothing of this kind")
    report = replayed(bag)
    assert report["status"] == {"OK": 2}
    assert any("third.mcap" in note for note in report["notes"])


def test_no_image_topic_and_no_question(replayed: Replayed, tmp_path: Path) -> None:
    with recording(tmp_path / "bag") as bag:
        bag.clock(ns(0), START)
    with pytest.raises(UserError, match="no image topic") as raised:
        replayed(tmp_path / "bag")
    assert "/clock (rosgraph_msgs/msg/Clock)" in str(raised.value)


@pytest.mark.parametrize("damage", [False, True], ids=["whole", "without end"])
@pytest.mark.parametrize("storage", ["mcap", "sqlite3"])
def test_several_image_topics(replayed: Replayed, tmp_path: Path, storage: str, damage: bool) -> None:
    with recording(tmp_path / "bag", storage) as bag:
        for number in range(40):
            bag.image(number, ns(0.1 * number), topic="/left/image_raw", height=180)
            if number % 2:
                bag.image(number + 1, ns(0.1 * number), topic="/right/image_raw", height=180)
        bag.query("Where is the door?", ns(1.05))
    if damage:
        (tmp_path / "bag/metadata.yaml").unlink()
        file = data_file(tmp_path / "bag")
        file.write_bytes(file.read_bytes()[:-4200])
    options: dict[str, Any] = {"questions": _yaml(tmp_path, 1.05)}
    report = replayed(tmp_path / "bag", **options)
    assert report["images"]["topic"] == "/left/image_raw"
    note = next(note for note in report["notes"] if "several image topics" in note)
    assert "/left/image_raw (" in note
    assert "choose with --image-topic" in note
    report = replayed(tmp_path / "bag", tmp_path / "right", given={"image_topic": "/right/image_raw"}, **options)
    assert report["images"]["topic"] == "/right/image_raw"
    with pytest.raises(UserError, match=r"no image topic /front/image_raw; it has /left/image_raw \("):
        replayed(tmp_path / "bag", given={"image_topic": "/front/image_raw"}, **options)


def test_a_depth_camera_is_not_what_is_looked_at(replayed: Replayed, tmp_path: Path) -> None:
    with recording(tmp_path / "bag") as bag:
        for number in range(20):
            bag.image(number, ns(0.1 * number), topic="/camera/aligned_depth_to_color/image_raw")
            if number != 3:  # the colour camera lost one
                bag.image(number, ns(0.1 * number), topic="/camera/color/image_raw")
        bag.query("Where is the door?", ns(0.95))
    report = replayed(tmp_path / "bag")
    assert report["images"]["topic"] == "/camera/color/image_raw"
    assert "/camera/color/image_raw is used, choose with --image-topic" in report["notes"][0]


def test_messages_without_content_are_one_line_for_each_topic(replayed: Replayed, tmp_path: Path) -> None:
    with recording(tmp_path / "bag") as bag:
        for number in range(20):
            bag.image(number, ns(0.1 * number))
            bag.put_bytes("/query", ns(0.1 * number), b"", "nav_vlm_msgs/msg/Query")
            bag.put_bytes("/camera_info", ns(0.1 * number), b"", "sensor_msgs/msg/CameraInfo")
        bag.query("Where is the door?", ns(0.95))
    report = replayed(tmp_path / "bag")
    assert report["status"] == {"OK": 1}
    queries, infos = sorted(report["notes"], reverse=True)
    assert queries.startswith("a message on /query is damaged (")
    assert queries.endswith("; left out on this topic: 20")
    assert infos.startswith("a message on /camera_info is damaged (")


def test_unknown_types(replayed: Replayed, tmp_path: Path) -> None:
    with recording(tmp_path / "bag", "sqlite3") as bag:
        bag.image(0, ns(0))
        bag.put_bytes("/noise", ns(0.1), b"\0\1\0\0abc", "sensor_msgs/msg/Imu")
        bag.query("Where is the door?", ns(0.1), topic="/query")
        bag.query("Where is the door?", ns(0.1), "mine", topic="/me/query")
    file = data_file(tmp_path / "bag")
    with contextlib.closing(sqlite3.connect(file)) as connection, connection:
        connection.execute("UPDATE topics SET type = 'nav_vlm_msgs/msg/Riddle' WHERE name = '/query'")
        connection.execute("UPDATE topics SET type = 'no_such_msgs/msg/Smell' WHERE name = '/noise'")
        connection.execute("DELETE FROM message_definitions")
    report = replayed(file)
    assert report["notes"] == ["topic /query is of the unknown type 'nav_vlm_msgs/msg/Riddle' and is left out"]
    assert report["topics"]["/noise"] == {"type": "no_such_msgs/msg/Smell", "messages": 1}
    assert [entry["id"] for entry in report["answers"]] == ["mine"]
    assert report["status"] == {"OK": 1}


def test_wild_times(replayed: Replayed, tmp_path: Path) -> None:
    with recording(tmp_path / "bag") as bag:
        bag.image(7, 5)  # a clock that was not set
        bag.image(8, 2**62, stamp=0)
        for number in range(20):
            bag.image(number, ns(0.1 * number))
        bag.query("Where is the door?", ns(0.95))
    report = replayed(tmp_path / "bag")
    assert looked_at(report) == [9]
    assert report["images"]["count"] == 20
    assert report["duration_s"] == pytest.approx(1.9)
    assert report["notes"] == ["messages stamped more than a day away from the others, left out: 2"]


def test_stamps_of_another_clock(replayed: Replayed, tmp_path: Path) -> None:
    with recording(tmp_path / "bag") as bag:
        for number in range(20):
            bag.image(number, ns(0.1 * number), stamp=ns(0.1 * number) - START)
        bag.query("Where is the door?", ns(0.95))
    report = replayed(tmp_path / "bag")
    assert looked_at(report) == [9]
    assert report["status"] == {"OK": 1}
    assert "another clock" in report["notes"][0]


@pytest.mark.parametrize("simulated", [True, False], ids=["stamps of /clock", "stamps of the recorder"])
def test_simulated_time(replayed: Replayed, tmp_path: Path, simulated: bool) -> None:
    with recording(tmp_path / "bag") as bag:
        for number in range(200):
            bag.clock(ns(0.01 * number), 50_000_000_000 + 10_000_000 * number)
        for number in range(20):
            time = ns(0.1 * number)
            bag.image(number, time, stamp=50_000_000_000 + 100_000_000 * number if simulated else time)
        bag.query("Where is the door?", ns(0.95))
    report = replayed(tmp_path / "bag")
    assert looked_at(report) == [9]
    assert report["answers"][0]["image_age_s"] == pytest.approx(0.05, abs=0.011)
    assert bool(report["notes"]) is not simulated


def _yaml(folder: Path, seconds: float = 0.1) -> Path:
    path = folder / "questions.yaml"
    path.write_text(f"- {{time: {seconds}, question: 'Where is the door?'}}\n")
    return path


@pytest.mark.parametrize(
    ("make", "says"),
    [
        (lambda path: None, "does not exist; give a rosbag2 folder"),
        (lambda path: path.mkdir(), r"there is no \.mcap or \.db3"),
        (lambda path: path.write_text("hello"), r"there is no \.mcap or \.db3"),
        (lambda path: _put(path, "a.mcap", b""), r"a\.mcap is not an mcap file"),
        (lambda path: _put(path, "a.mcap", b"hello"), r"a\.mcap is not an mcap file"),
        (lambda path: _put(path, "a.db3", b""), r"a\.db3 cannot be read"),
        (lambda path: _put(path, "a.db3", b"SQLite format 3\0" + bytes(84)), r"a\.db3 cannot be read"),
        (lambda path: _put(path, "a.db3.zstd", b"hello"), "unpack them with zstd -d"),
        (lambda path: _put(path, "metadata.yaml", b"- [}"), r"there is no \.mcap or \.db3"),
        (lambda path: _put(path, "x.db3", b"\0"), "cannot be read"),
    ],
)
def test_what_is_no_bag_is_one_line(tmp_path: Path, make: Callable[[Path], Any], says: str) -> None:
    make(tmp_path / "bag")
    with pytest.raises(UserError, match=says) as raised:
        Bag(tmp_path / "bag").close()
    assert "\n" not in str(raised.value)


def _put(folder: Path, name: str, content: bytes) -> None:
    folder.mkdir()
    (folder / name).write_bytes(content)


def test_only_the_magic_is_an_empty_bag(tmp_path: Path, replayed: Replayed) -> None:
    path = tmp_path / "a.mcap"
    path.write_bytes(MAGIC)
    with pytest.raises(UserError, match="holds 0 images and no question"):
        replayed(path)


# ---- another tool's mcap -------------------------------------------------------------------------


@pytest.mark.parametrize("compression", ["NONE", "LZ4", "ZSTD"])
@pytest.mark.parametrize("how", ["as ros2", "no profile", "no index", "no chunks", "no summary"])
def test_mcap_of_another_tool(replayed: Replayed, tmp_path: Path, compression: str, how: str) -> None:
    """Written by the package `mcap`."""
    from mcap.writer import CompressionType, IndexType, Writer

    path = tmp_path / "other.mcap"
    options: dict[str, Any] = {"chunk_size": 50_000, "compression": CompressionType[compression]}
    if how == "no index":
        options["index_types"] = IndexType.NONE
    if how == "no chunks":
        options["use_chunking"] = False
    if how == "no summary":
        options |= {"use_summary_offsets": False, "use_statistics": False, "repeat_channels": False}
    image, query = "sensor_msgs/msg/Image", "nav_vlm_msgs/msg/Query"
    with path.open("wb") as file:
        writer = Writer(file, **options)
        writer.start(profile="" if how == "no profile" else "ros2", library="another tool")
        channels = {}
        for topic, kind in (("/image", image), ("/query", query)):
            text = STORE.generate_msgdef(kind)[0].encode()
            schema = writer.register_schema(name=kind, encoding="ros2msg", data=text)
            channels[topic] = writer.register_channel(topic=topic, message_encoding="cdr", schema_id=schema)
        for number in range(20):
            time = ns(0.1 * number)
            data = bytes(STORE.serialize_cdr(image_message(picture(number), time), image))
            writer.add_message(channels["/image"], log_time=time, publish_time=time, data=data)
        asked = STORE.types[query](header=image_message(picture(0), 0).header, id="a", text="Where?", priority=0)
        data = bytes(STORE.serialize_cdr(asked, query))
        writer.add_message(channels["/query"], log_time=ns(0.95), publish_time=ns(0.95), data=data)
        writer.finish()  # type: ignore[no-untyped-call]
    report = replayed(path)
    assert looked_at(report) == [9]
    assert report["status"] == {"OK": 1}
    assert report["notes"] == []


# ---- bytes that are anything ---------------------------------------------------------------------


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    """Small recordings of each kind."""
    folder = tmp_path_factory.mktemp("bags")
    found = {}
    for storage in ("mcap", "sqlite3"):
        for zstd in (False, True):
            path = folder / f"{storage}{zstd}"
            with recording(path, storage, zstd=zstd) as bag:
                for number in range(4):
                    bag.jpeg(number, ns(0.1 * number))
                    bag.camera_info(ns(0.1 * number), 60.0)
                bag.query("Where is the door?", ns(0.25), "a")
            found[f"{'zstd' if zstd else 'plain'}{data_file(path).suffix}"] = data_file(path).read_bytes()
    return found


def read_all(path: Path) -> int:
    """Whatever a replay reads; returns how many pictures could be decoded."""
    with Bag(path) as bag:
        topics = bag.topics
        image, _ = choose_image_topic(topics, Topics(), "raw", given=False)
        decoder = Decoder(topics)
        if image is not None and not decoder.knows(image.msgtype):
            image = None
        contents = read_contents(bag, decoder, image, "/camera_info", "")
        from_bag(contents)
        frames, good = Frames(bag, decoder, contents), 0
        for position, time in enumerate(contents.times):
            try:
                frames.frame(position, time)
                good += 1
            except UserError:
                pass
        return good


@pytest.mark.parametrize("kind", ["plain.mcap", "zstd.mcap", "plain.db3", "zstd.db3"])
def test_an_undamaged_one_is_read(files: dict[str, bytes], tmp_path: Path, kind: str) -> None:
    (tmp_path / kind).write_bytes(files[kind])
    assert read_all(tmp_path / kind) == 4


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    kind=st.sampled_from(["plain.mcap", "zstd.mcap", "plain.db3", "zstd.db3"]),
    cut=st.floats(0, 1),
    wild=st.lists(st.tuples(st.floats(0, 1), st.binary(min_size=1, max_size=12)), max_size=4),
    hole=st.tuples(st.floats(0, 1), st.integers(0, 300)),
)
def test_damaged_bytes_never_raise_anything_else(
    files: dict[str, bytes],
    tmp_path: Path,
    kind: str,
    cut: float,
    wild: list[tuple[float, bytes]],
    hole: tuple[float, int],
) -> None:
    content = bytearray(files[kind])
    for where, data in wild:
        at = int(where * (len(content) - 1))
        content[at : at + len(data)] = data
    at = int(hole[0] * len(content))
    del content[at : at + hole[1]]
    if cut < 0.9:
        del content[int(cut / 0.9 * len(content)) :]
    path = tmp_path / kind
    path.write_bytes(content)
    said = "fine"
    try:
        read_all(path)
    except UserError as error:
        said = str(error)
    assert len(said.splitlines()) == 1
