"""Text to steps: canonical sentences by their grammar, every other sentence by what is understood of free text."""

from __future__ import annotations

from dataclasses import dataclass

from nav_vlm_node.instruction import Step
from nav_vlm_node.language import canonical
from nav_vlm_node.language.sentences import split_sentences


@dataclass(frozen=True)
class Parsed:
    """steps: what was understood, in the order it was said. unparsed: the pieces of text that were not."""

    steps: tuple[Step, ...]
    unparsed: tuple[str, ...] = ()


def parse(text: str) -> Parsed:
    """The steps that `text` asks for. Never raises on any string; linear in its length."""
    sentences, rest = split_sentences(text)
    steps: list[Step] = []
    unparsed: list[str] = []
    for sentence in [*sentences, rest] if rest else sentences:
        known = canonical.parse_sentence(sentence)
        if known is not None:
            steps.extend(known)
        else:
            unparsed.append(sentence)
    return Parsed(tuple(steps), tuple(unparsed))
