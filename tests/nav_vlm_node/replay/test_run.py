"""A whole replay: which picture is looked at, what the report holds, and that it is always the same."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from nav_vlm_node.errors import UserError
from nav_vlm_node.frames import Frame, decode_compressed
from nav_vlm_node.guide import Guide
from nav_vlm_node.instruction import Action, Instruction, Status, Step
from nav_vlm_node.replay.run import Chosen
from nav_vlm_node.replay.told import instruction_from_json, same_answer
from nav_vlm_node.vlm.scripted import ScriptedEngine
from tests.bags import Bag, data_file, make_bag, ns, picture, recording
from tests.nav_vlm_node.replay.conftest import Loader, by_picture

Replayed = Callable[..., dict[str, Any]]
KEYS = {"queries", "answered", "status", "image_age_s", "latency_s", "metrics", "answers", "notes", "commit", "machine"}


def answers(out: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (out / "answers.jsonl").read_text(encoding="utf-8").splitlines()]


@pytest.mark.parametrize("storage", ["mcap", "sqlite3"])
@pytest.mark.parametrize("zstd", [False, True], ids=["plain", "zstd"])
def test_every_storage_gives_what_asking_directly_gives(
    replayed: Replayed, tmp_path: Path, storage: str, zstd: bool
) -> None:
    report = replayed(make_bag(tmp_path / "bag", storage, zstd=zstd))
    assert set(report) >= KEYS
    assert (report["queries"], report["answered"], report["status"]) == (2, 2, {"OK": 2})
    assert report["notes"] == []
    assert set(report["image_age_s"]) == set(report["latency_s"]) == {"p50", "p95", "max"}
    assert json.loads((tmp_path / "out/report.json").read_text(encoding="utf-8")) == report
    found = answers(tmp_path / "out")
    assert [line["image"]["position"] for line in found] == [9, 15]  # the newest at 0.95 s and at 1.52 s
    assert [line["image_age_s"] for line in found] == pytest.approx([0.05, 0.02], abs=1e-6)
    guide = Guide(ScriptedEngine(by_picture))
    for line in found:
        frame = Frame(picture(line["image"]["position"]), frame_id="camera_optical")
        direct = guide.answer(frame, line["question"])
        assert same_answer(instruction_from_json({**line["answer"], "latency": 0.0}), direct)


def test_compressed_pictures_are_decoded_as_the_node_does(replayed: Replayed, tmp_path: Path) -> None:
    import cv2

    replayed(make_bag(tmp_path / "bag", transport="jpeg"))
    (first, _) = answers(tmp_path / "out")
    data = cv2.imencode(".jpg", picture(9)[..., ::-1])[1].tobytes()
    direct = Guide(ScriptedEngine(by_picture)).answer(Frame(decode_compressed(data)), first["question"])
    assert first["answer"]["text"] == direct.text


def test_twice_the_same(replayed: Replayed, tmp_path: Path) -> None:
    bag = make_bag(tmp_path / "bag")
    for out in ("one", "two"):
        replayed(bag, tmp_path / out)
    assert (tmp_path / "one/answers.jsonl").read_bytes() == (tmp_path / "two/answers.jsonl").read_bytes()


def test_goes_on_where_it_was_stopped(replayed: Replayed, loader: Loader, tmp_path: Path) -> None:
    bag, asked = make_bag(tmp_path / "bag"), [0]

    def stop_at_the_second(token: int) -> None:
        asked[0] += token == 0
        if asked[0] == 2:
            raise KeyboardInterrupt

    loader.on_token = stop_at_the_second
    with pytest.raises(KeyboardInterrupt):
        replayed(bag)
    assert not (tmp_path / "out/report.json").exists()
    with (tmp_path / "out/.answers.jsonl").open("a", encoding="utf-8") as ledger:
        ledger.write('{"for": "cut o')  # killed while it wrote
    loader.on_token = None
    replayed(bag)
    assert loader.made[-1].queries == ["How do I get to the exit?"]
    assert all(engine._closed for engine in loader.made)
    assert sorted(file.name for file in (tmp_path / "out").iterdir()) == ["answers.jsonl", "report.html", "report.json"]
    replayed(bag, tmp_path / "whole")
    assert (tmp_path / "out/answers.jsonl").read_bytes() == (tmp_path / "whole/answers.jsonl").read_bytes()


def test_what_was_answered_from_another_bag_is_not_taken(replayed: Replayed, loader: Loader, tmp_path: Path) -> None:
    def stop(token: int) -> None:
        raise KeyboardInterrupt

    loader.on_token = stop
    with pytest.raises(KeyboardInterrupt):
        replayed(make_bag(tmp_path / "bag"))
    loader.on_token = None
    replayed(make_bag(tmp_path / "other", questions=[(0.5, "Where is the door?")]))
    assert len(answers(tmp_path / "out")) == 1
    assert len(loader.made[-1].queries) == 1


def test_two_models_side_by_side(replayed: Replayed, loader: Loader, tmp_path: Path) -> None:
    loader.by_adapter["other"] = {
        "Where is the door?": by_picture,
        "How do I get to the exit?": "Turn right 90 degrees, then move 2 metres to the exit.",
    }
    same = {"Where is the door?": "Stop.", "How do I get to the exit?": "Door ahead at 2 metres."}
    loader.by_adapter["default"] = same
    loader.by_adapter["other"] = {**same, "How do I get to the exit?": "Turn right 90 degrees, then move 2 metres."}
    report = replayed(make_bag(tmp_path / "bag"), chosen=Chosen(), against=Chosen(adapter="other"))
    agreement = report["against"]["agreement"]
    assert (agreement["n"], agreement["equal_steps"]["value"]) == (2, 0.5)
    assert set(report["against"]) >= {"queries", "answered", "status", "image_age_s", "latency_s", "metrics"}
    assert [entry["same_as_against"] for entry in report["answers"]] == [True, False]
    page = (tmp_path / "out/report.html").read_text(encoding="utf-8")
    assert page.index("<h3>How do I get to the exit?") < page.index("<h3>Where is the door?")  # what differs is first
    assert "1 of 2 answers differ" in page


@pytest.mark.parametrize(
    ("one", "two", "names"),
    [
        (Chosen("one/walks"), Chosen("two/walks"), ("one/walks, default", "two/walks, default")),
        (Chosen("m", "one/guide"), Chosen("m", "two/guide"), ("m, one/guide", "m, two/guide")),
    ],
)
def test_two_of_one_name_are_two(
    replayed: Replayed, loader: Loader, tmp_path: Path, one: Chosen, two: Chosen, names: tuple[str, str]
) -> None:
    """As the checkpoints of two trainings: neither is given the other's answers, nor the other's name."""
    asked = {"Where is the door?": "Stop.", "How do I get to the exit?": "Door ahead at 2 metres."}
    for table, which in ((loader.by_model, "one/walks"), (loader.by_adapter, "one/guide")):
        table[which] = asked
    bag, begun = make_bag(tmp_path / "bag"), [0]

    def stop_at_the_third(token: int) -> None:
        begun[0] += token == 0
        if begun[0] == 3:
            raise KeyboardInterrupt

    loader.on_token = stop_at_the_third
    with pytest.raises(KeyboardInterrupt):  # between the two, so that it goes on with what the first one answered
        replayed(bag, chosen=one, against=two)
    loader.on_token = None
    report = replayed(bag, chosen=one, against=two)
    assert [len(engine.queries) for engine in loader.made[2:]] == [0, 2]
    assert [entry["same_as_against"] for entry in report["answers"]] == [False, False]
    assert (report["model"], report["against_model"]) == names


def test_reference_steps_are_scored(replayed: Replayed, loader: Loader, tmp_path: Path) -> None:
    loader.by_adapter["default"] = {"Where is the door?": "Turn left 30 degrees, then move 4 metres to the door."}
    questions = tmp_path / "questions.yaml"
    questions.write_text(
        "- {time: 0.95, question: 'Where is the door?', id: right, "
        "steps: 'Turn left 35 degrees, then move 4 metres to the door.'}\n"
        "- {time: 1.5, question: 'Where is the door?', id: reversed, "
        "steps: 'Turn right 35 degrees, then move 4 metres to the door.'}\n"
    )
    report = replayed(make_bag(tmp_path / "bag"), questions=questions)
    reference = report["metrics"]["reference"]
    assert reference["direction_accuracy"]["value"] == 0.5
    assert (reference["reversal_rate"]["value"], reference["reversal_rate"]["n"]) == (0.5, 2)
    assert [entry["id"] for entry in report["answers"]] == ["right", "reversed"]
    assert report["answers"][1]["hits"]["reversal_rate"] is True


def test_the_image_that_was_looked_at_live(replayed: Replayed, loader: Loader, tmp_path: Path) -> None:
    said = "Turn left 30 degrees, then move 4 metres to the door."
    loader.by_adapter["default"] = {"Where is the door?": said}
    steps = (Step(Action.TURN, 0.5235987755982988), Step(Action.MOVE, 0.0, 4.0, "door"))
    with recording(tmp_path / "bag") as bag:
        for number in range(20):
            bag.image(number, ns(0.1 * number))
        bag.query("Where is the door?", ns(0.95), "a")
        bag.query("Where is the door?", ns(1.45), "b")
        told = Instruction(query_id="a", query="Where is the door?", status=Status.OK, text=said, steps=steps)
        bag.instruction(told, ns(1.3), ns(1.1))  # the model was busy: it looked later than it was asked
        bag.instruction(Instruction(query_id="b", query="Where is the door?", status=Status.UNSURE, text="?"), ns(2), 0)
    report = replayed(tmp_path / "bag")
    first, second = report["answers"]
    assert (first["image"]["position"], first["image"]["by_instruction"]) == (11, True)
    assert (second["image"]["position"], second["image"]["by_instruction"]) == (14, False)
    assert report["live"]["n"] == 2
    assert report["live"]["looked_at_the_same_image"] == 1
    assert report["live"]["equal_steps"]["value"] == 0.5
    page = (tmp_path / "out/report.html").read_text(encoding="utf-8")
    assert "the image that was looked at live" in page


def test_a_question_without_an_image_is_answered_so(replayed: Replayed, tmp_path: Path) -> None:
    with recording(tmp_path / "bag") as bag:
        bag.query("Where is the door?", ns(1))
        bag.put("/imu", ns(1), _string("x"))
    report = replayed(tmp_path / "bag")
    assert report["status"] == {"NO_IMAGE": 1}
    assert report["answered"] == 0
    assert "no image topic" in report["notes"][0]
    assert "/imu (std_msgs/msg/String)" in report["notes"][0]
    assert report["image_age_s"] == {"p50": None, "p95": None, "max": None}


def test_a_bag_without_questions_says_what_to_do(replayed: Replayed, tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"holds 20 images and no question; give questions with --questions FILE\.yaml"):
        replayed(make_bag(tmp_path / "bag", questions=()))
    assert not (tmp_path / "out").exists()


def test_a_place_that_cannot_be_written_is_one_line(replayed: Replayed, tmp_path: Path) -> None:
    bag = make_bag(tmp_path / "bag")
    (tmp_path / "file").write_text("")
    with pytest.raises(UserError, match="give another folder"):
        replayed(bag, tmp_path / "file")
    (tmp_path / "out/report.json").mkdir(parents=True)
    with pytest.raises(UserError, match=r"report\.json: Is a directory"):
        replayed(bag)


def test_a_damaged_picture_is_one_poor_image(replayed: Replayed, tmp_path: Path) -> None:
    with recording(tmp_path / "bag") as bag:
        for number in range(10):
            bag.jpeg(number, ns(0.1 * number))
        _half_a_jpeg(bag, ns(1))
        bag.query("Where is the door?", ns(0.85), "good")
        bag.query("Where is the door?", ns(1.01), "half")
    report = replayed(tmp_path / "bag")
    assert report["status"] == {"OK": 1, "POOR_IMAGE": 1}
    assert "damaged" in report["answers"][1]["answer"]["message"]


def test_the_parameters_of_the_node_count(replayed: Replayed, tmp_path: Path) -> None:
    params = tmp_path / "params.yaml"
    params.write_text("/**/nav_vlm:\n  ros__parameters: {max_image_age: 0.04, image_timeout: 0.01}\n")
    report = replayed(make_bag(tmp_path / "bag"), given={"params_file": str(params)})
    assert report["status"] == {"OK": 1, "STALE_IMAGE": 1}
    assert report["parameters"]["max_image_age"] == 0.04


def test_where_one_stands_is_a_bag_too(replayed: Replayed, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (make_bag(tmp_path / "walk") / "metadata.yaml").unlink()
    cut = data_file(tmp_path / "walk")
    cut.write_bytes(cut.read_bytes()[: cut.stat().st_size // 2])
    questions = tmp_path / "questions.yaml"
    questions.write_text("- {time: 0.1, question: 'Where is the door?'}")
    monkeypatch.chdir(tmp_path / "walk")
    report = replayed(Path(), questions=questions)
    assert report["bag"] == "walk"
    assert report["notes"][0] == "bag walk has no metadata.yaml; its files are read as they are"
    assert report["notes"][1].startswith("walk.mcap has no proper end (")
    assert "walk" not in report["notes"][1].removeprefix("walk.mcap")
    assert "<h1>Replay of walk</h1>" in (tmp_path / "out/report.html").read_text(encoding="utf-8")


def test_a_question_that_is_no_text_is_on_the_page_too(replayed: Replayed, tmp_path: Path) -> None:
    questions = tmp_path / "questions.yaml"
    questions.write_text('- {time: 0.95, question: "Where is \\ud800?"}\n')
    assert replayed(make_bag(tmp_path / "bag"), questions=questions)["status"] == {"INVALID_QUERY": 1}
    assert "<h3>Where is ??</h3>" in (tmp_path / "out/report.html").read_text(encoding="utf-8")


def test_a_single_file_is_a_bag_too(replayed: Replayed, tmp_path: Path) -> None:
    report = replayed(data_file(make_bag(tmp_path / "bag")))
    assert report["status"] == {"OK": 2}


def test_no_ros_is_needed() -> None:
    code = "import sys; sys.modules['rclpy'] = None; import nav_vlm_node.cli.replay, nav_vlm_node.replay.run"
    subprocess.run([sys.executable, "-c", code], check=True)


def _string(text: str) -> Any:
    from tests.bags import STORE

    return STORE.types["std_msgs/msg/String"](data=text)


def _half_a_jpeg(bag: Bag, time: int) -> None:
    import cv2

    from tests.bags import STORE, header

    data = cv2.imencode(".jpg", picture(0)[..., ::-1])[1].reshape(-1)
    kind = STORE.types["sensor_msgs/msg/CompressedImage"]
    bag.put("/image/compressed", time, kind(header=header(time), format="jpeg", data=data[: len(data) // 2]))
