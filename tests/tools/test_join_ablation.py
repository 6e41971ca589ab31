from __future__ import annotations

import importlib.util
import json
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest

from nav_vlm_node.score import MEASURES
from nav_vlm_training.sweep.outcomes import FILE, Outcomes, write_outcomes

ROOT = Path(__file__).parents[2]
ABOUT = {"command": "c", "commit": "0123", "date": "2030-01-02T03:04:05Z", "machine": {}, "versions": {}}


@pytest.fixture(scope="module")
def tool() -> ModuleType:
    spec = importlib.util.spec_from_file_location("join_ablation", ROOT / "tools" / "join_ablation.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules["join_ablation"] = module
    spec.loader.exec_module(module)
    return module


def share(value: float) -> dict[str, Any]:
    return {"value": value, "low": value - 0.1, "high": value + 0.1, "n": 10}


def write(path: Path, figures: dict[str, Any]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(figures))


@pytest.fixture
def words(tmp_path: Path) -> list[str]:
    """The command line; `other` is right in one question of two under seed 0 and in both under seed 1."""
    row = {"name": "variants/joint", "groups": ["variants/joint"], "data": "d", "trained_parameters": 5, "seeds": [0]}
    sweep = {**ABOUT, "rows": [{**row, "config": {}, "trained": {}, "baselines": {}}], "differences": [1]}
    write(tmp_path / "sweep" / "sweep.json", {**sweep, "trials": {"t": {}}, "missing": ["u"]})
    beside = {"constant": {"direction_accuracy": share(0.3), "bertscore_f1": share(0.6)}}
    write(tmp_path / "beside" / "report.json", {"n": 2, "baselines": beside})
    for seed, hits in enumerate(([1, 0], [1, 1])):
        folder = tmp_path / f"other{seed}"
        text = {"bertscore_f1": share(0.5 + 0.2 * seed)}
        write(folder / "report.json", {"n": 2, "trained_parameters": 7, "command": f"c{seed}", **text})
        parts = {name: np.array([hits, [1, 1]], dtype=np.float64) for name in MEASURES}
        write_outcomes(folder / FILE, Outcomes((0, 1), ("a", "b"), parts))
    others = "other=" + ",".join(str(tmp_path / f"other{seed}") for seed in (0, 1))
    given = [
        "--sweep",
        str(tmp_path / "sweep"),
        "--beside",
        str(tmp_path / "beside" / "report.json"),
        "--other",
        others,
    ]
    return [*given, "--out", str(tmp_path / "ablation.json")]


def test_all_are_rows_of_one_table(tool: ModuleType, words: list[str], tmp_path: Path) -> None:
    assert tool.main(words) == 0
    found = json.loads((tmp_path / "ablation.json").read_text())
    assert [row["name"] for row in found["rows"]] == ["variants/joint", "baselines/constant", "other models/other"]
    joint, constant, other = found["rows"]
    assert "config" not in joint
    assert constant["direction_accuracy"] == share(0.3)
    assert (other["seeds"], other["trained_parameters"], other["trials"]) == ([0, 1], 7, ["c0", "c1"])
    assert other["direction_accuracy"]["value"] == 0.75
    assert other["direction_accuracy"]["seeds"] == 2
    assert other["bertscore_f1"]["value"] == pytest.approx(0.6)
    assert (found["command"], found["trials"], found["missing"]) == ("c", {"t": {}}, ["u"])


def test_what_is_missing_is_one_line(
    tool: ModuleType, words: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "beside" / "report.json").unlink()
    assert tool.main(words) == 2
    assert capsys.readouterr().err.count("\n") == 1
    assert not (tmp_path / "ablation.json").exists()
