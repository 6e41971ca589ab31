"""The tool that measures the parser on people's answers, on a made-up file."""

import importlib.util
import json
from pathlib import Path
from types import ModuleType

import pytest

TOOL = Path(__file__).parents[2] / "tools" / "measure_parser.py"
LABELS = Path(__file__).parents[1] / "data" / "paper_labels.jsonl"
MORE = LABELS.with_name("paper_labels_more.jsonl")


@pytest.fixture(scope="module")
def tool() -> ModuleType:
    spec = importlib.util.spec_from_file_location("measure_parser", TOOL)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "hall.txt").write_text(
        "hall/1.jpg;Q:Where is the door;A:Turn left; it’s on your right.\n"
        "\n"
        "hall/2.jpg;Q:Is the way free;A:Yes, there is a box.\n"
        "a line without an answer\n"
        "hall/3.jpg;Q:How do I get out;A:Sing a song.\n",
        encoding="utf-8",
    )
    return tmp_path


def labels(folder: Path, *lines: dict[str, object]) -> Path:
    path = folder / "labels.jsonl"
    path.write_text("".join(json.dumps(line) + "\n" for line in lines), encoding="utf-8")
    return path


def test_what_is_right_is_counted_by_answer_and_by_step(
    tool: ModuleType, folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = labels(
        folder,
        {"file": "hall.txt", "line": 1, "steps": ["turn left", "locate left"]},  # wrong on purpose: it is on the right
        {"file": "hall.txt", "line": 3, "steps": ["hazard none"]},
    )
    assert tool.main([str(folder), "--labels", str(path), "--out", str(folder / "out.json"), "--note", "made up"]) == 0
    result = json.loads(capsys.readouterr().out)
    assert result == json.loads((folder / "out.json").read_text())
    assert (result["value"], result["n"]) == (0.5, 2)
    assert {kind: share["value"] for kind, share in result["steps_found"].items()} == {
        "turn": 1,
        "locate": 0,
        "hazard": 1,
    }
    assert result["all_answers_with_a_step"] | {"low": 0, "high": 1} == {"value": 2 / 3, "low": 0, "high": 1, "n": 3}
    assert result["wrong"] == [
        {"file": "hall.txt", "line": 1, "label": ["turn left", "locate left"], "parsed": ["turn left", "locate right"]}
    ]
    assert str(folder) not in result["command"]
    assert result["note"] == "made up"


@pytest.mark.parametrize(
    ("lines", "said"),
    [
        ([{"file": "hall.txt", "line": 2, "steps": []}], "where there is no answer"),
        ([{"file": "hall.txt", "line": 1, "steps": []}] * 2, "twice"),
    ],
)
def test_labels_must_fit_the_answers(
    tool: ModuleType, folder: Path, capsys: pytest.CaptureFixture[str], lines: list[dict[str, object]], said: str
) -> None:
    assert tool.main([str(folder), "--labels", str(labels(folder, *lines))]) == 2
    assert said in capsys.readouterr().err


def test_a_folder_without_answers_says_so(tool: ModuleType, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert tool.main([str(tmp_path), "--labels", str(LABELS)]) == 2
    assert "holds no .txt files" in capsys.readouterr().err


@pytest.mark.parametrize(("path", "count", "files"), [(LABELS, 100, 3), (MORE, 137, 2)])
def test_the_labels_hold_no_sentence_of_the_published_answers(path: Path, count: int, files: int) -> None:
    rows = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
    assert len({(row["file"], row["line"]) for row in rows}) == len(rows) == count
    assert len({row["file"] for row in rows}) == files
    sides = ("left", "right", "ahead", "behind", "none")
    allowed = {f"{kind} {side}" for kind in ("turn", "move", "locate", "hazard") for side in sides} | {"clear"}
    for row in rows:
        assert set(row) == {"file", "line", "steps"}
        assert set(row["steps"]) <= allowed
