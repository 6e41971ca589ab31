"""What `nav-vlm demo` prints: every question, the answer as it is written, what is spoken, the truth, the verdict."""

from __future__ import annotations

import math
from typing import TextIO

from nav_vlm_sim.demo.cases import Case
from nav_vlm_sim.demo.records import Answered, By
from nav_vlm_sim.demo.verdict import Mark

_INDENT, _COLUMN = "  ", 10
_COLOURS = {Mark.RIGHT: "32", Mark.PARTLY: "33", Mark.WRONG: "31", Mark.WITHHELD: "33", Mark.FAILED: "31"}


class Talk:
    """Prints plain ASCII to `out`; colour only where that is a terminal, and never as the only sign of anything."""

    def __init__(self, out: TextIO) -> None:
        self._out = out
        self._colour = out.isatty()
        self._written = ""

    def say(self, text: str = "") -> None:
        """A line."""
        print(text, file=self._out, flush=True)

    def question(self, number: int, count: int, case: Case, by: By) -> None:
        """What is asked, and where."""
        how = "by action, watched as it is written" if by == "action" else "by topic"
        self.say()
        self.say(f"{number} of {count}  {self._styled(case.question.text, '1')}")
        self._line("asked", f"{how}; {case.sort}; {case.frame.scene.room}, scene {case.frame.scene.seed}")
        self._written = ""
        if by == "action":
            self._out.write(f"{_INDENT}{'writes':<{_COLUMN}}")
            self._out.flush()

    def text(self, text: str) -> None:
        """The unchecked text so far; what is new of it is printed at once."""
        more = text[len(self._written) :] if text.startswith(self._written) else text
        self._written = text
        self._out.write(more)
        self._out.flush()

    def answer(self, one: Answered) -> None:
        """What is spoken, the truth, and whether it was right."""
        if one.by == "action":
            self.say()
        self._line("says", one.spoken or "(nothing)")
        self._line("truth", one.truth_text)
        mark = one.verdict.mark
        words = self._styled(f"{mark.value.upper():<{_COLUMN}}", f"1;{_COLOURS[mark]}")
        self.say(f"{_INDENT}{words}{'; '.join(one.verdict.reasons)}")
        times = []
        if not math.isnan(one.reply.first_text):
            times.append(f"first words {one.reply.first_text:.2f} s")
        if not math.isnan(one.reply.total):
            times.append(f"whole answer {one.reply.total:.2f} s")
        instruction = one.reply.instruction
        if instruction is not None and not math.isnan(instruction.image_age):
            times.append(f"image {instruction.image_age:.2f} s old by then")
        self._line("time", ", ".join(times))

    def _line(self, what: str, text: str) -> None:
        self.say(f"{_INDENT}{what:<{_COLUMN}}{text}")

    def _styled(self, text: str, code: str) -> str:
        return f"\033[{code}m{text}\033[0m" if self._colour else text
