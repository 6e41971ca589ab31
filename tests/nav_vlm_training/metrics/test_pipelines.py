"""What stands in for spaCy, and how spaCy is asked where it is there."""

from __future__ import annotations

import sys
from itertools import pairwise
from types import ModuleType, SimpleNamespace

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nav_vlm_node.errors import UserError
from nav_vlm_training.metrics.pipelines import PlainPipeline, SpacyPipeline, load_pipeline

VECTORS = {"left": np.array([1.0, 0.0]), "right": np.array([0.6, 0.8]), "door": np.array([0.0, 2.0])}


def vector(word: str) -> npt.NDArray[np.float64] | None:
    return VECTORS.get(word)


@pytest.fixture
def plain() -> PlainPipeline:
    return PlainPipeline(vector, "a table")


@pytest.mark.parametrize(
    ("text", "actions"),
    [
        ("turn left, then walk to the door.", [("turn", ""), ("walk", "to")]),
        ("enter the long hallway", [("enter", "hallway")]),
        ("you are heading through the doors and then going 3 metres", [("head", "through"), ("go", "")]),
        ("walked the corridor to the end", [("walk", "corridor to")]),
        ("continue straight ahead until you see it", [("continue", "until")]),
        ("move. door", [("move", "")]),
        ("the exit", []),
        ("", []),
    ],
)
def test_verbs_and_what_belongs_to_them(plain: PlainPipeline, text: str, actions: list[tuple[str, str]]) -> None:
    verbs = {"walk", "move", "go", "turn", "proceed", "head", "continue", "enter"}
    assert [(word.lemma, word.objects) for word in plain.words(text) if word.lemma in verbs] == actions


def test_words_and_marks(plain: PlainPipeline) -> None:
    assert [word.text for word in plain.words("move 1.5 metres, to u-turn!")] == [
        "move", "1.5", "metres", ",", "to", "u", "-", "turn", "!",
    ]  # fmt: skip


def test_similarity(plain: PlainPipeline) -> None:
    assert plain.similarity("left", "right") == pytest.approx(0.6)
    assert plain.similarity("left door", "left door") == 1.0
    assert plain.similarity("left door", "right") == pytest.approx((0.5 * 0.6 + 0.8) / np.hypot(0.5, 1.0))
    assert plain.similarity("xyz", "left") == plain.similarity("", "left") == 0.0
    assert plain.similarity("", "") == 1.0
    assert plain.has_vector("to the left")
    assert not plain.has_vector("xyz")
    assert not plain.has_vector("")
    assert not plain.exact
    assert plain.name.startswith("no spaCy")
    assert "a table" in plain.name


@settings(deadline=None)
@given(st.text(max_size=30), st.text(max_size=30))
def test_any_texts(first: str, second: str) -> None:
    plain = PlainPipeline(vector, "a table")
    assert plain.similarity(first, second) == plain.similarity(second, first)
    assert plain.similarity(first, first) == 1.0
    assert -1.0001 <= plain.similarity(first, second) <= 1.0001
    assert "".join(word.text for word in plain.words(first)) == "".join(first.replace("_", "").split())


class FakeSpacy(ModuleType):
    """Knows one model. Its documents are lists of tokens, "to" belongs to the word before it."""

    __version__ = "9.9"

    def __init__(self) -> None:
        super().__init__("spacy")
        self.asked: list[str] = []

    def load(self, name: str) -> object:
        if name not in ("en_core_web_md", "models/small"):
            raise OSError(f"[E050] Can't find model {name!r}.\nMore.")
        meta = {"lang": "en", "name": "core_web_md" if "md" in name else "small", "version": "1.0"}

        def read(text: str) -> object:
            self.asked.append(text)
            tokens = [SimpleNamespace(text=t, lemma_=t.rstrip("s"), dep_="prep", children=[]) for t in text.split()]
            for before, token in pairwise(tokens):
                before.children = [token] if token.text == "to" else [SimpleNamespace(text="!", dep_="punct")]
            return type(
                "Document", (list,), {"has_vector": bool(tokens), "similarity": lambda self, o: len(o) / 10}
            )(tokens)  # fmt: skip

        read.meta = meta  # type: ignore[attr-defined]
        return read


@pytest.fixture
def spacy(monkeypatch: pytest.MonkeyPatch) -> FakeSpacy:
    fake = FakeSpacy()
    monkeypatch.setitem(sys.modules, "spacy", fake)
    return fake


def test_spacy_is_asked_once_per_text(spacy: FakeSpacy) -> None:
    pipeline = load_pipeline(vector, "a table")
    assert isinstance(pipeline, SpacyPipeline)
    assert pipeline.exact
    assert pipeline.name == "spaCy 9.9, en_core_web_md 1.0"
    assert list(pipeline.words("walks to door")) == [("walks", "walk", "to"), ("to", "to", ""), ("door", "door", "")]
    assert pipeline.has_vector("walks to door")
    assert [pipeline.similarity("walks to door", "a b") for _ in range(3)] == [0.2] * 3
    assert spacy.asked == ["walks to door", "a b"]


def test_another_model_is_not_the_papers(spacy: FakeSpacy) -> None:
    pipeline = load_pipeline(vector, "a table", "models/small")
    assert not pipeline.exact
    assert "en_small" in pipeline.name
    with pytest.raises(UserError, match=r"the spaCy model en_big cannot be loaded: \[E050\] Can't find"):
        load_pipeline(vector, "a table", "en_big")


def test_without_spacy(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "spacy", None)
    assert isinstance(load_pipeline(vector, "a table"), PlainPipeline)
    with pytest.raises(UserError, match="pip install spacy"):
        load_pipeline(vector, "a table", "en_core_web_md")


def test_spacy_without_the_papers_model(spacy: FakeSpacy, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("nav_vlm_training.metrics.pipelines.PAPER_MODEL", "en_other")
    assert isinstance(load_pipeline(vector, "a table"), PlainPipeline)
