from __future__ import annotations

import json
from pathlib import Path

import pytest
from safetensors.numpy import load_file

from nav_vlm_training import cli
from nav_vlm_training.embedded.card import LIMITS, _adapted, _made, merged, read_run
from tests.nav_vlm_training.datasets import make_dataset
from tests.tiny_models import make_tiny_blip2


@pytest.fixture(scope="module")
def measured(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """A tiny model, and its figures by the command line."""
    folder = tmp_path_factory.mktemp("card")
    model = make_tiny_blip2(folder / "model", with_adapter=True)
    data = make_dataset(folder / "set", splits=("test", "heldout_room"), scenes=6, seed=4)
    words = ["evaluate", "--model", str(model), "--data", str(data), "--limit", "20", "--max-new-tokens", "4"]
    assert cli.main([*words, "--device", "cpu", "--results", str(folder / "figures.json")]) == 0
    return model, folder / "figures.json"


def write_run(run: Path) -> Path:
    (run / "perception").mkdir(parents=True)
    config = {"samples": 640, "batch": 64, "seed": 0, "device": "cpu"}
    log = [
        {"event": "started", "config": config, "frames": 1234, "seen": 0},
        {"event": "resumed", "config": config, "frames": 5678, "seen": 320},
        {"seen": 640, "seconds": 5400, "bearing_mean": 5.04, "visible": 0.912},
    ]
    (run / "perception" / "log.jsonl").write_text("".join(json.dumps(line) + "\n" for line in log))
    stage = {
        "seconds": 600,
        "machine": {"cpu": "Some CPU", "cores": 2},
        "date": "2030-01-02T00:00:00Z",
        "commit": "c" * 40,
    }
    record = {"settings": {"worlds": 9, "samples": 640, "seed": 0}, "stages": {"perception": stage}}
    (run / "run.json").write_text(json.dumps(record))
    return run


def test_the_card_says_what_is_so(measured: tuple[Path, Path], tmp_path: Path) -> None:
    model, figures_path = measured
    assert (
        cli.main(["card", "--model", str(model), "--results", str(figures_path), "--run", str(write_run(tmp_path))])
        == 0
    )
    text = (model / "README.md").read_text()
    figures = json.loads(figures_path.read_text())
    assert "not for guiding people" in LIMITS
    assert LIMITS in text
    assert f"\nmake-data\n{figures['command']}\n" in text
    assert f"{figures['n']} questions" in text
    assert "data set of seed 4" in text
    assert "| direction_accuracy | " in text
    assert "--worlds 9 --samples 640 --seed 0" in text
    assert "640 frames (of 5,678 different ones" in text
    assert "mean bearing error of 5.0 degrees" in text
    assert "91.2 %" in text
    assert "| perception | 10 | Some CPU | 2030-01-02 | cccccccccccc |" in text
    count = sum(weight.size for weight in load_file(model / "model.safetensors").values())
    assert f"| all | {count:,} | " in text
    assert "LoRA, r = 2, alpha = 4" in text
    assert str(model.parent) not in text


def test_without_a_run_it_says_less(measured: tuple[Path, Path]) -> None:
    model, figures = measured
    assert cli.main(["card", "--model", str(model), "--results", str(figures)]) == 0
    text = (model / "README.md").read_text()
    assert "nav-vlm-train embedded --run runs/embedded" in text
    assert "Perception saw" not in text


def test_figures_of_other_weights_are_refused(
    measured: tuple[Path, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    other = make_tiny_blip2(tmp_path / "other", seed=3, with_adapter=True)
    assert cli.main(["card", "--model", str(other), "--results", str(measured[1])]) == 2
    assert "measured on other weights" in capsys.readouterr().err
    assert not (other / "README.md").exists()


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--results", "nowhere.json"], "nowhere.json"),
        (["--results", "FIGURES", "--run", "nowhere"], "no run at nowhere"),
        (["--results", "EMPTY"], "lacks 'model_sha256'"),
    ],
)
def test_bad_input_is_one_line(
    measured: tuple[Path, Path], words: list[str], said: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "empty.json").write_text("{}")
    names = {"FIGURES": str(measured[1]), "EMPTY": str(tmp_path / "empty.json")}
    assert cli.main(["card", "--model", str(measured[0]), *(names.get(word, word) for word in words)]) == 2
    printed = capsys.readouterr().err
    assert said in printed
    assert printed.count("\n") == 1


def test_a_run_that_has_only_a_log(tmp_path: Path) -> None:
    run = write_run(tmp_path)
    (run / "run.json").unlink()
    facts = read_run(run)
    assert set(facts) == {"perception"}
    assert facts["perception"]["last"]["seen"] == 640


def test_the_stages_of_several_runs_are_told_one_after_the_other(tmp_path: Path) -> None:
    """An adapter that was made later, of a base whose run is kept as a file."""
    record = {"date": "2026-01-01T00:00:00Z", "commit": "a" * 40, "machine": {"cpu": "A"}, "seconds": 60.0}
    first = tmp_path / "first.json"
    first.write_text(json.dumps({"settings": {"seed": 1}, "stages": {"adapter": record, "base": record}}))
    later = tmp_path / "later"
    (later / "eyes").mkdir(parents=True)
    newer = {"settings": {"seed": 2}, "stages": {"eyes": record, "adapter": record | {"seconds": 120.0}}}
    (later / "run.json").write_text(json.dumps(newer))
    log = [
        {"event": "started", "frames": 70, "config": {"batch": 8}},
        {"seen": 640, "seconds": 3600, "bearing_mean": 2.0, "visible": 0.9},
    ]
    (later / "eyes/log.jsonl").write_text("".join(json.dumps(line) + "\n" for line in log))
    facts = merged([read_run(first), read_run(later)])
    assert facts["settings"] == {"seed": 2}
    assert [(name, stage["seconds"]) for name, stage in facts["stages"]] == [
        ("adapter", 60.0), ("base", 60.0), ("eyes", 60.0), ("adapter", 120.0)
    ]  # fmt: skip
    made = _made(facts)
    assert "saw 640 frames, of 70 different ones" in made
    assert "did not begin new" not in made
    facts["eyes"]["started"]["config"]["adapter"] = "models/embedded/adapters/guide"
    assert "Those eyes did not begin new" in _made(facts)


def test_what_an_adapter_changes_is_told_part_by_part() -> None:
    names = ("language_model.decoder.q", "language_model.encoder.v", "vision_model.encoder.layers.0.self_attn.qkv")
    tensors = [f"base_model.model.{name}.lora_{half}.weight" for name in names for half in "AB"]
    assert _adapted(tensors) == "`qkv` of the vision model; `q` and `v` of the language model"
