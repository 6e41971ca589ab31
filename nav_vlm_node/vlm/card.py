"""What a model directory and an adapter directory say about themselves, and whether their files can be trusted.

A model is a directory in transformers' `save_pretrained` layout, an adapter one in peft's; both carry nav_vlm.json.
Only safetensors is read: a pickle runs code when it is opened. Nothing here imports torch.
"""

from __future__ import annotations

import hashlib
import json
import math
import os
import struct
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from nav_vlm_node.errors import UserError
from nav_vlm_node.view import View
from nav_vlm_node.vlm.prompt import PROMPT_TEMPLATE, prompt_of

CARD = "nav_vlm.json"
WEIGHTS = "model.safetensors"
WEIGHTS_INDEX = "model.safetensors.index.json"
ADAPTER_WEIGHTS = "adapter_model.safetensors"
ADAPTER_CONFIG = "adapter_config.json"
PICKLES = ("pytorch_model.bin", "pytorch_model.bin.index.json", "model.pt", "adapter_model.bin")
MAX_HEADER = 100_000_000  # bytes; the limit that safetensors itself sets


@dataclass(frozen=True, kw_only=True)
class ModelCard:
    """A verified model directory. `adapters`: name -> directory, in the card's order."""

    directory: Path
    name: str
    view: View
    prompt: str = PROMPT_TEMPLATE
    adapters: Mapping[str, Path] = field(default_factory=dict)
    default_adapter: str = ""
    weights: tuple[Path, ...] = ()


@dataclass(frozen=True, kw_only=True)
class AdapterCard:
    """A verified adapter directory. `base_sha256` is `model_sha256` of the model that it was trained on.

    frames: pictures that it looks at at a time, three a second, the newest last.
    """

    directory: Path
    name: str
    base: str
    base_sha256: str
    prompt: str
    metrics: Mapping[str, Any] = field(default_factory=dict)
    data_sha256: str = ""
    frames: int = 1


def read_model_card(directory: Path) -> ModelCard:
    """Look at a model directory; the weights' headers are checked, their numbers are not read.

    Without nav_vlm.json it is a plain BLIP-2: no adapters, and a view that is the whole picture, squashed.
    Raises UserError for whatever is missing, damaged, a pickle, or not a BLIP-2.
    """
    if not directory.is_dir():
        raise UserError(f"no model directory at {directory}: give the path of a saved BLIP-2 (see `nav-vlm doctor`)")
    config = read_json(directory / "config.json", "the model's configuration")
    if config.get("model_type") != "blip-2":
        raise UserError(
            f"{directory} holds a {config.get('model_type')!r} model, not a BLIP-2: give a BLIP-2 directory"
        )
    weights = model_weights(directory)
    if not (directory / "tokenizer_config.json").is_file():
        raise UserError(f"{directory} has no tokenizer_config.json: save the processor there too (save_pretrained)")
    path = directory / CARD
    if not path.exists():
        size = int(_mapping(config.get("vision_config")).get("image_size", 224))
        view = View(projection="squash", width=size, height=size)
        return ModelCard(directory=directory, name=directory.resolve().name, view=view, weights=weights)
    data = read_json(path, "the model's card")
    prompt = _prompt(data, path)
    entries = data.get("adapters", [])
    if not isinstance(entries, list) or not all(isinstance(entry, str) and Path(entry).name for entry in entries):
        raise UserError(f"{path} has adapters {entries!r}, not a list of folders: correct it")
    adapters = {Path(entry).name: directory / entry for entry in entries}
    if len(adapters) < len(entries):
        raise UserError(f"{path} has two adapters of one name in {entries!r}: rename a folder")
    default = str(data.get("default_adapter", ""))
    if default and default not in adapters:
        raise UserError(f"{path} names the default adapter {default!r}, which is not among its adapters: correct it")
    return ModelCard(
        directory=directory,
        name=str(data.get("name") or directory.resolve().name),
        view=View.from_json(_mapping(data.get("view"))),
        prompt=prompt,
        adapters=adapters,
        default_adapter=default,
        weights=weights,
    )


def read_adapter_card(directory: Path) -> AdapterCard:
    """Look at an adapter directory. Raises UserError as `read_model_card` does."""
    if not directory.is_dir():
        raise UserError(f"no adapter directory at {directory}: give one of the model's adapters or a path")
    refuse_pickle(directory, ADAPTER_WEIGHTS)
    read_json(directory / ADAPTER_CONFIG, "the adapter's configuration")
    check_safetensors(directory / ADAPTER_WEIGHTS)
    path = directory / CARD
    if not path.exists():
        raise UserError(
            f"{path} is missing, which names the base model: copy the whole directory again; if peft alone wrote it, "
            f'write {CARD} with {{"base_sha256": the sha256sum of the model.safetensors that it was trained on}}'
        )
    data = read_json(path, "the adapter's card, which names the base model")
    if not isinstance(data.get("base_sha256"), str):
        raise UserError(
            f"{path} has no base_sha256, so it cannot be told which model the adapter is for: save it again"
        )
    frames = data.get("frames", 1)
    if not isinstance(frames, int) or frames < 1:
        raise UserError(f"{path} names {frames!r} frames, which is no number of pictures: save the adapter again")
    return AdapterCard(
        directory=directory,
        name=str(data.get("name") or directory.resolve().name),
        base=str(data.get("base", "")),
        base_sha256=data["base_sha256"],
        prompt=_prompt(data, path, prompt_of(frames)),
        metrics=_mapping(data.get("metrics")),
        data_sha256=str(data.get("data_sha256", "")),
        frames=frames,
    )


def model_weights(directory: Path) -> tuple[Path, ...]:
    """The model's safetensors files, each with a sound header. Raises UserError."""
    refuse_pickle(directory, WEIGHTS, WEIGHTS_INDEX)
    if (directory / WEIGHTS).exists():
        names = [WEIGHTS]
    else:
        index = read_json(directory / WEIGHTS_INDEX, "the model's weights (neither model.safetensors)")
        names = sorted({str(name) for name in _mapping(index.get("weight_map")).values()})
    paths = tuple(directory / name for name in names)
    for path in paths:
        check_safetensors(path)
    return paths


def refuse_pickle(directory: Path, *safe: str) -> None:
    """Raise UserError if there is a pickle and none of the safetensors files in its place."""
    if any((directory / name).exists() for name in safe):
        return
    for path in sorted(directory.iterdir()):
        if path.name in PICKLES or path.suffix in (".bin", ".pt", ".pth", ".ckpt", ".pkl"):
            raise UserError(
                f"{path} is a pickle, which can run code when it is opened: convert the weights to safetensors "
                "(save_pretrained writes it)"
            )


def check_safetensors(path: Path) -> dict[str, Any]:
    """The header of a safetensors file: tensor name -> {dtype, shape, data_offsets}.

    Raises UserError if the file is missing, truncated or something else.
    """
    if not path.is_file():
        raise UserError(f"{path} is missing: copy the whole directory again")
    size = path.stat().st_size
    with path.open("rb") as file:
        start = file.read(8)
        if start[:7] == b"version":
            raise UserError(f"{path} is a git-lfs pointer, not the weights: fetch them with `git lfs pull`")
        length = struct.unpack("<Q", start)[0] if len(start) == 8 else MAX_HEADER
        try:
            if length >= min(MAX_HEADER, size):
                raise ValueError("header length")
            header = json.loads(file.read(length))
            tensors = {key: value for key, value in header.items() if key != "__metadata__"}
            end = max((int(tensor["data_offsets"][1]) for tensor in tensors.values()), default=0)
            if 8 + length + end != size or not all(isinstance(tensor["shape"], list) for tensor in tensors.values()):
                raise ValueError("file length")
        except (ValueError, TypeError, KeyError, AttributeError, IndexError, RecursionError):
            raise UserError(f"{path} is damaged or not safetensors ({size} bytes): copy it again") from None
    return tensors


def model_sha256(weights: tuple[Path, ...]) -> str:
    """The identity of a model's weights: sha256 of model.safetensors, or of its shards one after the other."""
    digest = hashlib.sha256()
    for path in weights:
        with path.open("rb") as file:
            while block := file.read(1 << 20):
                digest.update(block)
    return digest.hexdigest()


def read_json(path: Path, what: str) -> dict[str, Any]:
    """A JSON object from a file. Raises UserError that says what it was for."""
    try:
        data = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise UserError(f"{path} is missing ({what}): copy the whole directory again") from None
    except (OSError, ValueError) as error:
        raise UserError(f"{path} ({what}) cannot be read: {str(error).splitlines()[0]}") from None
    if not isinstance(data, dict):
        raise UserError(f"{path} ({what}) is not a JSON object: copy it again")
    return data


def one_line(error: BaseException) -> str:
    """What an exception of another library says, in one line: the one that says most."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    if not lines:
        return type(error).__name__
    line = next((line for line in lines if line.startswith("size mismatch")), lines[0])
    if line.endswith(":") and len(lines) > 1:  # a heading
        line = f"{line} {lines[lines.index(line) + 1]}"
    return line if isinstance(error, (OSError, ValueError, RuntimeError)) else f"{type(error).__name__}: {line}"


def write_json(path: Path, data: Mapping[str, Any]) -> None:
    """Write a JSON object so that the file is either the old one or the whole new one."""
    partial = path.with_name(path.name + ".partial")
    partial.write_text(json.dumps(data, indent=2, allow_nan=False) + "\n", encoding="utf-8")
    os.replace(partial, path)


def finite(metrics: Mapping[str, Any]) -> dict[str, Any]:
    """Metrics with NaN and infinity as None, for JSON."""
    return {k: None if isinstance(v, float) and not math.isfinite(v) else v for k, v in metrics.items()}


def _prompt(data: Mapping[str, Any], path: Path, known: str = PROMPT_TEMPLATE) -> str:
    prompt = str(data.get("prompt", known))
    if prompt != known:
        raise UserError(f"{path} was trained with the prompt {prompt!r}, this is {known!r}: train it again")
    return prompt


def _mapping(value: Any) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}
