from __future__ import annotations

import importlib.util
import json
from pathlib import Path
from typing import Any

import pytest

from nav_vlm_node.errors import UserError
from nav_vlm_node.score import MEASURES
from nav_vlm_training import cli
from nav_vlm_training.evaluation import evaluate as module
from nav_vlm_training.evaluation.answering import BOOK, answer_all
from nav_vlm_training.evaluation.evaluate import BASELINES, EvaluationPlan, evaluate
from nav_vlm_training.evaluation.report import TEXT_MEASURES
from tests.nav_vlm_training.datasets import SeeingEngine, make_dataset
from tests.nav_vlm_training.metrics.encoders import make_tiny_bert
from tests.tiny_models import make_tiny_blip2


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_tiny_blip2(tmp_path_factory.mktemp("tiny") / "model", with_adapter=True)


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    splits = ("train", "test", "heldout_texture", "heldout_room", "test")
    return make_dataset(tmp_path_factory.mktemp("data") / "set", splits=splits, scenes=20)


@pytest.fixture
def seeing(data: Path, monkeypatch: pytest.MonkeyPatch) -> list[SeeingEngine]:
    """Every engine that is loaded sees perfectly."""
    engines: list[SeeingEngine] = []

    def load(model: Path, adapter: str, device: str, dtype: str, **options: Any) -> SeeingEngine:
        engines.append(SeeingEngine(data, adapter="guide" if adapter == "default" else adapter))
        return engines[-1]

    monkeypatch.setattr("nav_vlm_node.vlm.load.load_engine", load)
    return engines


def test_all_keys_and_what_they_say_of_one_who_sees(data: Path, model: Path, seeing: list[SeeingEngine]) -> None:
    figures = evaluate(EvaluationPlan(data=data, model=model, quiet=True)).figures
    promised = (
        "direction_accuracy reversal_rate coverage visibility_accuracy hazard_recall false_clear_rate"
        " distance_within_25 landmark_f1 hazard_precision unknown_no_direction"
    ).split()
    assert set(promised) <= set(MEASURES) <= set(figures)
    assert set(figures["baselines"]) == set(BASELINES)
    for part in (figures, *figures["baselines"].values()):
        assert part["n"] == figures["n"] == 4 * 2 * 6 * (2 + 2 + 1 + 1)
        for name in MEASURES:
            assert set(part[name]) == {"value", "low", "high", "n"}
    beside = figures["baselines"]
    accuracy = {name: part["direction_accuracy"]["value"] for name, part in (("model", figures), *beside.items())}
    assert accuracy["model"] == accuracy["base"] == 1.0
    assert figures["hazard_recall"]["value"] == 1.0 > beside["base"]["hazard_recall"]["value"]
    assert max(accuracy[name] for name in ("shuffled", "constant", "question_only", "retrieval")) < 0.55
    assert figures["differences"].keys() == {"phrasing", "texture", "room"}
    assert figures["data"]["visible_off_centre"] == figures["reversal_rate"]["n"] > 20
    assert (figures["model"], figures["adapter"]) == ("seeing", "guide")
    json.dumps(figures, allow_nan=False)
    assert seeing[0].closed
    assert "bertscore_f1" not in figures, "not measured, so not reported"


def test_the_base_is_asked_without_the_adapter(data: Path, model: Path, seeing: list[SeeingEngine]) -> None:
    evaluate(EvaluationPlan(data=data, model=model, limit=30, quiet=True))
    asked = {adapter: sum(n for a, n in seeing[0].calls if a == adapter) for adapter in ("guide", "")}
    assert asked == {"guide": 60, "": 30}, "the model and the shuffled pictures with it, the base without"
    evaluate(EvaluationPlan(data=data, model=model, adapter="", limit=30, baselines=("base",), quiet=True))
    assert {adapter for adapter, _ in seeing[1].calls} == {""}
    assert sum(n for _, n in seeing[1].calls) == 30, "the model is its own base: asked once"


def test_splits_and_baselines_can_be_chosen(data: Path, model: Path, seeing: list[SeeingEngine]) -> None:
    plan = EvaluationPlan(data=data, model=model, splits=("heldout_room",), baselines=("constant",), quiet=True)
    figures = evaluate(plan).figures
    assert figures["data"]["splits"] == ["heldout_room"]
    assert set(figures["baselines"]) == {"constant"}
    assert set(figures["groups"]["room"]) == {"lounge"}


def test_one_scene_has_no_other_to_take_pictures_from(
    tmp_path: Path, model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    data = make_dataset(tmp_path / "set", scenes=1)
    monkeypatch.setattr("nav_vlm_node.vlm.load.load_engine", lambda *a, **k: SeeingEngine(data))
    assert "shuffled" not in evaluate(EvaluationPlan(data=data, model=model, quiet=True)).figures["baselines"]


def without_time(figures: dict[str, Any]) -> dict[str, Any]:
    changing = ("seconds", "answers_per_s", "answered_now", "date", "command")
    return {name: value for name, value in figures.items() if name not in changing}


def test_the_real_engine_interrupted_and_resumed(
    data: Path, model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """A BLIP-2 through the command line: stopped by Ctrl-C, the same command goes on and ends with the same figures."""
    words = ["evaluate", "--model", str(model), "--data", str(data), "--limit", "24", "--batch", "8", "--json"]
    words += ["--max-new-tokens", "8", "--device", "cpu"]
    assert cli.main([*words, "--out", str(tmp_path / "whole")]) == 0
    whole = json.loads(capsys.readouterr().out)

    real, calls = answer_all, []

    def interrupted(*args: Any, **kwargs: Any) -> None:
        calls.append(1)
        if len(calls) == 2:
            raise KeyboardInterrupt
        real(*args, **kwargs)

    out = ["--out", str(tmp_path / "twice"), "--results", str(tmp_path / "results" / "figures.json")]
    with monkeypatch.context() as patched:
        patched.setattr(module, "answer_all", interrupted)
        assert cli.main([*words, *out]) == 130
    stopped = capsys.readouterr()
    assert stopped.out == ""
    assert "the same command goes on" in stopped.err
    kept = len((tmp_path / "twice" / BOOK).read_text().splitlines())
    assert 1 < kept <= 25

    assert cli.main([*words, *out]) == 0
    again = json.loads(capsys.readouterr().out)
    assert again["answered_now"] == whole["answered_now"] - (kept - 1)
    assert without_time(again) == without_time(whole)
    assert json.loads((tmp_path / "results" / "figures.json").read_text()) == again
    assert {"command", "commit", "machine", "date", "versions", "seeds"} <= set(again)
    assert str(tmp_path) not in json.dumps(again), "no path of this machine goes into results"
    assert (tmp_path / "twice" / "report.html").is_file()


def test_another_model_does_not_go_on_with_the_answers(data: Path, model: Path, tmp_path: Path) -> None:
    plan = EvaluationPlan(
        data=data, model=model, limit=2, out=tmp_path / "out", max_new_tokens=2, baselines=(), device="cpu", quiet=True
    )
    evaluate(plan)
    other = make_tiny_blip2(tmp_path / "other", seed=5, with_adapter=True)
    from dataclasses import replace

    with pytest.raises(UserError, match=r"another evaluation \(model_sha256, adapter_sha256 differ\)"):
        evaluate(replace(plan, model=other))
    with pytest.raises(UserError, match=r"adapter_sha256 differ"):
        evaluate(replace(plan, adapter=""))


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--data", "nowhere"], "no data set at nowhere"),
        ([], "required: --data"),
        (["--data", "DATA", "--baselines", "best"], "no baseline 'best'"),
        (["--data", "DATA", "--split", "tset"], "no split 'tset'"),
        (["--data", "DATA", "--batch", "0"], "--batch"),
        (["--data", "DATA", "--model", "nowhere"], "no model directory at nowhere"),
        (["--data", "DATA", "--model", "MODEL", "--adapter", "no"], "no adapter 'no'"),
    ],
)
def test_bad_input_is_one_line(
    data: Path, model: Path, words: list[str], said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    names = {"DATA": str(data), "MODEL": str(model)}
    assert cli.main(["evaluate", *(names.get(word, word) for word in words)]) == 2
    printed = capsys.readouterr()
    assert printed.out == ""
    assert printed.err.startswith("nav-vlm-train: error: ")
    assert said in printed.err
    assert printed.err.count("\n") == 1


def test_a_report_without_matplotlib_is_one_line_before_any_work(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    find = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None if name == "matplotlib" else find(name))
    assert cli.main(["evaluate", "--data", "nowhere", "--out", str(tmp_path / "out")]) == 2
    assert "pip install matplotlib" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


def test_margins_and_what_a_limit_would_do(data: Path, model: Path, seeing: list[SeeingEngine]) -> None:
    """One who sees is ahead of all who do not, level with a base that sees as well, and never at risk."""
    figures = evaluate(EvaluationPlan(data=data, model=model, quiet=True)).figures
    accuracy = figures["direction_accuracy"]["value"]
    for name, found in figures["margins"].items():
        beside = figures["baselines"][name]["direction_accuracy"]["value"]
        assert found["value"] == pytest.approx(accuracy - beside)
        assert (found["low"] > 0) == (name != "base"), name
    curve = figures["risk_coverage"]["wrong_direction"]
    assert curve["n"] == figures["direction_accuracy"]["n"]
    assert (curve["reach"], curve["area"], curve["risk"][-1]) == (1.0, 0.0, 0.0)
    assert figures["words_per_answer"]["n"] == figures["n"]
    assert 3 < figures["words_per_answer"]["p50"] <= figures["words_per_answer"]["longest"] < 60


def test_texts_are_compared_where_asked(
    data: Path, model: Path, seeing: list[SeeingEngine], tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    """One who says what the good guide says has the highest figures; each baseline is measured in the same way."""
    encoder = make_tiny_bert(tmp_path / "encoder")
    plan = ["evaluate", "--data", str(data), "--model", str(model), "--limit", "60"]
    assert cli.main([*plan, "--json"]) == 0
    assert not set(TEXT_MEASURES) & set(json.loads(capsys.readouterr().out))
    monkeypatch.setattr("nav_vlm_training.metrics.bertscore.usual_layer", lambda directory: 2)
    assert cli.main([*plan, "--encoder", str(encoder), "--json"]) == 0
    figures = json.loads(capsys.readouterr().out)
    for name in TEXT_MEASURES:
        assert set(figures[name]) >= {"value", "low", "high", "n"}
        for baseline in ("constant", "question_only", "shuffled"):
            assert figures[name]["value"] > figures["baselines"][baseline][name]["value"], (name, baseline)
    assert figures["bertscore_f1"]["value"] == pytest.approx(1.0, abs=1e-5)
    assert figures["enhanced_bertscore_strict"]["value"] == pytest.approx(1.0, abs=1e-5)
    assert figures["text"]["bleu"] == pytest.approx(100.0)
    assert figures["text"]["about"]["encoder"]


def test_a_folder_without_an_encoder_is_one_line_before_anything_is_answered(
    data: Path, model: Path, seeing: list[SeeingEngine], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["evaluate", "--data", str(data), "--model", str(model), "--encoder", str(tmp_path)]
    assert cli.main(words) == 2
    printed = capsys.readouterr().err
    assert printed.startswith("nav-vlm-train: error: ")
    assert printed.count("\n") == 1
    assert not seeing
