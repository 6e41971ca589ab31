"""Instructions in other words that ask for exactly the same: by a grammar, and by a model where there is one.

Whatever a rephrasing comes from, it is kept only if it parses to the steps that it was made from. A turn whose angle
got lost, or a hazard that came after the movement, is dropped. No way to say that nothing was found says that the way
is clear.
"""

from __future__ import annotations

import random
import re
import zlib
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from nav_vlm_node.errors import UserError
from nav_vlm_training.augment.steps import says_the_same

# A canonical clause -> other ways to say it; \1, \2, ... are its parts.
_NAME = r"([a-z][a-z' \-]*?)"
_METRES = r"(\d+(?:\.\d+)? metres?)"
_WHERE = r"((?: ahead| behind| \d+ degrees (?:left|right)))"
_GRAMMAR: tuple[tuple[str, tuple[str, ...]], ...] = (
    (
        rf"Caution, {_NAME}{_WHERE} at {_METRES}",
        (r"Watch out, \1\2 at \3", r"Careful, \1\2 at \3", r"Mind the \1\2 at \3", r"Beware of the \1\2 at \3"),
    ),
    (rf"Caution, {_NAME}{_WHERE}", (r"Watch out, \1\2", r"Careful, \1\2", r"Mind the \1\2", r"Beware of the \1\2")),
    (
        r"Nothing found in the way",
        ("Nothing was found in the way", "No obstacles found", "No obstacles were found in the way"),
    ),
    (
        rf"Nothing found in the way for {_METRES}",
        (r"Nothing was found in the way for \1", r"No obstacles found for \1", r"No obstacles were found within \1"),
    ),
    (rf"No {_NAME} in view", (r"I cannot see the \1", r"There is no \1 in view", r"The \1 is not visible")),
    (r"I do not know that place", ("I don't know that place", "I do not know this place")),
    (r"Turn around", ("Turn back", "Make a u-turn", "Turn 180 degrees")),
    (
        r"Turn (left|right) (\d+) degrees",
        (r"Turn \2 degrees to the \1", r"Rotate \2 degrees \1", r"Please turn \1 \2 degrees", r"Turn \2 degrees \1"),
    ),
    (r"Move ahead", ("Walk straight ahead", "Go straight", "Walk forward", "Go ahead")),
    (
        rf"Move {_METRES} to the {_NAME}",
        (r"Walk \1 to the \2", r"Go straight for \1 to the \2", r"Walk \1 forward to the \2", r"Proceed \1 to the \2"),
    ),
    (rf"Move {_METRES}", (r"Walk \1", r"Go straight for \1", r"Walk forward \1", r"Proceed \1")),
    (rf"Move to the {_NAME}", (r"Walk straight to the \1", r"Go straight ahead to the \1", r"Go straight to the \1")),
    (r"Stop", ("Please stop", "Stop now", "Stop there", "Stand still")),
    (rf"The {_NAME} points (left|right|ahead|back)", (r"\1 points \2", r"The \1 points to the \2")),
    (
        rf"{_NAME}{_WHERE} at {_METRES}",
        (r"The \1 is\2 at \3", r"There is the \1\2 at \3", r"The \1 is \3 away,\2"),
    ),
    (rf"{_NAME}{_WHERE}", (r"The \1 is\2", r"You will find the \1\2")),
    (rf"{_NAME} at {_METRES}", (r"The \1 is at \2", r"The \1 is \2 away")),
    (rf"{_NAME} in view", (r"The \1 is in view", r"The \1 is visible")),
    (r"Turn slowly to scan", ("Look around", "Scan slowly", "Turn slowly on the spot")),
)  # fmt: skip
_RULES = tuple((re.compile(form, re.IGNORECASE), others) for form, others in _GRAMMAR)
_SENTENCE = re.compile(r"(?:[^.]|\.(?=\d))+\.?")
_JOINTS = (", then ", " and then ", ". Then ", ". ")
_TRIES = 12  # drawn per rephrasing that is wanted


def rephrase(text: str, count: int, rng: random.Random) -> list[str]:
    """Up to `count` different texts that ask for what canonical `text` does; fewer where there are no more ways."""
    found: list[str] = []
    for _ in range(_TRIES * count):
        other = _reworded(text, rng)
        if other != text and other not in found and says_the_same(text, other):
            found.append(other)
        if len(found) == count:
            break
    return found


def kept(text: str, candidates: Iterable[str]) -> list[str]:
    """Those of `candidates` that ask for what `text` does, without doubles and without itself."""
    found: list[str] = []
    for candidate in candidates:
        other = " ".join(candidate.split())
        if other != text and other not in found and says_the_same(text, other):
            found.append(other)
    return found


def rephrase_all(
    texts: Iterable[str], count: int, seed: int, model: Rephraser | None = None
) -> dict[str, tuple[str, ...]]:
    """Text -> at most `count` others; the model's first, where there is one. The same for the same seed."""
    reworded = {}
    for text in sorted(set(texts)):
        found = kept(text, model(text, 2 * count)) if model else []
        rng = random.Random(zlib.crc32(f"{seed} {text}".encode()))
        others = [*found, *(other for other in rephrase(text, count, rng) if other not in found)]
        reworded[text] = tuple(others[:count])
    return reworded


class Rephraser:
    """A sequence-to-sequence model (T5, BART, ...) from a folder that writes texts in other words.

    prompt: what comes before the text, as paraphrase models want it. Raises UserError for a folder that is none.
    """

    def __init__(self, folder: Path, prompt: str = "paraphrase: ") -> None:
        from transformers import AutoModelForSeq2SeqLM, AutoTokenizer

        from nav_vlm_node.vlm.card import refuse_pickle
        from nav_vlm_node.vlm.quiet import quiet

        if not folder.is_dir():
            raise UserError(f"no model to rephrase with at {folder}: give the folder of a saved seq2seq model")
        refuse_pickle(folder, "model.safetensors", "model.safetensors.index.json")
        with quiet():
            try:
                self._tokenizer: Any = AutoTokenizer.from_pretrained(folder, local_files_only=True)
                model: Any = AutoModelForSeq2SeqLM.from_pretrained(
                    folder, local_files_only=True, use_safetensors=True
                )  # fmt: skip
            except Exception as error:  # whatever transformers raises for files that do not fit
                line = (str(error).strip().splitlines() or [type(error).__name__])[0]
                raise UserError(f"{folder} is no sequence-to-sequence model that loads: {line}") from None
        self._model = model.eval()
        self._prompt = prompt

    def __call__(self, text: str, count: int) -> list[str]:
        """`count` candidates by beam search, good or not: they have to be checked."""
        inputs = self._tokenizer(self._prompt + text, return_tensors="pt")
        inputs.pop("token_type_ids", None)
        ids = self._model.generate(
            **inputs, num_beams=count, num_return_sequences=count, do_sample=False, max_new_tokens=96
        )
        return [str(t) for t in self._tokenizer.batch_decode(ids, skip_special_tokens=True)]


def _reworded(text: str, rng: random.Random) -> str:
    """`text` with some of its clauses said otherwise; nothing is checked."""
    sentences = [_sentence(match.group().strip().rstrip("."), rng) for match in _SENTENCE.finditer(text)]
    return " ".join(f"{sentence}." for sentence in sentences if sentence)


def _sentence(sentence: str, rng: random.Random) -> str:
    clauses = sentence.split(", then ")
    said = [clause for index, clause in enumerate(_clauses(clauses, rng)) if clause or index]
    text = said[0]
    for clause in said[1:]:
        joint = rng.choice(_JOINTS)
        text += joint + (clause if joint == ". " else clause[0].lower() + clause[1:])
    return text


def _clauses(clauses: list[str], rng: random.Random) -> Iterator[str]:
    for clause in clauses:
        for form, others in _RULES:
            match = form.fullmatch(clause)
            if match is not None and rng.random() < 0.8:
                other = match.expand(rng.choice(others))
                yield other[0].upper() + other[1:]
                break
        else:
            yield clause[:1].upper() + clause[1:]
