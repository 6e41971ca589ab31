"""Where one sentence ends and the next begins, also in a text that is still being written."""

from __future__ import annotations

import re

# A full stop after a digit ends a sentence only when something that is not a digit follows: "1." may become "1.5".
_END = re.compile(r"(?<![0-9])\.|(?<=[0-9])\.(?=[^0-9])|[!?]")
_HAS_LETTER = re.compile(r"[^\W\d_]")


def split_sentences(text: str) -> tuple[list[str], str]:
    """The complete sentences of `text`, end marks included, and the rest that is not complete yet.

    Both are stripped; pieces without a letter ("1." of a numbered list, the dots of "...") are left out. What is
    complete stays so, whatever is appended to `text`. Linear in the length of `text`.
    """
    sentences: list[str] = []
    start = 0
    for end in _END.finditer(text):
        piece = text[start : end.end()].strip()
        start = end.end()
        if _HAS_LETTER.search(piece):
            sentences.append(piece)
    rest = text[start:].strip()
    return sentences, rest if _HAS_LETTER.search(rest) else ""


def complete_clauses(text: str) -> list[str]:
    """The complete sentences so far of a text that is being streamed; the last, unfinished one is not among them."""
    return split_sentences(text)[0]
