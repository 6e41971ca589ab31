"""The embedded model made in miniature: every stage through the command line, interrupted, gone on with, evaluated."""

from __future__ import annotations

import dataclasses
import functools
import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file
from transformers import Blip2ForConditionalGeneration

from nav_vlm_sim.walks.evaluate import FIRST_LEARNED_SEED, Settings, evaluate
from nav_vlm_training import cli
from nav_vlm_training.embedded import make as make_module
from nav_vlm_training.embedded import pretrain as module
from nav_vlm_training.embedded import run as run_module
from nav_vlm_training.embedded.architecture import VIEW, load_base
from nav_vlm_training.embedded.features import extract
from nav_vlm_training.embedded.pretrain import (
    PretrainConfig,
    Pretraining,
    class_weights,
    make_batch,
    pretrain,
    to_pixels,
)
from nav_vlm_training.embedded.targets import Frames
from tests.nav_vlm_training.datasets import make_dataset

SMALL = {
    "samples": 128, "worlds": 2, "held_out_worlds": 1, "language_worlds": 1, "passes": 2,
    "base_steps": 2, "adapter_steps": 2,
}  # fmt: skip
STAGES = ("frames", "perception", "base", "adapter")


def words(run: Path, *more: str) -> list[str]:
    options = [word for name, value in SMALL.items() for word in ("--" + name.replace("_", "-"), str(value))]
    return ["embedded", "--run", str(run), *options, *more]


@pytest.fixture(autouse=True)
def few_threads() -> None:
    torch.set_num_threads(1)


@pytest.fixture(scope="module")
def made(drawn: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run in which every stage was made, by one command."""
    run = tmp_path_factory.mktemp("made") / "run"
    shutil.copytree(drawn, run)
    assert cli.main(words(run)) == 0
    return run


def test_every_stage_leaves_what_the_next_needs(made: Path) -> None:
    record = json.loads((made / "run.json").read_text())
    assert tuple(record["stages"]) == STAGES
    assert record["settings"]["samples"] == 128
    for stage in record["stages"].values():
        assert {"command", "commit", "machine", "seconds", "settings", "figures"} <= set(stage)
        assert str(made.parent) not in json.dumps(stage), "no path of this machine is recorded"
    assert record["stages"]["adapter"]["figures"]["n"] > 0
    for name in ("model.safetensors", "config.json", "nav_vlm.json", "adapters/guide/adapter_model.safetensors"):
        assert (made / "base" / name).is_file()


def test_the_same_command_again_does_nothing(made: Path, capsys: pytest.CaptureFixture[str]) -> None:
    before = {path: path.stat().st_mtime_ns for path in made.rglob("*") if path.is_file()}
    assert cli.main(words(made)) == 0
    assert cli.main(["embedded", "--run", str(made)]) == 0, "--run alone has the settings of the run"
    assert {path: path.stat().st_mtime_ns for path in made.rglob("*") if path.is_file()} == before
    assert capsys.readouterr().err.count("done already") == 2 * len(STAGES)


def test_the_made_model_is_evaluated_from_the_command_line(
    made: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    data = make_dataset(tmp_path / "set", scenes=3)
    options = ["--limit", "6", "--json", "--max-new-tokens", "6", "--device", "cpu"]
    assert cli.main(["evaluate", "--model", str(made / "base"), "--data", str(data), *options]) == 0
    figures = json.loads(capsys.readouterr().out)
    assert (figures["n"], figures["model"], figures["adapter"]) == (6, "nav_vlm_embedded", "guide")
    assert set(figures["baselines"]) == {"base", "constant", "question_only", "retrieval", "shuffled"}


def test_a_given_base_learns_from_walks(
    drawn: Path, made: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    settings = Settings(episodes=1, seed=FIRST_LEARNED_SEED, guides=("oracle",))
    evaluate(settings, tmp_path / "walked", workers=1, quiet=True)
    shutil.copytree(drawn, tmp_path / "run")
    shutil.copytree(made / "base", tmp_path / "given")
    more = ("--base", "given", "--walks", "walked")
    assert cli.main(words(Path("run"), *more)) == 0
    said = capsys.readouterr().err
    assert "perception: that of given" in said
    assert not (tmp_path / "run/perception/checkpoint.pt").exists()
    shards = sorted((tmp_path / "run/frames/walks").glob("walk-*"))
    assert shards
    base = tmp_path / "run/base"
    assert (base / "model.safetensors").read_bytes() == (made / "base/model.safetensors").read_bytes()
    adapter = base / "adapters/guide/adapter_model.safetensors"
    assert adapter.read_bytes() != (made / "base/adapters/guide/adapter_model.safetensors").read_bytes()
    (world,) = sorted((tmp_path / "run/frames/train").glob("world-*"))[-SMALL["language_worlds"] :]
    frames = sum(len(np.load(shard / "rgb.npy")) for shard in (world, *shards))
    (features,) = (tmp_path / "run/features").iterdir()
    assert len(np.load(features / "train/rows.npy")) == 2 * frames, "as they are, and changed"
    record = json.loads((tmp_path / "run/run.json").read_text())
    assert set(record["stages"]) == {"frames", "adapter"}
    assert record["settings"]["walks"] == "walked"
    before = adapter.stat().st_mtime_ns
    assert cli.main(words(Path("run"), *more)) == 0
    assert adapter.stat().st_mtime_ns == before


def test_an_adapter_has_eyes_of_its_own(
    drawn: Path, made: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    evaluate(Settings(episodes=4, seed=FIRST_LEARNED_SEED, guides=("oracle",)), Path("walked"), workers=1, quiet=True)
    shutil.copytree(drawn, "run")
    shutil.copytree(made / "base", "given")
    given = ("--base", "given", "--adapter", "given/adapters/guide", "--walks", "walked")
    more = ("--headings", "1", "--eyes-samples", "128", "--eyes-rate", "0.01")
    monkeypatch.setattr(make_module, "PretrainConfig", functools.partial(PretrainConfig, settle=0, warmup=1))
    assert cli.main(words(Path("run"), *given, *more)) == 0
    base = Path("run/base")
    assert (base / "model.safetensors").read_bytes() == (made / "base/model.safetensors").read_bytes()
    weights = load_file(base / "adapters/guide/adapter_model.safetensors")
    for part in ("vision_model", "qformer", "language_model"):
        halves = [weight for name, weight in weights.items() if f".{part}." in name and "lora_B" in name]
        assert halves, part
        assert any(half.abs().max() > 0 for half in halves), part
    seen = torch.load("run/eyes/checkpoint.pt", weights_only=True)["vision_model"]
    for name, weight in weights.items():
        if ".vision_model." in name:
            learned = seen[name.split("vision_model.")[1].replace(".weight", ".default.weight")]
            assert torch.equal(weight, learned), "the vision model learns nothing more in the last stage"
    shards = sorted(Path("run/frames/walks").glob("walk-*"))
    assert len(shards) > 1
    log = [json.loads(line) for line in Path("run/eyes/log.jsonl").read_text().splitlines()]
    (world, _) = sorted(Path("run/frames/train").glob("world-*"))
    frames = {shard: len(np.load(shard / "rgb.npy")) for shard in (world, *shards)}
    assert log[0]["frames"] == frames[world] + sum(frames[s] for k, s in enumerate(shards) if k % 3)
    (features,) = Path("run/features").iterdir()
    patches = np.load(features / "val/patches.npy")
    model = load_base(base)
    val = Frames(sorted(Path("run/frames/val").glob("world-*")), VIEW)
    without = extract(model, val, np.arange(len(val)), augment=False).patches
    assert np.abs(patches.astype(float) - without).max() > 0.01, "the language stage looks through the adapter's eyes"
    drop_other = make_module._drop_other
    plan = PretrainConfig(**torch.load("run/eyes/checkpoint.pt", weights_only=True)["config"])
    drop_other(dataclasses.replace(plan, samples=999, device="cuda", start="elsewhere"), Path("run/eyes"))
    assert Path("run/eyes/checkpoint.pt").exists(), "the same eyes learn on"
    drop_other(dataclasses.replace(plan, rank=4), Path("run/eyes"))
    assert not Path("run/eyes").exists(), "eyes of another shape begin anew"
    capsys.readouterr()
    shutil.copytree(base, "seeing")
    still = ("--base", "seeing", "--adapter", "seeing/adapters/guide", "--walks", "walked", "--headings", "1")
    shutil.copytree(drawn, "again")
    assert cli.main(words(Path("again"), *still, "--eyes-samples", "128", "--eyes-rate", "1e-9")) == 0
    begun = torch.load("again/eyes/checkpoint.pt", weights_only=True)["vision_model"]
    assert all(torch.allclose(begun[name], seen[name], atol=1e-6) for name in seen), "they go on from where they were"
    blind = ("--base", "seeing", "--adapter", "seeing/adapters/guide", "--eyes-samples", "0", "--stage", "adapter")
    assert cli.main(words(Path("run"), *blind)) == 2
    assert "--eyes-samples for one that has eyes of its own" in capsys.readouterr().err
    data = make_dataset(tmp_path / "set", scenes=2)
    few = ("--limit", "2", "--max-new-tokens", "4")
    assert cli.main(["evaluate", "--model", str(base), "--data", str(data), *few]) == 0


def test_an_adapter_is_trained_on(
    drawn: Path, made: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    shutil.copytree(drawn, tmp_path / "run")
    shutil.copytree(made / "base", tmp_path / "given")
    given = ("--base", "given", "--adapter", "given/adapters/guide")
    assert cli.main(words(Path("run"), *given, "--adapter-rate", "1e-9")) == 0
    before, after = (
        load_file(tmp_path / name / "adapters/guide/adapter_model.safetensors") for name in ("given", "run/base")
    )
    assert before.keys() == after.keys()
    assert all(torch.allclose(before[name], after[name], atol=1e-6) for name in before), "it begins where it was"
    capsys.readouterr()
    assert cli.main(words(Path("run"), *given, "--rank", "4")) == 2
    assert "--rank" in capsys.readouterr().err
    assert cli.main(words(Path("run"), "--base", "given", "--adapter", "given")) == 2
    assert "given is no adapter" in capsys.readouterr().err


def test_a_base_that_is_none_is_named(drawn: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(words(tmp_path / "run", "--base", str(tmp_path / "nothing"))) == 2
    assert "nothing" in capsys.readouterr().err
    assert not (tmp_path / "run").exists()


class Frozen:
    """Stands in for time: seconds that a run took are no part of what it computes."""

    @staticmethod
    def monotonic() -> float:
        return 0.0


def state(out: Path) -> dict[str, torch.Tensor]:
    checkpoint = torch.load(out / "checkpoint.pt", weights_only=True)
    found = {}

    def walk(name: str, value: Any) -> None:
        if isinstance(value, torch.Tensor):
            found[name] = value
        elif isinstance(value, (int, float)):
            found[name] = torch.tensor(float(value))
        elif isinstance(value, dict):
            for key, part in value.items():
                walk(f"{name}.{key}", part)
        elif isinstance(value, (list, tuple)):
            for i, part in enumerate(value):
                walk(f"{name}.{i}", part)

    walk("", checkpoint)
    return found


def test_interrupted_and_resumed_is_uninterrupted(run: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Weights, read-outs and optimisers after four steps, one of two runs stopped by Ctrl-C after two; to rounding:
    two runs of fp32 need not agree in the last bit."""
    monkeypatch.setattr(module, "time", Frozen)
    config = PretrainConfig(samples=32, batch=8, warmup=2, checkpoint_every=3, evaluate_every=100)
    shards, held_out = (sorted((run / "frames" / split).glob("world-*")) for split in ("train", "val"))
    figures = pretrain(config, shards, held_out, run / "whole")

    real = Pretraining.train_step

    def interrupted(self: Pretraining, *arguments: Any) -> dict[str, float]:
        if self.step == 2:
            raise KeyboardInterrupt
        return real(self, *arguments)

    with monkeypatch.context() as patched:
        patched.setattr(Pretraining, "train_step", interrupted)
        with pytest.raises(KeyboardInterrupt):
            pretrain(config, shards, held_out, run / "twice")
    torch.manual_seed(99)  # nothing may depend on what else was drawn in the process
    assert pretrain(config, shards, held_out, run / "twice") == pytest.approx(figures, rel=1e-3, abs=1e-3)
    whole, twice = state(run / "whole"), state(run / "twice")
    assert whole.keys() == twice.keys()
    assert len(whole) > 500
    differing = [name for name in whole if not torch.allclose(whole[name], twice[name], rtol=1e-3, atol=1e-5)]
    assert not differing
    events = [json.loads(line).get("event") for line in (run / "twice" / "log.jsonl").read_text().splitlines()]
    assert [event for event in events if event] == ["started", "resumed"]


def test_steps_change_what_they_should(run: Path) -> None:
    config = PretrainConfig(samples=16, batch=8, warmup=1)
    before = Pretraining(config, run / "fresh")
    first = {name: value.clone() for name, value in before.model.state_dict().items()}
    shards = sorted((run / "frames/train").glob("world-*"))
    pretrain(config, shards, shards[:1], run / "trained")
    after = Pretraining(config, run / "trained")
    assert after.resume()
    assert after.step == 2
    moved = {name.split(".")[0] for name, v in after.model.state_dict().items() if not torch.equal(v, first[name])}
    assert moved == {"vision_model", "qformer", "query_tokens"}


def test_a_start_lets_the_readouts_learn_alone_first(made: Path, run: Path) -> None:
    """Their first steps move nothing that they read; then all learns, and going on knows how far it was."""
    shipped = Blip2ForConditionalGeneration.from_pretrained(made / "base", dtype=torch.float32)
    config = PretrainConfig(samples=32, batch=8, start=str(made / "base"), settle=2, checkpoint_every=2)

    def moved(of: Pretraining) -> set[str]:
        now, first = of.model.state_dict(), shipped.state_dict()
        parts = ("vision_model", "qformer", "query_tokens")
        return {n.split(".")[0] for n, v in now.items() if n.startswith(parts) and not torch.equal(v, first[n])}

    begun = Pretraining(config, run / "started")
    fresh = begun.heads.target.weight.clone()
    assert not moved(begun)
    frames = Frames(sorted((run / "frames/train").glob("world-*")), VIEW)
    rgb, cells, depth, truth = make_batch(frames, np.arange(8), np.random.default_rng(0))
    for _ in range(2):
        assert begun.settling
        begun.train_step(to_pixels(rgb), cells, depth, truth, class_weights(frames))
    assert not moved(begun)
    assert not torch.equal(begun.heads.target.weight, fresh)
    begun.save()
    on = Pretraining(config, run / "started")
    assert on.resume()
    assert not on.settling
    on.train_step(to_pixels(rgb), cells, depth, truth, class_weights(frames))
    assert moved(on) == {"vision_model", "qformer", "query_tokens"}


def test_interrupted_from_the_command_line(run: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def stop(config: object, folder: Path) -> None:
        raise KeyboardInterrupt

    before = run_module.STAGES["perception"]
    monkeypatch.setitem(run_module.STAGES, "perception", (stop, *before[1:]))
    assert cli.main(words(run)) == 130
    assert tuple(json.loads((run / "run.json").read_text())["stages"]) == ("frames",)


@pytest.fixture
def stages(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Stages that write their marks and nothing else; which were made, in order."""
    made: list[str] = []
    for name, (_, left, names) in run_module.STAGES.items():

        def stage(config: object, folder: Path, name: str = name, left: str = left) -> dict[str, float]:
            made.append(name)
            (folder / left).parent.mkdir(parents=True, exist_ok=True)
            (folder / left).touch()
            return {"direction_accuracy": float("nan")}

        monkeypatch.setitem(run_module.STAGES, name, (stage, left, names))
    return made


def test_only_what_is_missing_is_made(stages: list[str], tmp_path: Path) -> None:
    run = ["embedded", "--run", str(tmp_path / "run")]
    assert cli.main([*run, "--stage", "frames"]) == 0
    assert stages == ["frames"]
    assert cli.main(run) == 0
    assert stages == list(STAGES)
    stages.clear()
    # more samples: perception again, and what was made from it
    assert cli.main([*run, "--samples", "500000"]) == 0
    assert stages == ["perception", "base", "adapter"]
    stages.clear()
    assert cli.main([*run, "--adapter-steps", "7"]) == 0
    assert stages == ["adapter"]
    stages.clear()
    assert cli.main([*run, "--stage", "base", "--again"]) == 0
    assert cli.main(run) == 0
    assert stages == ["base", "adapter"], "a new base needs a new adapter"
    stages.clear()
    (tmp_path / "run" / "base" / "model.safetensors").unlink()
    assert cli.main(run) == 0
    assert stages == ["base", "adapter"]


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--stage", "base"], "frames/train; make it first: --stage frames"),
        (["--stage", "perception"], "--stage frames"),
        (["--samples", "0"], "--samples 0: give a number from 1 up"),
        (["--seed", "-1"], "--seed -1: give a number from 0 up"),
        (["--samples", "many"], "invalid int value"),
        (["--rate", "0"], "--rate 0.0: give a number between 0 and 1"),
        (["--worlds", "5", "--language-worlds", "5"], "perception needs some of the 5 worlds too"),
        (["--stage", "vision"], "invalid choice"),
        (["--device", "tpu"], "device 'tpu'"),
        (["--start", "nowhere"], "no model directory at nowhere"),
    ],
)
def test_bad_input_is_one_line(
    options: list[str], said: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli.main(["embedded", "--run", str(tmp_path / "run"), *options]) == 2
    printed = capsys.readouterr().err
    assert printed.startswith("nav-vlm-train: error: ")
    assert said in printed
    assert printed.count("\n") == 1
    assert not (tmp_path / "run" / "run.json").exists()


def test_the_seed_of_a_run_stays(stages: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run = ["embedded", "--run", str(tmp_path / "run")]
    assert cli.main([*run, "--seed", "4"]) == 0
    assert cli.main([*run, "--seed", "5"]) == 2
    assert "this run has seed 4" in capsys.readouterr().err


def test_a_damaged_record_and_a_full_disk_are_one_line(
    stages: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    run = tmp_path / "run"
    run.mkdir()
    (run / "run.json").write_text("{")
    assert cli.main(["embedded", "--run", str(run)]) == 2
    assert "is damaged" in capsys.readouterr().err
    (run / "run.json").unlink()

    def full(config: object, folder: Path) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setitem(run_module.STAGES, "perception", (full, *run_module.STAGES["perception"][1:]))
    assert cli.main(["embedded", "--run", str(run)]) == 2
    printed = capsys.readouterr().err.splitlines()[-1]
    assert printed.startswith("nav-vlm-train: error: cannot write to")
    assert "No space left on device" in printed


def test_help_names_the_real_defaults() -> None:
    from nav_vlm_training.commands.embedded import OPTIONS, RATES
    from nav_vlm_training.embedded.make import MakeConfig

    for name, text in (OPTIONS | RATES).items():
        assert text.endswith(f"({getattr(MakeConfig(), name)})"), name
