"""What every source of questions is read into: pairs of a question and an answer, and remarks on what was odd.

No reader drops anything in silence: each line or entry that is not blank becomes a pair or a remark, or both.
"""

from __future__ import annotations

import json
import math
import unicodedata
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from nav_vlm_node.errors import UserError

LONGEST = 2000  # characters of a question, an answer or a path; what is longer is none
_SHOWN = 200  # characters of an odd line that a remark keeps


@dataclass(frozen=True, kw_only=True)
class Pair:
    """A question about a picture and a person's answer, as the source has them.

    where: "file:line", or what else leads to it. image, earlier: as the source names them, relative to its pictures.
    scene: "" for one of the picture's own. split: "" where the source divides nothing. annotator: "" for unknown.
    line: a line of a data set that has more, its truth, camera and rig; None where these are to be derived.
    """

    where: str
    image: str
    question: str
    text: str
    scene: str = ""
    room: str = ""
    split: str = ""
    annotator: str = ""
    earlier: tuple[str, ...] = ()
    line: Mapping[str, Any] | None = field(default=None, repr=False)


@dataclass(frozen=True)
class Remark:
    """What was odd, and where. left_out: nothing of it is in the data; raw: what stood there."""

    where: str
    why: str
    left_out: bool = True
    raw: str = ""

    def __str__(self) -> str:
        return f"{self.where}: {self.why}" + ("; left out" if self.left_out else "")

    def to_json(self) -> dict[str, Any]:
        """A line of remarks.jsonl."""
        return {"where": self.where, "why": self.why, "left_out": self.left_out, "raw": self.raw}


@dataclass(frozen=True)
class Reading:
    """pairs, remarks: in the order of the source. about: what the source says of itself, for the card."""

    pairs: list[Pair]
    remarks: list[Remark]
    about: Mapping[str, Any] = field(default_factory=dict)


class Odd(Exception):
    """Something in a source that is not as it should be; its text is the remark's `why`."""


def read_file(path: Path) -> bytes:
    """Raises UserError for a file that is not there or cannot be read."""
    try:
        return path.read_bytes()
    except (OSError, ValueError) as error:
        why = error.strerror if isinstance(error, OSError) else error
        raise UserError(f"{path} cannot be read ({why}); give a file that is there") from None


def numbered_lines(data: bytes) -> Iterator[tuple[int, bytes]]:
    """The lines that are not blank, with their numbers as an editor shows them, from 1."""
    for number, line in enumerate(data.removeprefix(b"\xef\xbb\xbf").split(b"\n"), 1):
        if line.strip():
            yield number, line.strip()


def decode(line: bytes) -> tuple[str, str]:
    """Its text, and a remark's `why` where it is not UTF-8 but what Windows writes. Raises Odd where it is neither."""
    try:
        return line.decode("utf-8"), ""
    except UnicodeDecodeError:
        pass
    try:
        return line.decode("cp1252"), "not UTF-8; read as Windows-1252"
    except UnicodeDecodeError:
        raise Odd("its bytes are no text") from None


def raw(line: bytes | str) -> str:
    """The beginning of an odd line, to be kept with a remark."""
    text = line.decode("utf-8", "backslashreplace") if isinstance(line, bytes) else line
    return text[:_SHOWN].encode("utf-8", "backslashreplace").decode("utf-8")


def parse_json(data: bytes) -> Any:
    """JSON in which a repeated key is not lost: objects come as `Members`. Raises Odd, also for NaN and infinity."""
    try:
        return json.loads(
            data.removeprefix(b"\xef\xbb\xbf"), object_pairs_hook=Members, parse_constant=_finite, parse_float=_finite
        )
    except RecursionError:
        raise Odd("not JSON (nested too deeply)") from None
    except ValueError as error:
        raise Odd(f"not JSON ({raw(str(error).splitlines()[0])})") from None


def read_json_file(path: Path) -> Any:
    """What `parse_json` makes of a file. Raises UserError."""
    try:
        return parse_json(read_file(path))
    except Odd as error:
        raise UserError(f"{path} is {error}; give the file as it was exported") from None


def _finite(text: str) -> float:
    number = float(text)
    if not math.isfinite(number):
        raise ValueError(f"{raw(text)} is no number")
    return number


class Members(list[tuple[str, Any]]):
    """The members of a JSON object in their order, repeated keys too."""

    def to_dict(self) -> dict[str, Any]:
        """As a dict. Raises Odd for a repeated key."""
        found = dict(self)
        if len(found) != len(self):
            twice = next(key for i, (key, _) in enumerate(self) if key in dict(self[:i]))
            raise Odd(f"{raw(twice)!r} is there twice")
        return found


def plain(value: Any) -> Any:
    """The same with dicts for `Members`, all the way down. Raises Odd for a repeated key."""
    if isinstance(value, Members):
        return {key: plain(member) for key, member in value.to_dict().items()}
    return [plain(member) for member in value] if isinstance(value, list) else value


def words(value: object, what: str) -> str:
    """A question or an answer with single spaces. Raises Odd where it is none."""
    if not isinstance(value, str):
        raise Odd(f"its {what} is missing" if value is None else f"its {what} is no text")
    text = " ".join(value.split())
    if not text:
        raise Odd(f"its {what} is empty")
    if len(text) > LONGEST:
        raise Odd(f"its {what} is longer than {LONGEST} characters")
    if any(unicodedata.category(letter) in ("Cc", "Cs") for letter in text):
        raise Odd(f"its {what} holds characters that are no text")
    return text


def label(value: object) -> str:
    """A name of a scene, a room, a split, a person: a short text or a number; "" for none. Raises Odd."""
    if value is None:
        return ""
    if isinstance(value, bool) or not isinstance(value, (str, int)):
        raise Odd(f"{raw(str(value))!r} is no name")
    return words(str(value), "name") if str(value).strip() else ""


def inside(value: object, what: str = "image") -> str:
    """A relative path with forward slashes. Raises Odd for one that leads outside the pictures' folder."""
    text = words(value, what).replace("\\", "/")
    parts = [part for part in text.split("/") if part not in ("", ".")]
    if text.startswith("/") or text[1:2] == ":" or ".." in parts or not parts:
        raise Odd(f"its {what} {raw(text)!r} is outside the pictures' folder")
    return "/".join(parts)
