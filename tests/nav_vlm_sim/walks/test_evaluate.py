"""`nav-vlm-sim evaluate`: same seeds same walks, resumable, on unseen plans, one clear line for what is wrong."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from nav_vlm_node.errors import UserError
from nav_vlm_sim import cli
from nav_vlm_sim.walks import evaluate as module
from nav_vlm_sim.walks import floorplan
from nav_vlm_sim.walks.evaluate import EPISODES, FIRST_PLAN, Settings, Task, evaluate, places
from nav_vlm_sim.walks.guides import OracleGuide
from nav_vlm_sim.walks.working import walk_one

PLANS = Path(floorplan.__file__).with_name("plans")
OPTIONS = ["evaluate", "--episodes", "4", "--seed", "7", "--guides", "oracle", "--workers", "1", "--json"]


def test_keys_and_what_they_hold(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    results = tmp_path / "walks.json"
    assert cli.main([*OPTIONS, "--results", str(results)]) == 0
    figures = json.loads(capsys.readouterr().out)
    oracle = figures["guides"]["oracle"]
    for name in ("success_rate", "spl", "collisions_per_episode", "reversal_rate", "instructions_per_metre"):
        assert {"value", "low", "high", "n"} <= set(oracle[name])
    assert oracle["success_rate"]["value"] == 1.0
    assert oracle["episodes"] == 4
    assert set(oracle["classes"]) == {"A", "B", "C"}
    assert oracle["spl"]["value"] > 0.7
    kept = json.loads(results.read_text())
    assert kept["guides"] == figures["guides"]
    assert kept["command"].startswith("nav-vlm-sim evaluate --episodes 4 --seed 7")


def test_half_of_each_class_and_no_plan_of_another_seed() -> None:
    found = places(Settings(episodes=6, seed=3))
    kinds = [module._plan(plan).walks[walk].kind for plan, walk, _ in found]
    assert (kinds.count("A"), kinds.count("B"), kinds.count("C")) == (3, 3, 1)
    assert {int(plan) // module.PLANS for plan, _, _ in found} == {FIRST_PLAN // module.PLANS + 3}
    assert found[:4] == places(Settings(episodes=4, seed=3))[:4]


def test_an_interrupted_evaluation_goes_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    settings = Settings(episodes=3, seed=7, guides=("oracle",))
    whole = evaluate(settings, tmp_path / "whole", workers=1, quiet=True)
    walked: list[Task] = []

    def stops(settings: Settings, task: Task) -> object:
        if len(walked) == 2:
            raise KeyboardInterrupt
        walked.append(task)
        return walk_one(settings, task)

    out = tmp_path / "parts"
    with monkeypatch.context() as patch:
        patch.setattr("nav_vlm_sim.walks.working.walk_one", stops)
        with pytest.raises(KeyboardInterrupt):
            evaluate(settings, out, workers=1, quiet=True)
    with (out / EPISODES).open("a") as file:
        file.write('{"key": "oracle 1 2 3", "episo')  # a killed run's last line
    assert evaluate(settings, out, workers=1, quiet=True) == whole
    lines = [json.loads(line)["key"] for line in (out / EPISODES).read_text().splitlines()]
    assert len(lines) == len(set(lines)) == 3
    monkeypatch.setattr("nav_vlm_sim.walks.working.walk_one", stops)  # would stop: nothing is left to walk
    assert evaluate(settings, out, workers=1, quiet=True) == whole


def test_two_processes_find_what_one_finds(tmp_path: Path) -> None:
    settings = Settings(episodes=2, seed=9, guides=("oracle",))
    one = evaluate(settings, tmp_path / "one", workers=1, quiet=True)
    assert evaluate(settings, tmp_path / "two", workers=2, quiet=True) == one


@pytest.mark.parametrize(
    ("options", "line"),
    [
        (["--episodes", "0"], "--episodes: give 1 or more"),
        (["--episodes", "2", "--walker", "drunk"], "no walker 'drunk'; use careful, average, hasty"),
        (["--episodes", "2", "--guides", "dog"], "no guide 'dog'; use model, oracle"),
        (["--episodes", "2", "--workers", "0"], "--workers: give 1 or more"),
        (["--episodes", "2", "--plan", "nowhere.yaml"], "nowhere.yaml: No such file"),
        (["--episodes", "2", "--seed", "5000", "--results", "f.json"], "are to learn from, and nobody is measured on"),
        (["--episodes", "2", "--seed", "9999", "--page", "--out", "o"], "leave --results and --page out, or give a lo"),
        (["--episodes", "2", "--guides", "oracle,constant,oracle"], "--guides: oracle is named twice"),
        (["--episodes", "2", "--plan", "a.yaml", "--plan", "./b/../a.yaml"], "a.yaml is named twice; name it once"),
    ],
)
def test_what_is_wrong_is_one_line(
    options: list[str],
    line: str,
    capsys: pytest.CaptureFixture[str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(tmp_path)
    assert cli.main(["evaluate", "--guides", "oracle", *options]) == 2
    assert not list(tmp_path.iterdir())
    said = capsys.readouterr()
    assert line in said.err
    assert len(said.err.strip().splitlines()) == 1
    assert said.out == ""


def test_a_folder_of_something_else_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "thesis.tex").write_text("mine")
    with pytest.raises(UserError, match="holds no walks"):
        evaluate(Settings(episodes=2, seed=1, guides=("oracle",)), tmp_path, workers=1, quiet=True)
    assert [path.name for path in tmp_path.iterdir()] == ["thesis.tex"]
    other = tmp_path / "other"
    evaluate(Settings(episodes=1, seed=1, guides=("oracle",)), other, workers=1, quiet=True)
    with pytest.raises(UserError, match=r"other settings \(seed differ\)"):
        evaluate(Settings(episodes=1, seed=2, guides=("oracle",)), other, workers=1, quiet=True)
    (other / EPISODES).write_text('{"key": 1}\n')
    with pytest.raises(UserError, match="line 1 is damaged"):
        evaluate(Settings(episodes=1, seed=1, guides=("oracle",)), other, workers=1, quiet=True)


def test_a_plan_that_was_changed_is_not_walked_on(tmp_path: Path) -> None:
    plan, out = tmp_path / "home.yaml", tmp_path / "out"
    text = (PLANS / "home.yaml").read_text(encoding="utf-8")
    plan.write_text(text, encoding="utf-8")
    settings = Settings(episodes=1, seed=1, guides=("oracle",), plans=(str(plan),))
    first = evaluate(settings, out, workers=1, quiet=True)
    assert evaluate(settings, out, workers=1, quiet=True) == first
    plan.write_text(text.replace("height: 2.5", "height: 2.6"), encoding="utf-8")
    with pytest.raises(UserError, match=r"other settings \(plan_sha256 differ\)"):
        evaluate(settings, out, workers=1, quiet=True)


def test_another_model_or_adapter_at_the_same_path_is_not_walked_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("nav_vlm_sim.walks.working._guide", lambda settings, name: OracleGuide())
    made, out = model_files(tmp_path / "model"), tmp_path / "out"
    settings = Settings(episodes=1, seed=1, guides=("oracle",), model=str(tmp_path / "model"))
    evaluate(settings, out, workers=1, quiet=True)
    made["model"].write_bytes(made["model"].read_bytes()[:-1] + b"\1")  # nobody has looked with it yet
    both = replace(settings, guides=("oracle", "model"))
    whole = evaluate(both, out, workers=1, quiet=True)
    assert evaluate(both, out, workers=1, quiet=True) == whole
    for name, file in made.items():
        before = file.read_bytes()
        file.write_bytes(before[:-1] + b"\2")
        with pytest.raises(UserError, match=rf"other settings \({name}_sha256 differ\)"):
            evaluate(both, out, workers=1, quiet=True)
        evaluate(settings, out, workers=1, quiet=True)  # the oracle is the same under any
        file.write_bytes(before)
    assert evaluate(both, out, workers=1, quiet=True) == whole


def test_a_walk_that_leads_nowhere_is_named_before_anything_is_walked(tmp_path: Path) -> None:
    """The flat has no lift."""
    plan, out = tmp_path / "home.yaml", tmp_path / "out"
    text = (PLANS / "home.yaml").read_text(encoding="utf-8")
    plan.write_text(text + "  - {x: 1.0, y: 4.0, yaw: 0, goal: lift, class: C}\n", encoding="utf-8")
    settings = Settings(episodes=1, seed=1, guides=("oracle",), plans=(str(plan),))
    with pytest.raises(UserError, match=r"home.yaml: no way leads from 1, 4 \(walk 6\) to the goal 'lift'"):
        evaluate(settings, out, workers=1, quiet=True)
    assert not out.exists()


def model_files(folder: Path) -> dict[str, Path]:
    """A model with an adapter as far as their cards go; their weights."""
    adapter = folder / "adapters" / "a"
    adapter.mkdir(parents=True)
    weights = b'{"x":{"dtype":"U8","shape":[1],"data_offsets":[0,1]}}'
    files = {"model": folder / "model.safetensors", "adapter": adapter / "adapter_model.safetensors"}
    for file in files.values():
        file.write_bytes(len(weights).to_bytes(8, "little") + weights + b"\0")
    view = {"projection": "squash", "width": 8, "height": 8}
    card = {"name": "m", "view": view, "adapters": ["adapters/a"], "default_adapter": "a"}
    texts: dict[Path, object] = {
        folder / "config.json": {"model_type": "blip-2"}, folder / "tokenizer_config.json": {},
        folder / "nav_vlm.json": card, adapter / "adapter_config.json": {},
        adapter / "nav_vlm.json": {"base_sha256": ""},
    }  # fmt: skip
    for path, value in texts.items():
        path.write_text(json.dumps(value))
    return files
