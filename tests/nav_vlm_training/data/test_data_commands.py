"""The commands on data, as they are typed."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from nav_vlm_training import cli
from nav_vlm_training.commands import prepare as prepare_command
from nav_vlm_training.data.prepare import HFOV
from nav_vlm_training.data.reading import Remark
from nav_vlm_training.data.reporting import print_remarks
from nav_vlm_training.data.samples import read_dataset
from nav_vlm_training.data.sources import SOURCES
from nav_vlm_training.data.splits import UNITS
from tests.nav_vlm_training.data.labelled import annotation, export
from tests.nav_vlm_training.datasets import make_dataset
from tests.nav_vlm_training.indoor67 import make_paper

Capture = pytest.CaptureFixture[str]


def test_the_command_offers_every_source_and_says_the_usual_values() -> None:
    assert tuple(SOURCES) == prepare_command.SOURCES
    _, args = cli.parse_arguments(["prepare", "--from", "sim", "--data", "d", "--out", "o"])
    assert (args.hfov, args.by, args.seed, args.limit) == (HFOV, UNITS[0], 0, 0)


def test_prepare_says_what_it_made_and_what_is_odd(tmp_path: Path, capsys: Capture) -> None:
    questions, pictures = make_paper(tmp_path)
    with questions.open("a") as file:
        file.write("odd\n")
        for number in range(5):
            file.write(f"corridor/corridor_00.jpg;Q:Where is door {number};A:Walk straight ahead.\n")
            file.write(f"corridor/corridor_01.jpg;Q:Where is door {number};A:Go straight.\n")
    words = ["prepare", "--from", "paper", "--data", str(questions), "--pictures", str(pictures)]
    words += ["--out", str(tmp_path / "out")]
    assert cli.main(words) == 0
    printed = capsys.readouterr()
    assert "questions.txt:48: it is not like path;Q:question;A:answer; left out" in printed.err
    first, second, third = printed.out.splitlines()
    assert "34 questions about 12 pictures" in first
    assert "1 left out; nothing is in two splits, by scene, path or pixels" in first
    assert second.startswith("directions: ahead ")
    assert third.startswith("unbalanced: ")
    assert cli.main([*words, "--json"]) == 0
    card = json.loads(capsys.readouterr().out)
    assert card["counts"]["questions"] == 34
    assert str(tmp_path) not in json.dumps(card)


@pytest.mark.parametrize("splits", ["train", "train=x", "train=0.5,test"])
def test_splits_that_are_none_are_one_line(tmp_path: Path, splits: str, capsys: Capture) -> None:
    questions, pictures = make_paper(tmp_path)
    words = ["--data", str(questions), "--pictures", str(pictures), "--out", str(tmp_path / "o"), "--splits", splits]
    assert cli.main(["prepare", "--from", "paper", *words]) == 2
    printed = capsys.readouterr()
    assert printed.err.count("\n") == 1
    assert "--splits" in printed.err
    assert not (tmp_path / "o").exists()


def test_remarks_are_no_flood(capsys: Capture) -> None:
    remarks = [Remark(f"f:{i}", "odd", left_out=i == 99) for i in range(100)]
    print_remarks(remarks, "out/remarks.jsonl")
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == 21
    assert lines[0] == "f:99: odd; left out"
    assert lines[-1] == "and 80 more; all are in out/remarks.jsonl"


def test_check_proves_a_set_and_refuses_a_leak(tmp_path: Path, capsys: Capture) -> None:
    folder = make_dataset(tmp_path / "set", splits=("train", "test"), scenes=4)
    assert cli.main(["check", "--data", str(folder)]) == 0
    assert "nothing is in two splits, by scene, path or pixels" in capsys.readouterr().out
    lines = (folder / "questions.jsonl").read_text().splitlines()
    lines[0] = json.dumps({**json.loads(lines[0]), "split": "test"})
    (folder / "questions.jsonl").write_text("\n".join(lines))
    assert cli.main(["check", "--data", str(folder)]) == 2
    assert "scene 0 is in test and train (3 such leaks)" in capsys.readouterr().err


def test_check_looks_through_pictures(tmp_path: Path, capsys: Capture) -> None:
    _, pictures = make_paper(tmp_path)
    (pictures / "Images" / "corridor" / "corridor_00.jpg").write_bytes(b"nothing")
    assert cli.main(["check", "--pictures", str(pictures)]) == 0
    printed = capsys.readouterr().out
    assert "corridor/corridor_00.jpg: is broken" in printed
    assert "12 pictures, 9 in the train list, 3 in the test list; 1 remarks, 1 of them" in printed
    (tmp_path / "empty").mkdir()
    assert cli.main(["check", "--pictures", str(tmp_path / "empty")]) == 2


def test_from_tasks_to_agreement(tmp_path: Path, capsys: Capture) -> None:
    folder = make_dataset(tmp_path / "set", scenes=2)
    assert cli.main(["label", "--data", str(folder), "--out", str(tmp_path / "label"), "--limit", "8"]) == 0
    assert (tmp_path / "label" / "config.xml").read_text().startswith("<View>")
    tasks = json.loads((tmp_path / "label" / "tasks.json").read_text())
    assert len(tasks) == 8
    for number, one in enumerate(tasks):
        ways = ("left", "right" if number % 4 == 0 else "left")
        one["annotations"] = [annotation(i, answer=f"Turn {way}.", direction=way) for i, way in enumerate(ways)]
    path = export(tmp_path / "export.json", tasks)
    capsys.readouterr()
    assert cli.main(["agreement", "--labels", str(path)]) == 0
    printed = capsys.readouterr().out
    assert "way: 8 judged by two or more of 2, the same in 75 % of pairs; alpha " in printed
    assert "  0 and 1: kappa 0.00 over 8" in printed
    assert cli.main(["agreement", "--labels", str(path), "--json"]) == 0
    figures = json.loads(capsys.readouterr().out)
    assert figures["way"]["alpha"] == figures["direction"]["alpha"]
    assert cli.main(["agreement", "--labels", str(export(tmp_path / "none.json", []))]) == 2


def test_people_who_disagree_on_everything_are_told_in_one_line(tmp_path: Path, capsys: Capture) -> None:
    made = [annotation(1, answer="Turn left."), annotation(2, answer="Turn right."), annotation(3, answer="Go ahead.")]
    tasks = [{"data": {"image": f"http://x/{i}.jpg", "question": "Where?"}, "annotations": made} for i in range(5)]
    assert cli.main(["agreement", "--labels", str(export(tmp_path / "e.json", tasks))]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert "no two people agree on any of 5: agree on the rules first" in lines[0]


def test_from_answers_to_correlations(tmp_path: Path, capsys: Capture) -> None:
    folder = make_dataset(tmp_path / "set", scenes=10, views=1)
    lines: list[dict[str, object]] = [{"identity": {}}]
    for sample in read_dataset(folder).samples[::2]:
        for system, text in (("model", sample.text), ("base", "Turn around.")):
            line: dict[str, object] = {
                "system": system,
                "image": sample.image,
                "question": sample.question,
                "text": text,
            }
            lines.append({**line, "confidence": 0.5})
    answers = tmp_path / "answers.jsonl"
    answers.write_text("".join(json.dumps(line) + "\n" for line in lines))
    words = ["rate", "--answers", str(answers)]
    assert cli.main([*words, "--out", str(tmp_path / "rate")]) == 0
    tasks = json.loads((tmp_path / "rate" / "tasks.json").read_text())
    assert len(tasks) == 120
    for one in tasks:
        rating = "unsafe" if one["data"]["answer"] == "Turn around." else "right"
        one["annotations"] = [annotation("ann", rating=rating)]
    ratings = export(tmp_path / "ratings.json", tasks)
    capsys.readouterr()
    assert cli.main([*words, "--ratings", str(ratings), "--data", str(folder), "--resamples", "50"]) == 0
    printed = capsys.readouterr().out.splitlines()
    assert printed[0] == "120 answers rated: 60 right, 60 unsafe"
    (line_,) = [line for line in printed if line.startswith("direction_accuracy: ")]
    assert "right +1.00 (+1.00 to +1.00" in line_
    assert "unsafe -1.00" in line_


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ([], "give --out D to make the tasks, or --ratings"),
        (["--out", "o", "--ratings", "r"], "give --out D to make the tasks, or --ratings"),
        (["--ratings", "r"], "--ratings needs --data"),
        (["--out", "o"], "answers.jsonl cannot be read"),
    ],
)
def test_rate_needs_one_thing_to_do(words: list[str], said: str, capsys: Capture) -> None:
    assert cli.main(["rate", "--answers", "answers.jsonl", *words]) == 2
    assert said in capsys.readouterr().err
