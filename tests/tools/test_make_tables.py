from __future__ import annotations

import importlib.util
import json
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def tables() -> ModuleType:
    spec = importlib.util.spec_from_file_location("make_tables", ROOT / "tools" / "make_tables.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules["make_tables"] = module
    spec.loader.exec_module(module)
    return module


def share(value: float | None, n: int = 10) -> dict[str, Any]:
    return {
        "value": value,
        "low": None if value is None else value - 0.1,
        "high": None if value is None else value + 0.1,
        "n": n,
    }


FIGURES = {
    "command": "nav-vlm-train evaluate --data d", "commit": "0123456789abcdef", "date": "2030-01-02T03:04:05Z",
    "machine": {"cpu": "Some CPU", "cores": 2}, "model": "m", "adapter": "guide", "n": 10,
    "direction_accuracy": share(0.875), "coverage": share(None, 0), "latency_s": {"p50": 0.123456, "runs": [{"n": 3}]},
    "baselines": {"base": {"direction_accuracy": share(0.5), "coverage": share(0.9)},
                  "shuffled": {"direction_accuracy": share(0.1), "coverage": share(0.8)}},
    "differences": {
        "phrasing": {"train": share(0.9), "heldout": share(0.8), "points": -10.0, "low": -12.5, "high": -7.5},
    },
}  # fmt: skip
README = """# x

<!-- table: measures docs/results/figures.json -->
old
<!-- end table -->
between
<!-- table: values docs/results/figures.json latency_s.p50 latency_s.runs[0].n -->
<!-- end table -->
after
"""


@pytest.fixture
def root(tmp_path: Path) -> Path:
    (tmp_path / "docs" / "results").mkdir(parents=True)
    (tmp_path / "docs" / "results" / "figures.json").write_text(json.dumps(FIGURES))
    (tmp_path / "README.md").write_text(README)
    (tmp_path / "docs" / "more.md").write_text(
        "<!-- table: differences docs/results/figures.json -->\n<!-- end table -->\n"
        "<!-- table: shares docs/results/figures.json direction_accuracy -->\n<!-- end table -->\n"
    )
    return tmp_path


def test_tables_are_written_once_and_then_are_up_to_date(tables: ModuleType, root: Path) -> None:
    assert tables.main(["--check"], root) == 1
    assert (root / "README.md").read_text() == README, "a check writes nothing"
    assert tables.main([], root) == 0
    text = (root / "README.md").read_text()
    assert (
        "| `direction_accuracy` | 10 | 87.5 % (77.5 to 97.5) | 50.0 % (40.0 to 60.0) | 10.0 % (0.0 to 20.0) |" in text
    )
    assert "| `coverage` | 0 | – | 90.0 % (80.0 to 100.0) | 80.0 % (70.0 to 90.0) |" in text
    assert "| `latency_s.p50` | 0.123 |" in text
    assert "| `latency_s.runs[0].n` | 3 |" in text
    assert "old" not in text
    assert "between" in text
    assert text.endswith("after\n")
    assert "`nav-vlm-train evaluate --data d`; 2030-01-02; commit 0123456789ab; Some CPU, 2 cores" in text
    assert "[figures](docs/results/figures.json)" in text
    more = (root / "docs" / "more.md").read_text()
    assert "| phrasing | 90.0 % (80.0 to 100.0) | 80.0 % (70.0 to 90.0) | -10.0 (-12.5 to -7.5) |" in more
    assert "[figures](../docs/results/figures.json)" in more
    assert tables.main(["--check"], root) == 0
    assert tables.main([], root) == 0
    assert (root / "README.md").read_text() == text


def test_the_nodes_table(tables: ModuleType) -> None:
    times = {"p50": 0.0014, "p95": 0.1, "max": 2.0}
    node = {"what": "a node", "image_age_s": {"p50": 0.5, "p95": 0.6, "max": 0.61, "n": 9}}
    node |= {"get_parameters_while_busy_s": times, "cancel_while_busy_s": times}
    table = tables.nodes({"nodes": {"node": node}}, [])
    assert table.splitlines()[2] == "| a node | 500 / 610 ms | 1 / 2000 ms | 1 / 2000 ms |"


def test_the_table_of_simulators(tables: ModuleType) -> None:
    arrived = {"value": 0.8, "low": 0.49, "high": 0.943, "n": 10}
    counts = {"walks": 10, "questions": 31, "reversals": 2, "sided": 20, "collisions": 1}
    of = {**counts, "success_rate": arrived, "spl": 0.714}
    text = tables.simulators({"walks": {"gazebo": of, "mujoco": {**of, "spl": 1.0}}}, [])
    assert "| Gazebo Classic | 10 | 80.0 % (49.0 to 94.3) | 0.71 | 31 | 2 of 20 | 1 |" in text
    assert "| MuJoCo | 10 | 80.0 % (49.0 to 94.3) | 1.00 |" in text


def test_the_table_of_differences_between_guides(tables: ModuleType) -> None:
    arrivals, spl = {"value": 0.035, "low": 0.01, "high": 0.06}, {"value": -0.042, "low": -0.05, "high": -0.03}
    more = {"first_more": {"success_rate": arrivals, "spl": spl}}
    text = tables.walks_more({"guides": {"model": {}, "base": more}}, [])
    assert text.splitlines()[0] == "| model less | arrivals, points | SPL, points |"
    assert text.splitlines()[2:] == ["| base | +3.5 (+1.0 to +6.0) | -4.2 (-5.0 to -3.0) |"]


def test_a_changed_figure_is_found(tables: ModuleType, root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert tables.main([], root) == 0
    changed = {**FIGURES, "direction_accuracy": share(0.2)}
    (root / "docs" / "results" / "figures.json").write_text(json.dumps(changed))
    assert tables.main(["--check"], root) == 1
    printed = capsys.readouterr()
    assert "+| `direction_accuracy` | 10 | 20.0 %" in printed.out
    assert "run: python tools/make_tables.py" in printed.err
    assert tables.main(["--check", "docs/more.md"], root) == 1
    (root / "docs" / "results" / "figures.json").write_text(json.dumps(FIGURES))
    assert tables.main(["--check"], root) == 0


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("<!-- table: measures docs/results/none.json -->\n<!-- end table -->", "none.json cannot be read"),
        ("<!-- table: menu docs/results/figures.json -->\n<!-- end table -->", "give one of measures"),
        ("<!-- table: measures -->\n<!-- end table -->", "then the file"),
        ("<!-- table: measures docs/results/figures.json -->\n", "has no `<!-- end table -->`"),
        ("<!-- table: values docs/results/figures.json a.b -->\n<!-- end table -->", "no figure 'a.b'"),
        ("<!-- table: shares docs/results/figures.json no -->\n<!-- end table -->", "has no 'no'"),
        ("<!-- table: shares docs/results/bare.json -->\n<!-- end table -->", "names no command"),
    ],
)
def test_a_bad_mark_is_one_line(
    tables: ModuleType, root: Path, text: str, said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    (root / "docs" / "results" / "bare.json").write_text(json.dumps({"direction_accuracy": share(0.5)}))
    (root / "README.md").write_text(text)
    assert tables.main([], root) == 2
    printed = capsys.readouterr().err
    assert said in printed
    assert printed.count("\n") == 1
    assert (root / "README.md").read_text() == text


def test_the_tables_of_this_repository_are_up_to_date(tables: ModuleType) -> None:
    assert tables.main(["--check"]) == 0


def test_an_ablation_has_a_line_for_each_row_and_each_difference(tables: ModuleType) -> None:
    row = {
        "groups": ["a/joint", "b/2"],
        "trained_parameters": 147456,
        "seeds": [0, 1],
        "coverage": share(0.5),
    }
    other = {"groups": ["baselines/base"], "trained_parameters": 0, "seeds": [], "coverage": share(None, 0)}
    about = {"row": "variants/joint", "against": "variants/lm_only", "p": 0.0123, "n": 7, "scenes": 5, "seeds": 2}
    figures = {"rows": [row, other], "differences": [{**about, "value": -0.04, "low": -0.07, "high": 0.01}]}
    assert tables.ablation(figures, ["coverage"]).splitlines()[2:] == [
        "| a/joint, b/2 | 147,456 | 2 | 50.0 % (40.0 to 60.0) |",
        "| baselines/base | 0 | – | – |",
    ]
    assert tables.ablation_differences(figures, []).splitlines()[2:] == [
        "| variants/joint | variants/lm_only | -4.0 (-7.0 to +1.0) | 0.012 | 7 | 5 | 2 |"
    ]
