from __future__ import annotations

import errno
import json
import os
import shutil
import signal
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file

from nav_vlm_node import paths
from nav_vlm_node.errors import UserError
from nav_vlm_node.vlm.card import read_model_card
from nav_vlm_training import cli
from nav_vlm_training.commands.baseline import OPTIONS
from nav_vlm_training.data.samples import Pictures, read_dataset
from nav_vlm_training.evaluation.answering import BOOK, AnswerBook, Job
from nav_vlm_training.evaluation.evaluate import Evaluation, EvaluationPlan, evaluate
from nav_vlm_training.fit.checkpoint import BEST, CHECKPOINT
from nav_vlm_training.fit.config import FitConfig
from nav_vlm_training.fit.record import RECORD
from nav_vlm_training.sweep.outcomes import FILE, read_outcomes
from nav_vlm_training.vlms import answering as answering_module
from nav_vlm_training.vlms import tuning as tuning_module
from nav_vlm_training.vlms.answering import answer_jobs
from nav_vlm_training.vlms.baseline import BaselinePlan, compare_other
from nav_vlm_training.vlms.model import answers
from tests.nav_vlm_training.datasets import VIEW, SeeingEngine
from tests.nav_vlm_training.vlms.conftest import Loaded
from tests.tiny_models import make_tiny_blip2

SHORT: dict[str, Any] = {
    "batch": 4, "micro_batch": 2, "epochs": 2, "rate": 0.02, "warmup": 2, "max_new_tokens": 5, "val_questions": 4,
}  # fmt: skip


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The BLIP-2 that gives view and budget."""
    return make_tiny_blip2(tmp_path_factory.mktemp("base") / "base")


@pytest.fixture
def plan(tiny: dict[str, Path], data: Path, base: Path, tmp_path: Path) -> Any:
    def make(family: str = "llava", out: str = "out", **given: Any) -> BaselinePlan:
        of_plan = {name: given.pop(name) for name in tuple(given) if name in BaselinePlan.__dataclass_fields__}
        return BaselinePlan(
            **{"model": tiny[family], "data": data, "out": tmp_path / out, "base": base, "device": "cpu", "quiet": True,
               "config": FitConfig(**{**SHORT, **given}), **of_plan},
        )  # fmt: skip

    return make


def lines(run: Path, event: str) -> list[dict[str, Any]]:
    found = [json.loads(line) for line in (run / RECORD).read_text().splitlines()]
    return [{k: v for k, v in line.items() if k != "seconds"} for line in found if line["event"] == event]


def interrupt_at(monkeypatch: pytest.MonkeyPatch, module: Any, name: str, call: int) -> None:
    """Ctrl-C arrives in that call of a function."""
    original, calls = getattr(module, name), [0]

    def wrapped(*args: Any, **options: Any) -> Any:
        calls[0] += 1
        if calls[0] == call:
            os.kill(os.getpid(), signal.SIGINT)
        return original(*args, **options)

    monkeypatch.setattr(module, name, wrapped)


def test_it_learns_four_samples(plan: Any, family: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tuning_module, "LOG_EVERY", 1)
    made = plan(family, samples=4, epochs=15, warmup=1, rate=0.03, parameters=6000, beside=(), limit=1, val_questions=1)
    compare_other(made)
    losses = [line["loss"] for line in lines(made.out, "update")]
    first = lines(made.out, "evaluation")
    assert losses[-1] < 0.92 * losses[0]
    assert first[0]["step"] == 0
    assert (made.out / "adapter" / "adapter_model.safetensors").is_file()


def test_what_it_writes_has_what_evaluate_writes(plan: Any, data: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked = plan()
    made = compare_other(asked)
    monkeypatch.setattr("nav_vlm_node.vlm.load.load_engine", lambda *args, **options: SeeingEngine(data, VIEW))
    ours = evaluate(EvaluationPlan(data=data, model=paths.embedded_model(), quiet=True))
    assert set(ours.figures) <= set(made.figures)
    assert set(made.figures["baselines"]) == {"base", "shuffled"}
    assert ours.figures["direction_accuracy"]["n"] == made.figures["direction_accuracy"]["n"] > 0
    assert made.figures["n"] == len(made.judged) == len([s for s in read_dataset(data).samples if s.split == "test"])
    assert made.figures["learnt"] == 24
    assert made.figures["updates"] == 12
    assert made.figures["trained_parameters"] == sum(lines(asked.out, "start")[0]["trained"].values())
    assert made.figures["wanted"] == 6 * 2 * 16 * (24 + 24)  # lm_only on that base: q and v of six attentions of 24
    assert abs(made.figures["trained_parameters"] - made.figures["wanted"]) <= 992 / 2


@pytest.mark.parametrize(("family", "at"), [("llava", 3), ("instructblip", 8)])
def test_interrupted_and_gone_on_with_is_as_uninterrupted(
    plan: Any, family: str, at: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole, stopped = plan(family, out="whole"), plan(family, out="stopped", save_every=100)
    figures = compare_other(whole).figures
    with monkeypatch.context() as patch:
        interrupt_at(patch, tuning_module, "train_step", at)
        with pytest.raises(KeyboardInterrupt):
            compare_other(stopped)
    assert torch.load(stopped.out / CHECKPOINT, weights_only=True)["progress"]["step"] == at
    with monkeypatch.context() as patch:
        interrupt_at(patch, answering_module, "answers", 2)
        with pytest.raises(KeyboardInterrupt):
            compare_other(replace(stopped, batch=2))
    kept = len((stopped.out / BOOK).read_text().splitlines()) - 1
    again = compare_other(stopped).figures
    one, other = (load_file(run.out / BEST) for run in (whole, stopped))
    assert one.keys() == other.keys()
    assert all(torch.equal(one[name], other[name]) for name in one)
    assert lines(whole.out, "evaluation") == lines(stopped.out, "evaluation")
    assert 0 < kept == figures["answered_now"] - again["answered_now"]
    measures = ("direction_accuracy", "coverage", "baselines", "margins", "adapter_sha256", "validation_loss")
    assert {name: figures[name] for name in measures} == {name: again[name] for name in measures}


def test_other_settings_or_another_model_in_the_same_folder_are_refused(plan: Any) -> None:
    compare_other(plan(limit=1, beside=(), epochs=1))
    with pytest.raises(UserError, match=r"other settings \(rate differ\)"):
        compare_other(plan(limit=1, beside=(), epochs=1, rate=0.01))
    with pytest.raises(UserError, match="model_sha256"):
        compare_other(plan("git", limit=1, beside=(), epochs=1))


def test_answers_do_not_depend_on_what_else_is_asked(loaded: Loaded, data: Path, family: str) -> None:
    """Questions of several lengths about several pictures, in one go and one by one."""
    other, prompts = loaded(family)
    dataset = read_dataset(data)
    pictures = Pictures(dataset.folder, VIEW)
    jobs = [Job("model", sample, sample) for sample in dataset.samples[:14]]
    assert len({len(job.sample.question) for job in jobs}) > 2
    with AnswerBook(None, {}) as book:
        counted: list[int] = []
        answer_jobs(other, prompts, pictures, jobs, book, batch=6, max_new_tokens=5, done=counted.append)
        assert sum(counted) == len(book) == len({job.key for job in jobs})
        assert max(counted) > 1
        for job in jobs:
            row = prompts.row(pictures(job.sample), job.sample.question)
            assert book[job].text == answers(other, row, 5)[0].text


def test_the_model_before_tuning_is_beside_it(plan: Any, loaded: Loaded, base: Path) -> None:
    """And is what it was: LoRA is switched off for it."""
    made: Evaluation = compare_other(plan(limit=3, rate=0.5, epochs=4))
    sample = made.judged[0].sample
    other, prompts = loaded("llava")
    row = prompts.row(Pictures(made.folder, read_model_card(base).view)(sample), sample.question)
    records = [json.loads(line) for line in (plan().out / BOOK).read_text().splitlines()[1:]]
    said = {(r["system"], r["question"], r["image"]): r["text"] for r in records}
    before = answers(other, row, SHORT["max_new_tokens"])[0].text
    assert said["base", sample.question, sample.image] == before


def test_its_texts_are_compared_where_asked_for(plan: Any) -> None:
    figures = compare_other(plan(limit=2, epochs=1, beside=("base",), text=True)).figures
    assert 0 <= figures["bertscore_f1"]["value"] <= 1
    assert figures["bertscore_f1"]["n"] == figures["baselines"]["base"]["bertscore_f1"]["n"] == 2


def test_a_full_disk_is_one_line(plan: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*args: Any, **options: Any) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(torch, "save", full)
    with pytest.raises(UserError, match="No space left on device"):
        compare_other(plan(limit=1))


@pytest.fixture
def words(tiny: dict[str, Path], data: Path, base: Path, tmp_path: Path) -> list[str]:
    return [
        "baseline", "--model", str(tiny["instructblip"]), "--data", str(data), "--out", str(tmp_path / "out"),
        "--base", str(base), "--device", "cpu", "--batch", "6", "--epochs", "1", "--max-new-tokens", "4",
        "--val-questions", "4", "--limit", "4",
    ]  # fmt: skip


def test_the_command_tells_what_it_trains_and_leaves_a_report(
    words: list[str], data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli.main([*words, "--parameters", "5000", "--results", str(tmp_path / "kept.json"), "--json"]) == 0
    printed = capsys.readouterr()
    figures = json.loads(printed.out)
    assert figures["family"] == "instructblip"
    assert "LoRA r 2 on 36 layers; wanted 5,000" in printed.err
    assert "sample/s" in printed.err
    assert figures == json.loads((tmp_path / "out" / "report.json").read_text())
    assert figures == json.loads((tmp_path / "kept.json").read_text())
    assert figures["command"].startswith("nav-vlm-train baseline --model ")
    assert {"report.md", "report.html", "directions.png"} <= {path.name for path in (tmp_path / "out").iterdir()}
    assert "bertscore_f1" not in figures
    outcomes = read_outcomes(tmp_path / "out" / FILE)
    assert {read_dataset(data).samples[number].split for number in outcomes.numbers} == {"test"}
    for measure in ("direction_accuracy", "visibility_accuracy"):
        assert outcomes.share(measure) == pytest.approx(figures[measure]["value"])
    assert cli.main([*words, "--parameters", "5000"]) == 0
    assert "| direction_accuracy |" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("added", "said"),
    [
        (["--model", "/nowhere"], "no model directory at /nowhere"),
        (["--data", "/nowhere"], "no data set at /nowhere"),
        (["--beside", "constant"], "--beside constant: give some of base, shuffled, or none"),
        (["--rate", "0"], "--rate 0.0: give a number above 0"),
        (["--answers", "0"], "--answers and --save-every must be at least 1"),
        (["--split", "moon"], "no split 'moon' in the data"),
        (["--encoder", "/nowhere"], "no text encoder in /nowhere"),
        (["--device", "tpu"], "device 'tpu' is not known"),
    ],
)
def test_mistakes_are_one_line(
    words: list[str], added: list[str], said: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli.main([*words, *added]) == 2
    printed = capsys.readouterr().err.strip().splitlines()
    assert printed[-1].startswith(f"nav-vlm-train: error: {said}")
    assert not (tmp_path / "out").exists()


def test_a_split_that_is_not_there_is_one_line(
    words: list[str], data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    shutil.copytree(data, tmp_path / "set")
    kept = [line for line in (data / "questions.jsonl").read_text().splitlines() if '"split": "val"' not in line]
    (tmp_path / "set" / "questions.jsonl").write_text("\n".join(kept))
    assert cli.main([*words, "--data", str(tmp_path / "set")]) == 2
    assert "has no questions in the split 'val'" in capsys.readouterr().err


def test_its_settings_are_those_of_fit() -> None:
    assert set(OPTIONS) < set(FitConfig.__dataclass_fields__)
