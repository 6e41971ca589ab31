"""All text metrics at once, and BLEU and chrF."""

from __future__ import annotations

import json
import math
import sys

import numpy as np
import pytest

from nav_vlm_node.errors import UserError
from nav_vlm_training.metrics.bertscore import TextEncoder
from nav_vlm_training.metrics.overlap import overlap
from nav_vlm_training.metrics.text import text_metrics
from tests.nav_vlm_training.metrics.encoders import make_tiny_bert

GOOD = "Turn left 35 degrees, then move 4 metres to the door."
SAID = [GOOD, GOOD.replace("left", "right"), "Walk straight ahead.", ""]


@pytest.fixture(scope="module")
def encoder(tmp_path_factory: pytest.TempPathFactory) -> TextEncoder:
    return TextEncoder(make_tiny_bert(tmp_path_factory.mktemp("text") / "tiny-bert"), 2)


def test_all_at_once(encoder: TextEncoder, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "spacy", None)  # as if it were not installed
    found = text_metrics([GOOD] * 4, SAID, encoder)
    assert all(values.shape == (4,) for values in found.answers.values())
    assert {"bertscore_f1", "enhanced_bertscore_paper", "enhanced_bertscore_strict", "bleu", "chrf"} <= set(
        found.corpus
    )
    assert set(found.corpus) == set(found.answers)
    for name in ("bertscore_f1", "enhanced_bertscore_strict", "strict_direction"):
        assert found.answers[name][0] == 1.0
        assert found.corpus[name] == pytest.approx(found.answers[name].mean())
    assert found.answers["enhanced_bertscore_strict"][1] == found.answers["paper_directional"][1] == 0.0
    assert found.answers["enhanced_bertscore_paper"][1] > 0.3, "the wrong turn hides"
    assert found.corpus["paper_conflicts"] == 1.0
    assert found.corpus["paper_sequence_conflicts"] == 0.0
    assert list(found.answers["words"]) == [11, 11, 3, 0]
    assert found.about["encoder"] == "tiny-bert"
    assert found.about["layer"] == 2
    assert len(found.about["encoder_sha256"]) == 64
    assert found.about["language_pipeline"].startswith("no spaCy: ")
    assert found.about["language_pipeline_is_the_papers"] is False
    assert "version:2.6" in found.about["bleu"]
    told = json.loads(json.dumps(found.to_json(), allow_nan=False))
    assert told["text_metrics"]["language_pipeline"] == found.about["language_pipeline"]
    assert "bertscore_f1" in told


def test_an_encoder_by_its_directory(encoder: TextEncoder) -> None:
    once = text_metrics([GOOD], [SAID[1]], encoder.directory, layer=2)
    again = text_metrics([GOOD], [SAID[1]], encoder, directional_weight=0.25)
    assert once.corpus["bertscore_f1"] == again.corpus["bertscore_f1"]
    assert again.corpus["enhanced_bertscore_paper"] == pytest.approx(0.75 * again.corpus["bertscore_f1"])


def test_no_answers(encoder: TextEncoder) -> None:
    found = text_metrics([], [], encoder)
    assert math.isnan(found.corpus["bleu"])
    assert math.isnan(found.corpus["bertscore_f1"])
    assert json.loads(json.dumps(found.to_json(), allow_nan=False))["bleu"] is None


@pytest.mark.parametrize(
    ("references", "candidates", "options", "said"),
    [
        (["a"], [], {}, "0 answers, 1 references"),
        (["a", " "], ["a", "b"], {}, "reference 2 of 2 is empty"),
        (["a"], ["a"], {"directional_weight": 1.5}, "between 0 and 1"),
        (["a"], ["a"], {"pipeline": "no_such_model"}, "the spaCy model no_such_model cannot be loaded"),
    ],
)
def test_what_does_not_fit_together(
    encoder: TextEncoder, references: list[str], candidates: list[str], options: dict[str, str], said: str
) -> None:
    with pytest.raises(UserError, match=said):
        text_metrics(references, candidates, encoder, **options)  # type: ignore[arg-type]


def test_bleu_and_chrf() -> None:
    found = overlap([GOOD] * 4, SAID)
    np.testing.assert_allclose([found.bleu_each[0], found.chrf_each[0]], 100.0)
    assert found.bleu_each[0] > found.bleu_each[1] > found.bleu_each[2] > found.bleu_each[3] == 0.0
    assert found.chrf_each[0] > found.chrf_each[1] > found.chrf_each[2] > found.chrf_each[3] == 0.0
    assert found.bleu_each[1] > 50, "one word of twelve"
    assert 0 < found.bleu < 100
    assert overlap([GOOD], [GOOD]).bleu == pytest.approx(100.0)
    np.testing.assert_array_equal(overlap([], []).bleu_each, np.zeros(0))
