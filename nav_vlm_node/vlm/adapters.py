"""LoRA adapters by peft: make, save, check, load, merge.

An adapter is checked against the model before peft sees it. peft itself loads an adapter of another model, or half of
one, with at most a warning; here that is one clear line and nothing is loaded.
"""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from nav_vlm_node.errors import UserError
from nav_vlm_node.vlm.card import (
    ADAPTER_CONFIG,
    ADAPTER_WEIGHTS,
    CARD,
    WEIGHTS_INDEX,
    AdapterCard,
    check_safetensors,
    finite,
    model_sha256,
    model_weights,
    one_line,
    read_json,
    write_json,
)
from nav_vlm_node.vlm.prompt import PROMPT_TEMPLATE
from nav_vlm_node.vlm.quiet import quiet

if TYPE_CHECKING:
    from peft import PeftModel
    from transformers import Blip2ForConditionalGeneration

Targets = Mapping[str, Sequence[str]]  # component of BLIP-2 -> last names of the modules in it

LANGUAGE_QV: dict[bool, Targets] = {  # by config.use_decoder_only_language_model
    False: {"language_model": ("q", "v")},
    True: {"language_model": ("q_proj", "v_proj")},
}
COMPONENTS = ("vision_model", "qformer", "language_projection", "language_model")
# What peft can do besides LoRA although the weights may look the same.
_MORE_THAN_LORA = (
    "modules_to_save", "use_dora", "lora_bias", "use_qalora", "alora_invocation_tokens", "layer_replication",
    "target_parameters", "trainable_token_indices", "use_bdlora", "arrow_config", "kasa_config", "monteclora_config",
)  # fmt: skip
# Loading with one of the others changes the base's own weights, or needs what is not in the file.
_INITIAL_WEIGHTS = (True, False, None, "gaussian", "eva", "orthogonal", "mica")
_PREFIX = "base_model.model."
_LORA_KEY = re.compile(r"base_model\.model\.(?P<module>.+)\.lora_(?P<half>[AB])\.weight")


def target_regex(targets: Targets) -> str:
    """peft's `target_modules`, anchored to the component: a bare suffix such as "fc1" hits the ViT and OPT alike."""
    parts = [rf"{re.escape(part)}\.(?:.+\.)?(?:{'|'.join(map(re.escape, names))})" for part, names in targets.items()]
    return "|".join(f"(?:{part})" for part in parts)


def attach_new(
    model: Blip2ForConditionalGeneration,
    *,
    rank: int = 8,
    alpha: int = 16,
    dropout: float = 0.0,
    targets: Targets | None = None,
    name: str = "default",
) -> PeftModel:
    """A new LoRA adapter to train on `model`, which is changed in place; everything else is frozen.

    targets: by default q and v of the language model, as in the paper that this project starts from.
    Raises ValueError if the targets name no module, or peft touches others than those named.
    """
    from peft import LoraConfig, get_peft_model

    targets = targets or LANGUAGE_QV[bool(model.config.use_decoder_only_language_model)]
    wanted = {
        module
        for module, _ in model.named_modules()
        if module.split(".")[0] in targets and module.split(".")[-1] in targets[module.split(".")[0]]
    }
    # task_type stays None: CAUSAL_LM and SEQ_2_SEQ_LM wrap `forward` and `generate` in ways that BLIP-2 does not fit.
    config = LoraConfig(
        r=rank, lora_alpha=alpha, lora_dropout=dropout, target_modules=target_regex(targets), task_type=None
    )
    if not wanted:
        raise ValueError(f"no module of the model is named by {targets}")
    with quiet():
        peft_model: Any = get_peft_model(model, config, adapter_name=name)
    if (touched := touched_modules(peft_model, name)) != wanted:
        raise ValueError(f"LoRA is on other modules than meant: {sorted(touched ^ wanted)[:4]}")
    return peft_model


def touched_modules(peft_model: PeftModel, name: str) -> set[str]:
    """Names, within BLIP-2, of the modules that carry LoRA weights of adapter `name`."""
    return {
        module.removeprefix(_PREFIX)
        for module, layer in peft_model.named_modules()
        if name in getattr(layer, "lora_A", ()) and module.startswith(_PREFIX)
    }


def save_adapter(
    peft_model: PeftModel,
    directory: Path,
    *,
    base_directory: Path,
    name: str,
    metrics: Mapping[str, Any],
    data_sha256: str = "",
    base_name: str = "",
    adapter_name: str = "default",
) -> None:
    """Write an adapter directory: peft's files and nav_vlm.json, the whole directory or nothing.

    The path of the base that peft would write is this machine's; what is written is relative, or only a name.
    """
    base_name = base_name or _base_name(base_directory)
    with _replacing(directory) as partial:
        # save_embedding_layers: "auto" may ask the hub for the base's vocabulary size.
        peft_model.save_pretrained(str(partial), selected_adapters=[adapter_name], save_embedding_layers=False)
        if adapter_name != "default":
            for path in list((partial / adapter_name).iterdir()):
                path.rename(partial / path.name)
            (partial / adapter_name).rmdir()
        (partial / "README.md").unlink(missing_ok=True)  # peft's model card is a form with nothing filled in
        config = read_json(partial / ADAPTER_CONFIG, "the adapter's configuration")
        inside = base_directory.resolve() in directory.resolve().parents
        relative = os.path.relpath(base_directory.resolve(), directory.resolve())
        config["base_model_name_or_path"] = relative if inside else base_name
        write_json(partial / ADAPTER_CONFIG, config)
        card = {
            "name": name,
            "base": base_name,
            "base_sha256": model_sha256(model_weights(base_directory)),
            "prompt": PROMPT_TEMPLATE,
            "metrics": finite(metrics),
            "data_sha256": data_sha256,
        }
        write_json(partial / CARD, card)


def load_adapter(
    model: Any, card: AdapterCard, name: str, base_sha256: str, *, several_pictures: bool = False
) -> tuple[PeftModel, frozenset[str]]:
    """Put a saved adapter on `model` (a Blip2ForConditionalGeneration, or the PeftModel around it) under `name`.

    several_pictures: whether it will be shown as many at a time as it was trained on, and not only one.
    Returns the PeftModel, frozen, and the components of BLIP-2 that the adapter touches.
    Raises UserError if the adapter is for another base, incomplete, not LoRA, or in need of more pictures.
    """
    from peft import PeftModel

    if card.frames > 1 and not several_pictures:
        raise UserError(
            f"adapter {card.directory} looks at {card.frames} pictures at a time, and here it would see one: use one "
            "that was trained on single pictures (`nav-vlm-train evaluate` can show it several)"
        )
    if card.base_sha256 != base_sha256:
        raise UserError(
            f"adapter {card.directory} is for the base {card.base or 'unknown'} {card.base_sha256[:12]}, not for this "
            f"model {base_sha256[:12]}: use the model that it was trained on, or train it again"
        )
    if not re.fullmatch(r"[A-Za-z0-9_-]+", name) or name == "default":
        raise UserError(f"adapter name {name!r} does not do: use letters, digits, - and _, and not 'default'")
    wrapped = isinstance(model, PeftModel)
    modules = _checked_modules(card, model.get_base_model() if wrapped else model)
    options = {"adapter_name": name, "is_trainable": False, "local_files_only": True}
    try:
        with quiet():
            if wrapped:
                model.load_adapter(str(card.directory), **options)
            peft_model = model if wrapped else PeftModel.from_pretrained(model, str(card.directory), **options)
    except Exception as error:  # safetensors and peft raise types of their own
        raise UserError(f"adapter {card.directory} does not load: {one_line(error)}") from None
    if touched_modules(peft_model, name) != modules:
        raise UserError(
            f"{card.directory / ADAPTER_CONFIG} names other modules than the weights are for: save the adapter again"
        )
    peft_model.requires_grad_(False)
    peft_model.eval()
    return peft_model, frozenset(module.split(".")[0] for module in modules)


def merge_adapter(model: Path, adapter: Path, out: Path, *, dtype: str = "float32") -> None:
    """Write to `out` the model at `model` with the adapter at `adapter` merged in: one model, no peft needed.

    Merged in float32 on the CPU and cast once: adding in bfloat16 loses much of a small LoRA. Raises UserError.
    """
    import torch

    from nav_vlm_node.vlm.card import read_adapter_card, read_model_card
    from nav_vlm_node.vlm.load import load_model

    card, adapter_card = read_model_card(model), read_adapter_card(adapter)
    loaded = load_model(card, "cpu", torch.float32)
    peft_model: Any = load_adapter(loaded, adapter_card, "merged", model_sha256(card.weights))[0]
    merged = peft_model.merge_and_unload(safe_merge=True).to(getattr(torch, dtype))
    with _replacing(out) as partial:
        with quiet():
            merged.save_pretrained(str(partial))
        for path in model.iterdir():
            kept = path.suffix in (".json", ".model", ".txt") and path.name not in (CARD, WEIGHTS_INDEX)
            if path.is_file() and kept and not (partial / path.name).exists():
                shutil.copyfile(path, partial / path.name)
        name = f"{card.name}-{adapter_card.name}"
        write_json(partial / CARD, {"name": name, "view": card.view.to_json(), "prompt": card.prompt, "adapters": []})


def _checked_modules(card: AdapterCard, model: Any) -> set[str]:
    """The modules that an adapter's weights are for, each there in the model and of the right shape."""
    import torch

    config = read_json(card.directory / ADAPTER_CONFIG, "the adapter's configuration")
    if config.get("peft_type") != "LORA":
        raise UserError(f"adapter {card.directory} is {config.get('peft_type')}, not LORA: train a LoRA adapter")
    # peft drops parameters named in modules_to_save, query_tokens for one, without a word.
    if more := [name for name in _MORE_THAN_LORA if config.get(name)]:
        raise UserError(f"adapter {card.directory} uses {more[0]} ({config[more[0]]}): only LoRA is supported")
    if (initial := config.get("init_lora_weights", True)) not in _INITIAL_WEIGHTS:
        raise UserError(
            f"adapter {card.directory} changes the base's own weights (init_lora_weights {initial!r}): save it as "
            "plain LoRA, with peft's path_initial_model_for_weight_conversion"
        )
    header = check_safetensors(card.directory / ADAPTER_WEIGHTS)
    linear = {name: layer for name, layer in model.named_modules() if isinstance(layer, torch.nn.Linear)}
    halves: dict[str, set[str]] = {}
    for key, tensor in header.items():
        match = _LORA_KEY.fullmatch(key)
        if match is None:
            raise UserError(
                f"adapter {card.directory} holds {key}, which is not LoRA on a linear layer: train it again"
            )
        module, half = match["module"], match["half"]
        # A model that carries an adapter already has the plain layer one level down.
        layer = linear.get(module) or linear.get(module + ".base_layer")
        if layer is None:
            raise UserError(f"adapter {card.directory} is for {module}, which this model does not have: check the base")
        shape = tensor["shape"]
        size = shape[1 if half == "A" else 0] if len(shape) == 2 else None
        if size != (layer.in_features if half == "A" else layer.out_features):
            raise UserError(f"adapter {card.directory} has another size at {module} than this model: check the base")
        halves.setdefault(module, set()).add(half)
    if not halves or any(half != {"A", "B"} for half in halves.values()):
        raise UserError(f"adapter {card.directory} is incomplete: copy it again")
    return set(halves)


def _base_name(directory: Path) -> str:
    if (directory / CARD).exists():
        return str(read_json(directory / CARD, "the model's card").get("name") or directory.resolve().name)
    return directory.resolve().name


@contextmanager
def _replacing(directory: Path) -> Iterator[Path]:
    """An empty directory that takes the place of `directory` at the end, or leaves no trace."""
    partial = directory.with_name(f".{directory.name}.partial")
    shutil.rmtree(partial, ignore_errors=True)
    partial.mkdir(parents=True)
    try:
        yield partial
        old = directory.with_name(f".{directory.name}.old")
        shutil.rmtree(old, ignore_errors=True)
        if directory.exists():
            directory.rename(old)
        partial.rename(directory)
        shutil.rmtree(old, ignore_errors=True)
    finally:
        shutil.rmtree(partial, ignore_errors=True)
