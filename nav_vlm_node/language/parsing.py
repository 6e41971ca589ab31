"""Text to steps: canonical sentences by their grammar, every other sentence by what is understood of free English."""

from __future__ import annotations

from dataclasses import dataclass

from nav_vlm_node.instruction import Step
from nav_vlm_node.language import canonical
from nav_vlm_node.language.free import FreeReader
from nav_vlm_node.language.sentences import split_sentences

STEP_LENGTH = 0.7  # metres; a usual walking step, where none is set for the wearer


@dataclass(frozen=True)
class Parsed:
    """steps: what was understood, in the order it was said. unparsed: the pieces of the text that were not."""

    steps: tuple[Step, ...]
    unparsed: tuple[str, ...] = ()


def parse(text: str, step_length: float = STEP_LENGTH) -> Parsed:
    """The steps that `text` asks for. `step_length` [m] is what "3 steps" counts in.

    Never raises on any string; linear in its length. What is forbidden ("do not turn left"), asked ("is it left?") or
    said under a condition ("if ...") is no step and comes back in `unparsed`; "do not move" is a STOP.
    """
    reader = FreeReader(step_length)
    sentences, rest = split_sentences(text)
    for sentence in [*sentences, rest] if rest else sentences:
        known = canonical.parse_sentence(sentence)
        if known is not None:
            reader.steps.extend(known)
        else:
            reader.read(sentence)
    reader.finish()
    if text.strip() and not reader.steps and not reader.unparsed:
        reader.unparsed.append(text.strip())
    return Parsed(tuple(reader.steps), tuple(reader.unparsed))
