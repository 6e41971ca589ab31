"""The language pipeline that the Enhanced BERTScore of arXiv 2509.07488 leans on: spaCy's, or what stands in for it.

The paper takes words, lemmas, the objects of verbs, and word vectors from spaCy's model en_core_web_md. Where that is
not installed, `PlainPipeline` does without, and its name says so in every result.
"""

from __future__ import annotations

import importlib
import re
import warnings
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple, Protocol

import numpy as np
import numpy.typing as npt

from nav_vlm_node.errors import UserError

PAPER_MODEL = "en_core_web_md"
Vectors = Callable[[str], npt.NDArray[np.float64] | None]


class Word(NamedTuple):
    """A word or mark of a text. objects: its direct objects and its prepositions, in one text; "" for none."""

    text: str
    lemma: str
    objects: str


class LanguagePipeline(Protocol):
    """What the metric asks of a pipeline. name: for reports. exact: whether it is the paper's own."""

    @property
    def name(self) -> str: ...

    @property
    def exact(self) -> bool: ...

    def words(self, text: str) -> Sequence[Word]:
        """The words and marks of `text`, in order."""

    def has_vector(self, text: str) -> bool:
        """Whether any word of `text` has a vector."""

    def similarity(self, first: str, second: str) -> float:
        """The cosine of the texts' mean word vectors; 1 for the same words, 0 where one has no vector."""


class SpacyPipeline:
    """A pipeline of spaCy's, loaded by `spacy.load`. What was asked before is kept."""

    def __init__(self, nlp: Any, version: str = "") -> None:
        self._nlp = nlp
        meta = nlp.meta
        model = f"{meta['lang']}_{meta['name']}"
        self.name = f"spaCy {version}, {model} {meta['version']}"
        self.exact = model == PAPER_MODEL
        self._read: dict[str, Any] = {}
        self._similar: dict[tuple[str, str], float] = {}

    def _document(self, text: str) -> Any:
        if text not in self._read:
            self._read[text] = self._nlp(text)
        return self._read[text]

    def words(self, text: str) -> Sequence[Word]:
        """As spaCy splits and parses it."""
        return [
            Word(token.text, token.lemma_, " ".join(c.text for c in token.children if c.dep_ in ("prep", "dobj")))
            for token in self._document(text)
        ]

    def has_vector(self, text: str) -> bool:
        """As spaCy's documents have it."""
        return bool(self._document(text).has_vector)

    def similarity(self, first: str, second: str) -> float:
        """As spaCy's documents have it."""
        if (first, second) not in self._similar:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", UserWarning)  # of texts without vectors, whose similarity is 0
                self._similar[first, second] = float(self._document(first).similarity(self._document(second)))
        return self._similar[first, second]


_WORD = re.compile(r"\d+(?:\.\d+)?|[^\W\d_]+|[^\w\s]")
_FORMS = {
    form: verb
    for verb, forms in {
        "walk": "walk walks walked walking",
        "move": "move moves moved moving",
        "go": "go goes went gone going",
        "turn": "turn turns turned turning",
        "proceed": "proceed proceeds proceeded proceeding",
        "head": "head heads headed heading",
        "continue": "continue continues continued continuing",
        "enter": "enter enters entered entering",
    }.items()
    for form in forms.split()
}
_PREPOSITIONS = frozenset(
    "to toward towards through into onto in on at for from past along across around by down up over under with until"
    " behind beyond between near inside outside of off after before".split()
)
_BEFORE_NOUNS = frozenset("the a an your this that first second next".split())
_NO_OBJECTS = frozenset("left right straight ahead forward back around on slightly directly slowly carefully".split())
_ENDS = frozenset("then and or but until when where you".split())


class PlainPipeline:
    """Without spaCy: the paper's eight verbs by their forms, the object or first preposition by word order.

    vectors: word -> its vector [D], None for an unknown one; vectors_name: where they are from. The scores are not
    the paper's: the vectors are others, and sentences are not parsed.
    """

    exact = False

    def __init__(self, vectors: Vectors, vectors_name: str) -> None:
        self.name = f"no spaCy: verbs by their forms, objects by word order, word vectors of {vectors_name}"
        self._source = vectors
        self._vectors: dict[str, npt.NDArray[np.float64] | None] = {}
        self._means: dict[str, npt.NDArray[np.float64] | None] = {}

    def words(self, text: str) -> Sequence[Word]:
        """Words, numbers and marks; only the eight verbs have lemmas of their own, and objects."""
        found = _WORD.findall(text)
        return [
            Word(word, _FORMS.get(word, word), _objects(found[index + 1 :]) if word in _FORMS else "")
            for index, word in enumerate(found)
        ]

    def has_vector(self, text: str) -> bool:
        """Whether the source knows any of the words."""
        return self._mean(text) is not None

    def similarity(self, first: str, second: str) -> float:
        """As the protocol says."""
        if _WORD.findall(first) == _WORD.findall(second):
            return 1.0
        one, other = self._mean(first), self._mean(second)
        if one is None or other is None:
            return 0.0
        scale = float(np.linalg.norm(one) * np.linalg.norm(other))
        return float(one @ other) / scale if scale else 0.0

    def _mean(self, text: str) -> npt.NDArray[np.float64] | None:
        if text not in self._means:
            words = _WORD.findall(text)
            for word in words:
                if word not in self._vectors:
                    self._vectors[word] = self._source(word)
            known = [vector for word in words if (vector := self._vectors[word]) is not None]
            self._means[text] = np.sum(known, axis=0) / len(words) if known else None
        return self._means[text]


def _objects(after: Sequence[str]) -> str:
    """The direct object of a verb, or the preposition that follows it: "the hall" -> "hall", "to the exit" -> "to"."""
    noun = ""
    for word in after:
        if word in _PREPOSITIONS:
            return f"{noun} {word}".strip()
        if word in _ENDS or word in _FORMS or not word[0].isalpha():
            break
        if word not in _BEFORE_NOUNS and word not in _NO_OBJECTS:
            noun = word
    return noun


def load_pipeline(vectors: Vectors, vectors_name: str, spacy_model: str | Path | None = None) -> LanguagePipeline:
    """spaCy's `spacy_model`, a name or a directory; None for the paper's where installed, else a `PlainPipeline`.

    Raises UserError where a model was named and cannot be loaded.
    """
    try:
        spacy = importlib.import_module("spacy")
        return SpacyPipeline(spacy.load(spacy_model or PAPER_MODEL), spacy.__version__)
    except ImportError:
        problem = "spaCy is not installed; pip install spacy"
    except OSError as error:
        problem = str(error).strip().split("\n")[0]
    if spacy_model is not None:
        raise UserError(f"the spaCy model {spacy_model} cannot be loaded: {problem}")
    return PlainPipeline(vectors, vectors_name)
