"""What a family's processor makes of a question about a picture, with or without its answer.

A row is what the processor makes of one picture and one question: tensors with a first dimension of 1. It differs from
family to family in everything but that, and in what is asserted here: the tokens that stand for the picture are in it.
Rows are put together without padding where they have the same shapes, and padded on the right, behind what is read,
where an answer is learnt: no family reads what comes later, whatever it does about padding on the left.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from nav_vlm_node.errors import UserError
from nav_vlm_node.vlm.prompt import IGNORE, MAX_PROMPT_TOKENS, build_prompt
from nav_vlm_node.vlm.quiet import quiet
from nav_vlm_training.vlms.loading import OtherModel

Image = npt.NDArray[np.uint8]
Row = dict[str, torch.Tensor]
Shapes = tuple[tuple[str, tuple[int, ...]], ...]
EXAMPLE = "Where is the door?"


@dataclass(frozen=True)
class Taught:
    """Rows with their answers. inputs: for the model. labels: [B, T], IGNORE where nothing is learnt; the answers
    themselves, or for a decoder-only model the row, in which the answer follows the question."""

    inputs: Mapping[str, torch.Tensor]
    labels: torch.Tensor

    @property
    def tokens(self) -> int:
        """How many tokens the loss is about."""
        return int((self.labels != IGNORE).sum())


class Prompts:
    """How one model is asked. Raises UserError where its processor cannot be asked about a picture.

    example: a picture, on which it is tried how the processor wants its image token. answer_type: what marks an answer
    among the token types, where the family has any (see `nav_vlm_training.vlms.checks`).
    """

    def __init__(self, other: OtherModel, example: Image, answer_type: int = 0) -> None:
        self._other = other
        self.answer_type = answer_type
        self._chat = getattr(other.processor, "chat_template", None) is not None
        self._lead = "" if self._chat else self._find_lead(example)
        self.template = self._text("{query}") if self._chat else self._lead + build_prompt("{query}")

    def row(self, image: Image, question: str) -> Row:
        """A picture, uint8 [H, W, 3] RGB, and a question, ready to be answered. Raises UserError for a long one."""
        return self._encode(image, self._text(self._printable(question)))

    def taught(self, rows: Sequence[Row], answers: Sequence[str]) -> Taught:
        """Rows with the answers to learn, padded on the right to the longest."""
        told = [self._answer_ids(answer) for answer in answers]
        if self._other.seq2seq:
            labels = _padded([torch.tensor([ids]) for ids in told], IGNORE)
            return Taught(self._together(rows), labels)
        labels = _padded(
            [torch.tensor([[IGNORE] * row["input_ids"].shape[1] + ids]) for row, ids in zip(rows, told, strict=True)],
            IGNORE,
        )
        longer = [self._followed(row, ids) for row, ids in zip(rows, told, strict=True)]
        return Taught(self._together(longer), labels)

    def _together(self, rows: Sequence[Row]) -> Row:
        """Rows of any lengths as one batch."""
        pad = int(self._other.tokenizer.pad_token_id or 0)
        return {
            name: _padded([row[name] for row in rows], pad if name == "input_ids" else 0)
            if _per_token(name)
            else torch.cat([row[name] for row in rows])
            for name in rows[0]
        }

    def _followed(self, row: Row, ids: list[int]) -> Row:
        """A decoder-only model's row with the answer behind the question."""
        longer = dict(row)
        length = row["input_ids"].shape[1]
        for name, tensor in row.items():
            if name == "input_ids":
                more = torch.tensor([ids])
            elif _per_token(name) and tensor.shape[1] == length:
                more = tensor[:, -1:].repeat_interleave(len(ids), 1)
                if name == "token_type_ids":
                    more = torch.full_like(more, self.answer_type)
            else:
                continue
            longer[name] = torch.cat([tensor, more.to(tensor.dtype)], 1)
        return longer

    def _answer_ids(self, answer: str) -> list[int]:
        tokenizer, end = self._other.tokenizer, self._other.ends[-1]
        if self._other.seq2seq:
            ids = list(tokenizer(answer)["input_ids"])
        else:  # behind "Answer:" comes " Turn", which in many vocabularies is a token of its own
            blank = "" if self.template[-1:].isspace() else " "
            ids = list(tokenizer(blank + answer, add_special_tokens=False)["input_ids"])
        return ids if ids and ids[-1] == end else [*ids, end]

    def _text(self, question: str) -> str:
        if not self._chat:
            return self._lead + build_prompt(question)
        content = [{"type": "image"}, {"type": "text", "text": question}]
        asked = [{"role": "user", "content": content}]
        return str(self._try(lambda: self._other.processor.apply_chat_template(asked, add_generation_prompt=True)))

    def _printable(self, question: str) -> str:
        """Without the names of special tokens: "<image>" in a question must not become an image token."""
        for added in self._other.tokenizer.added_tokens_decoder.values():
            if added.special:
                question = question.replace(added.content, " ")
        if len(question) > 64 * MAX_PROMPT_TOKENS:
            raise UserError(f"the question is too long ({len(question)} characters): ask in one sentence")
        return " ".join("".join(c if c.isprintable() else " " for c in question).split())

    def _encode(self, image: Image, text: str) -> Row:
        from PIL import Image as Pillow

        begins = self._other.tokenizer.bos_token
        more = {"add_special_tokens": False} if self._chat and begins and text.startswith(begins) else {}
        picture = Pillow.fromarray(image)
        made = self._try(lambda: self._other.processor(images=[picture], text=[text], return_tensors="pt", **more))
        row = {name: value for name, value in made.items() if isinstance(value, torch.Tensor) and name != "labels"}
        row.setdefault("attention_mask", torch.ones_like(row["input_ids"]))
        if not self._other.seq2seq:  # an end of text that the tokenizer puts behind everything would end the answer
            length = row["input_ids"].shape[1]
            kept = length - int(int(row["input_ids"][0, -1]) in self._other.ends)
            row = {
                name: value[:, :kept] if _per_token(name) and value.shape[1] == length else value
                for name, value in row.items()
            }
        return row

    def _find_lead(self, example: Image) -> str:
        """What has to stand before the prompt: the image token, unless the processor puts it there by itself."""
        image_id = _image_token_id(self._other.model.config)
        if image_id is None or self._has_image_tokens(example, build_prompt(EXAMPLE), image_id):
            return ""
        lead = str(getattr(self._other.processor, "image_token", "<image>"))
        if not self._has_image_tokens(example, lead + build_prompt(EXAMPLE), image_id):
            raise UserError(f"the processor of {self._other.name} makes no image tokens: save it again with the model")
        return lead

    def _has_image_tokens(self, example: Image, text: str, image_id: int) -> bool:
        """Processors that miss their token in the text either raise, warn, or say nothing."""
        try:
            return bool((self._encode(example, text)["input_ids"] == image_id).any())
        except UserError:
            return False

    def _try(self, ask: Callable[[], Any]) -> Any:
        with quiet():
            try:
                return ask()
            except Exception as error:  # processors raise what they like
                line = (str(error).strip().splitlines() or [type(error).__name__])[0]
                raise UserError(
                    f"the processor of {self._other.name} does not take a picture with a question: {line}"
                ) from None


def shapes(row: Row) -> Shapes:
    """Rows with equal shapes can be put together without padding."""
    return tuple((name, tuple(value.shape[1:])) for name, value in row.items())


def joined(rows: Sequence[Row]) -> Row:
    """Rows of one shape as one batch."""
    return {name: torch.cat([row[name] for row in rows]) for name in rows[0]}


def _per_token(name: str) -> bool:
    """Whether a tensor has a column for every token of text: ids, types and masks, but not a mask of pixels."""
    return name.endswith(("ids", "mask")) and not name.startswith(("pixel", "image", "video"))


def _padded(tensors: Sequence[torch.Tensor], fill: int) -> torch.Tensor:
    """[1, T, ...] each, as one [B, longest, ...], filled behind."""
    width = max(tensor.shape[1] for tensor in tensors)
    wide = [
        torch.cat([tensor, tensor.new_full((1, width - tensor.shape[1], *tensor.shape[2:]), fill)], 1)
        for tensor in tensors
    ]
    return torch.cat(wide)


def _image_token_id(config: Any) -> int | None:
    for name in ("image_token_id", "image_token_index"):
        if getattr(config, name, None) is not None:
            return int(getattr(config, name))
    return None
