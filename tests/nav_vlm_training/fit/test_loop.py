from __future__ import annotations

import errno
import json
import os
import signal
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file

from nav_vlm_node.errors import UserError
from nav_vlm_training.fit import learner as learner_module
from nav_vlm_training.fit import loop as loop_module
from nav_vlm_training.fit.checkpoint import BEST, CHECKPOINT, Progress, save_checkpoint
from nav_vlm_training.fit.config import FitConfig
from nav_vlm_training.fit.loop import Fitted, fit
from nav_vlm_training.fit.record import RECORD, RunRecord
from nav_vlm_training.fit.scoring import Score, generate
from nav_vlm_training.fit.setup import FitPlan
from nav_vlm_training.fit.step import Update, train_step
from nav_vlm_training.variants import VARIANTS
from tests.nav_vlm_training.fit.conftest import SHORT, Planned

TIMES = ("seconds", "samples_per_s")


def events(run: Path, *names: str) -> list[dict[str, Any]]:
    lines = [json.loads(line) for line in (run / RECORD).read_text().splitlines()]
    return [
        {key: value for key, value in line.items() if key not in TIMES} for line in lines if line["event"] in names
    ]  # fmt: skip


def state(run: Path) -> dict[str, Any]:
    return dict(torch.load(run / CHECKPOINT, weights_only=True))


def same(one: Any, other: Any) -> bool:
    """To the bit, through nested state."""
    if isinstance(one, torch.Tensor):
        return one.equal(other)
    if isinstance(one, dict):
        return one.keys() == other.keys() and all(same(one[key], other[key]) for key in one)
    if isinstance(one, (list, tuple)):
        return len(one) == len(other) and all(map(same, one, other))
    return bool(one == other)


def interrupt_after(monkeypatch: pytest.MonkeyPatch, updates: int) -> None:
    """Ctrl-C arrives in the middle of that update."""
    original = train_step
    done = [0]

    def step(*args: Any, **options: Any) -> Any:
        done[0] += 1
        if done[0] == updates:
            os.kill(os.getpid(), signal.SIGINT)
        return original(*args, **options)

    monkeypatch.setattr(learner_module, "train_step", step)


FULL: dict[str, Any] = {"epochs": 2, "mirror": True, "light": 2, "rephrase": 2, "patience": 0, "evaluate_every": 0.75}


@pytest.fixture(scope="module")
def whole(models: dict[str, Path], data: Path, tmp_path_factory: pytest.TempPathFactory) -> FitPlan:
    """A run of `FULL` that nothing happened to."""
    config = FitConfig(**{**SHORT, **FULL})
    run = tmp_path_factory.mktemp("whole") / "run"
    done = FitPlan(data=data, run=run, model=models["t5"], config=config, quiet=True, device="cpu")
    fit(done)
    return done


@pytest.mark.parametrize(("variant", "at"), [("lm_only", 1), ("two_stage", 4), ("full", 5)])
def test_a_run_goes_on_to_the_bit(plan: Planned, variant: str, at: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Augmentation, dropout, optimiser, schedule, what is best: all as if nothing had happened."""
    whole, stopped = plan(run="whole", variant=variant, **FULL), plan(run="stopped", variant=variant, **FULL)
    fit(whole)
    with monkeypatch.context() as patch:
        interrupt_after(patch, at)
        with pytest.raises(KeyboardInterrupt):
            fit(stopped)
    assert state(stopped.run)["progress"]["step"] == at  # the update that was under way is whole
    fit(stopped)
    assert same(state(whole.run), state(stopped.run))
    assert same(load_file(whole.run / BEST), load_file(stopped.run / BEST))
    names = ("update", "evaluation", "stage", "end")
    assert events(whole.run, *names) == events(stopped.run, *names)
    assert len(events(stopped.run, "resumed")) == 1


def test_a_killed_run_goes_on_from_its_last_checkpoint(plan: Planned, monkeypatch: pytest.MonkeyPatch) -> None:
    options = {"model": "opt", "save_every": 3, **FULL}
    whole, killed = plan(run="whole", **options), plan(run="killed", **options)
    fit(whole)
    original = save_checkpoint

    def save(run: Path, progress: Progress, *rest: Any) -> None:
        if progress.evaluated == 4:
            raise RuntimeError("killed")  # its evaluation is in the record, and in no checkpoint
        original(run, progress, *rest)

    with monkeypatch.context() as patch:
        patch.setattr(loop_module, "save_checkpoint", save)
        with pytest.raises(RuntimeError, match="killed"):
            fit(killed)
    assert [line["step"] for line in events(killed.run, "evaluation")] == [0, 2, 4]
    with (killed.run / RECORD).open("a") as file:
        file.write('{"event": "upd')  # in the middle of a line
    assert state(killed.run)["progress"]["step"] == 3
    fit(killed)
    assert same(state(whole.run), state(killed.run))
    names = ("update", "evaluation", "stage", "end")
    assert events(whole.run, *names) == events(killed.run, *names)


def test_ctrl_c_in_an_evaluation_loses_no_update(
    plan: Planned, whole: FitPlan, monkeypatch: pytest.MonkeyPatch
) -> None:
    stopped = plan(run="stopped", **FULL)
    original = generate
    calls = [0]

    def asked(*args: Any, **options: Any) -> Any:
        calls[0] += 1
        if calls[0] == 3:
            os.kill(os.getpid(), signal.SIGINT)
        return original(*args, **options)

    with monkeypatch.context() as patch:
        patch.setattr(learner_module, "generate", asked)
        with pytest.raises(KeyboardInterrupt):
            fit(stopped)
    fit(stopped)
    assert same(state(whole.run), state(stopped.run))
    assert events(whole.run, "evaluation") == events(stopped.run, "evaluation")


EVERY = [("t5", name) for name in VARIANTS]
EVERY += [("opt", name) for name in ("few_shot", "lm_only_all_linear", "lm_qformer", "joint", "full", "frames_3")]


@pytest.mark.parametrize(("language", "name"), EVERY)
def test_every_variant_trains(plan: Planned, language: str, name: str) -> None:
    done = plan(model=language, variant=name)
    fitted: Fitted = fit(done)
    head, *rest = events(done.run, "start", "update", "evaluation", "end")
    assert head["config"]["variant"] == name
    assert {"model_sha256", "data_sha256", "versions", "commit", "command", "seeds"} <= set(head)
    assert head["versions"]["peft"]
    assert [line["event"] for line in rest][-1] == "end"
    if VARIANTS[name].stages:
        assert fitted.updates == 3
        kept = state(done.run)["trained"]
        assert {key.split(".")[0] for key in kept} == set(VARIANTS[name].parts)
        assert all(bool(tensor.any()) for key, tensor in kept.items() if "lora_B" in key)  # they begin as zeros
        outcome = "model" if name == "full" else "adapter"
        assert (done.run / outcome / "nav_vlm.json").is_file()
        assert (done.run / outcome / "README.md").is_file()
    else:
        assert fitted.updates == 0
        assert not (done.run / "adapter").exists()
    assert fitted.figures["direction_accuracy"]["n"] > 0


def test_another_seed_is_another_run(plan: Planned, whole: FitPlan) -> None:
    other = plan(seed=1, **FULL)
    fit(other)
    assert not same(state(whole.run)["trained"], state(other.run)["trained"])


def test_cached_features_give_the_same_losses(plan: Planned, language: str) -> None:
    options = {"model": language, "mirror": True, "light": 1, "epochs": 2, "variant": "lm_qformer", "rate": 1e-4}
    kept, made = plan(run="kept", **options), plan(run="made", cached=False, **options)
    for each in (kept, made):
        fit(each)
    assert list((kept.run / "features").rglob("*.safetensors"))
    assert not (made.run / "features").exists()
    pairs = list(zip(events(kept.run, "update", "evaluation"), events(made.run, "update", "evaluation"), strict=True))
    assert len(pairs) == 4
    for a, b in pairs:  # at a low rate, for Adam makes much of the last digits of a gradient that is nearly nothing
        assert a["loss"] == pytest.approx(b["loss"], rel=1e-6)


def test_nothing_is_cached_where_the_vision_model_learns(plan: Planned) -> None:
    fit(plan(variant="vision_only"))
    assert not (plan().run / "features").exists()
    staged = plan(run="staged", variant="two_stage", epochs=2, patience=0)
    fit(staged)  # the second stage does not look at what the first one kept
    assert list((staged.run / "features").rglob("*.safetensors"))
    assert {key.split(".")[0] for key in state(staged.run)["trained"]} == {"language_model", "vision_model"}


def scripted(monkeypatch: pytest.MonkeyPatch, *values: float) -> None:
    """Evaluations come out like this, whatever is answered."""
    left = list(values)
    monkeypatch.setattr(learner_module, "score", lambda *args: Score({"accuracy": left[0]}, left.pop(0), 1.0))


def test_it_ends_early_and_with_the_best_weights(plan: Planned, monkeypatch: pytest.MonkeyPatch) -> None:
    patient = plan(epochs=40, patience=2)
    scripted(monkeypatch, 0.1, 0.5, 0.4, 0.5)
    fitted = fit(patient)
    end = events(patient.run, "end")[0]
    assert (end["early"], end["best_step"], fitted.step, fitted.updates) == (True, 3, 3, 9)
    assert fitted.figures["accuracy"] == 0.5
    best = load_file(patient.run / BEST)
    assert not same(best, state(patient.run)["trained"])
    exported = load_file(patient.run / "adapter" / "adapter_model.safetensors")
    for key, tensor in best.items():
        assert exported["base_model.model." + key.replace(".default.", ".")].equal(tensor)


def test_patience_waits_for_the_last_stage(plan: Planned, monkeypatch: pytest.MonkeyPatch) -> None:
    scripted(monkeypatch, *[0.5 - 0.01 * k for k in range(20)])
    patient = plan(variant="two_stage", epochs=4, patience=1, evaluate_every=0.67)
    fitted = fit(patient)
    assert fitted.updates == 6  # of 12: where the second stage begins, and its first evaluation is no better


def test_a_run_that_is_done_stays_done(whole: FitPlan, monkeypatch: pytest.MonkeyPatch) -> None:
    done = whole
    first = fit(done)
    record = (done.run / RECORD).read_bytes()
    monkeypatch.setattr(learner_module, "train_step", None)
    again = fit(done)
    assert (again.step, again.updates) == (first.step, first.updates)
    assert again.figures == first.figures
    assert (done.run / RECORD).read_bytes() == record


def test_another_run_is_not_taken_up(plan: Planned, whole: FitPlan) -> None:
    with pytest.raises(UserError, match=r"other settings \(rank, rate differ\); give another --run"):
        fit(replace(whole, config=replace(whole.config, rate=0.02, rank=4)))
    with pytest.raises(UserError, match="model_sha256"):
        fit(replace(whole, model=plan(model="opt").model))


def refused(plan: FitPlan) -> str:
    with pytest.raises(UserError) as caught:
        fit(plan)
    assert "\n" not in str(caught.value)
    assert not plan.run.exists() or not any(path.name.endswith(".draft") for path in plan.run.rglob("*"))
    return str(caught.value)


def test_a_full_disk_is_one_line_and_the_checkpoint_stays(
    plan: Planned, whole: FitPlan, monkeypatch: pytest.MonkeyPatch
) -> None:
    stopped = plan(save_every=1, **FULL)
    original, calls = torch.save, [0]

    def save(content: Any, path: Path) -> None:
        calls[0] += 1
        if calls[0] > 5:
            path.write_bytes(b"half")
            raise OSError(errno.ENOSPC, "No space left on device")
        original(content, path)

    with monkeypatch.context() as patch:
        patch.setattr(torch, "save", save)
        assert "cannot write to" in refused(stopped)
    assert state(stopped.run)["progress"]["step"] > 0
    fit(stopped)
    assert same(state(whole.run), state(stopped.run))


def test_a_loss_that_is_not_a_number_ends_the_run(plan: Planned, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(learner_module, "train_step", lambda *args, **options: Update(float("nan"), 1, 0.0))
    assert "the loss of update 0 is not a number; use a lower --rate" in refused(plan())


def test_it_learns(plan: Planned) -> None:
    done = plan(model="opt", variant="full", epochs=8, patience=0, evaluate_every=8.0)
    fit(done)
    losses = [line["loss"] for line in events(done.run, "update")]
    assert losses[-1] < events(done.run, "evaluation")[0]["loss"] - 0.3


def test_data_that_does_not_do(plan: Planned, tmp_path: Path, data: Path) -> None:
    lines = [json.loads(line) for line in (data / "questions.jsonl").read_text().splitlines()]
    copied = tmp_path / "set"
    copied.mkdir()
    (copied / "images").symlink_to(data / "images")

    def write(changed: list[dict[str, Any]]) -> Path:
        (copied / "questions.jsonl").write_text("".join(json.dumps(line) + "\n" for line in changed))
        return copied

    only = write([line for line in lines if line["split"] == "train"])
    assert "has no questions in the split 'val'" in refused(plan(data=only))
    mute = write([{**line, "text": " "} for line in lines])
    assert "line 1 has no answer to learn from" in refused(plan(data=mute, samples=0))
    assert not (tmp_path / "run").exists()


def test_a_damaged_checkpoint_is_named(plan: Planned) -> None:
    done = plan()
    fit(done)
    path = done.run / CHECKPOINT
    path.write_bytes(path.read_bytes()[:200])
    assert f"{path} is damaged" in refused(done)


def test_bfloat16(plan: Planned) -> None:
    for language, name in (("t5", "lm_only"), ("opt", "full")):
        low = plan(model=language, run=name, variant=name, precision="bf16")
        fit(low)
        assert {tensor.dtype for tensor in load_file(low.run / BEST).values()} == {torch.float32}


def test_a_record_without_tensorboard_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "torch.utils.tensorboard", None)
    assert not RunRecord(tmp_path).board(tmp_path / "board", 0)


def test_numbers_go_to_tensorboard_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    class Writer:
        def __init__(self, folder: str, purge_step: int | None) -> None:
            self.got: list[tuple[str, float, int]] = []
            self.purge_step = purge_step

        def add_scalar(self, name: str, value: float, step: int) -> None:
            self.got.append((name, value, step))

    module = type("Module", (), {"SummaryWriter": Writer})
    monkeypatch.setitem(__import__("sys").modules, "torch.utils.tensorboard", module)
    record = RunRecord(tmp_path)
    assert record.board(tmp_path / "board", 7)
    record.add("update", 8, loss=0.5, parts=["a"], coverage={"value": 0.25}, none={"value": None})
    assert record._board.got == [("update/loss", 0.5, 8), ("update/coverage", 0.25, 8)]
    assert record._board.purge_step == 7
