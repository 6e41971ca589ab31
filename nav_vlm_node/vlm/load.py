"""From a model directory to an engine. Nothing here touches the network unless `allow_download` is given."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch

from nav_vlm_node.errors import UserError
from nav_vlm_node.vlm.adapters import load_adapter
from nav_vlm_node.vlm.blip2 import Blip2Engine, is_out_of_memory
from nav_vlm_node.vlm.card import (
    ModelCard,
    check_safetensors,
    model_sha256,
    one_line,
    read_adapter_card,
    read_model_card,
)
from nav_vlm_node.vlm.preprocess import Preprocessor
from nav_vlm_node.vlm.protocol import EngineInfo
from nav_vlm_node.vlm.quiet import quiet

if TYPE_CHECKING:
    from transformers import Blip2ForConditionalGeneration, PreTrainedTokenizerBase

DEFAULT_ADAPTER = "default"
DTYPES = {
    "float32": torch.float32,
    "fp32": torch.float32,
    "bfloat16": torch.bfloat16,
    "bf16": torch.bfloat16,
    "float16": torch.float16,
    "fp16": torch.float16,
}
_HEAD, _EMBEDDING = "language_model.lm_head.weight", "language_model.shared.weight"


def load_engine(
    model: str | Path,
    adapter: str = DEFAULT_ADAPTER,
    device: str = "auto",
    dtype: str = "auto",
    *,
    allow_download: bool = False,
    several_pictures: bool = False,
) -> Blip2Engine:
    """Load a model with its adapters into this process.

    model: a directory, or with allow_download the id of a hub repository.
    adapter: "default" (the card's, or none), "" (the base), a name from the card, or an adapter directory.
    device: "auto", "cpu", "cuda", "cuda:1". dtype: "auto" (bfloat16 on a CUDA device that has it, else float32),
    "float32", "bfloat16", "float16" (never with T5, whose activations overflow).
    several_pictures: the caller shows as many pictures at a time as the engine's `frames`; else an adapter that was
    trained on more than one is refused.
    Raises UserError with one line for everything that the user can put right.
    """
    card = read_model_card(model_directory(model, allow_download=allow_download))
    where = choose_device(device)
    number = choose_dtype(dtype, where)
    adapters = dict(card.adapters)
    active = card.default_adapter if adapter == DEFAULT_ADAPTER else adapter
    if active and active not in adapters:
        path = Path(active).expanduser()
        if not path.is_dir():
            names = ", ".join(adapters) or "none"
            raise UserError(f"no adapter {active!r}: the model has {names}; give one of them or an adapter directory")
        active = path.resolve().name
        adapters[active] = path
    adapter_cards = {name: read_adapter_card(path) for name, path in adapters.items()}
    loaded = load_model(card, where, number)
    tokenizer = load_tokenizer(card, loaded)
    preprocessor = Preprocessor.from_directory(card.directory, int(loaded.config.vision_config.image_size))
    peft_model: Any = None
    vision_adapters = set()
    base_sha256 = model_sha256(card.weights) if adapter_cards else ""
    for name, adapter_card in adapter_cards.items():
        peft_model, components = load_adapter(
            peft_model or loaded, adapter_card, name, base_sha256, several_pictures=several_pictures
        )
        if components - {"language_model"}:
            vision_adapters.add(name)
    info = EngineInfo(
        model=card.name,
        adapter=active,
        device=str(where),
        dtype=str(number).removeprefix("torch."),
        view=card.view,
        adapters=tuple(adapters),
    )
    return Blip2Engine(
        loaded, tokenizer, preprocessor, info, peft_model=peft_model, vision_adapters=frozenset(vision_adapters),
        frames={name: adapter_card.frames for name, adapter_card in adapter_cards.items()},
    )  # fmt: skip


def prepare() -> None:
    """Import what loading needs, seconds of work: an engine process does so before it is told what to load."""
    import peft  # noqa: F401
    from transformers import (  # noqa: F401
        AutoTokenizer,
        Blip2ForConditionalGeneration,
        OPTForCausalLM,
        T5ForConditionalGeneration,
    )


def model_directory(model: str | Path, *, allow_download: bool = False) -> Path:
    """The directory of a model; a hub id is fetched only with allow_download. Raises UserError."""
    path = Path(model).expanduser()
    if path.is_dir() or not allow_download:
        return path
    from huggingface_hub import snapshot_download

    try:
        patterns = ["*.json", "*.safetensors", "*.txt", "*.model"]
        return Path(snapshot_download(str(model), allow_patterns=patterns))
    except Exception as error:  # whatever the hub client raises: no such repository, no network, offline mode
        raise UserError(f"model {model} could not be downloaded: {one_line(error)}") from None


def choose_device(device: str) -> torch.device:
    """Raises UserError for a device that is not there."""
    if device == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        chosen = torch.device(device)
    except RuntimeError:
        raise UserError(f"device {device!r} is not known: use auto, cpu, cuda or cuda:N") from None
    if chosen.type not in ("cpu", "cuda"):
        raise UserError(f"device {device!r} is not supported: use auto, cpu, cuda or cuda:N")
    if chosen.type == "cuda" and (chosen.index or 0) >= torch.cuda.device_count():
        raise UserError(f"no CUDA device {device!r} here ({torch.cuda.device_count()} found): use auto or cpu")
    return chosen


def choose_dtype(dtype: str, device: torch.device) -> torch.dtype:
    """Raises UserError for an unknown name, or a type that the device cannot do."""
    if dtype == "auto":
        return torch.bfloat16 if device.type == "cuda" and _has_bf16(device) else torch.float32
    if dtype not in DTYPES:
        raise UserError(f"dtype {dtype!r} is not known: use auto, float32, bfloat16 or float16")
    chosen = DTYPES[dtype]
    if chosen == torch.float16 and device.type == "cpu":
        raise UserError("float16 is not for the CPU: use float32")
    if chosen == torch.bfloat16 and device.type == "cuda" and not _has_bf16(device):
        raise UserError(f"{torch.cuda.get_device_name(device)} has no bfloat16: use float32")
    return chosen


def load_model(card: ModelCard, device: torch.device | str, dtype: torch.dtype) -> Blip2ForConditionalGeneration:
    """The model itself: frozen, in eval mode, every weight from the file. Raises UserError."""
    from transformers import Blip2Config, Blip2ForConditionalGeneration

    try:
        config = Blip2Config.from_pretrained(card.directory, local_files_only=True)
    except Exception as error:  # transformers' validation raises types of its own
        raise UserError(f"{card.directory}/config.json does not load: {one_line(error)}") from None
    if dtype == torch.float16 and not config.use_decoder_only_language_model:
        raise UserError("float16 overflows in T5 and gives gibberish: use bfloat16, or float32")
    if config.image_token_index is None:
        raise UserError(
            f"{card.directory}/config.json has no image_token_index, so the image would have no place in the prompt: "
            "set it to the id of <image> (50265 for the OPT models of the hub, 32100 for the FLAN-T5 ones)"
        )
    with quiet(), _said_in_one_line(card, "memory"):
        model, loading = Blip2ForConditionalGeneration.from_pretrained(
            card.directory,
            config=config,
            dtype=dtype,
            local_files_only=True,
            use_safetensors=True,
            output_loading_info=True,
            ignore_mismatched_sizes=True,  # they are refused below, by name
        )
    # transformers fills what is missing with random numbers and a warning.
    if missing := sorted(loading["missing_keys"]):
        raise UserError(f"the weights in {card.directory} lack {len(missing)} tensors ({missing[0]}): copy it again")
    if other := sorted(str(key[0]) for key in loading["mismatched_keys"]):
        raise UserError(
            f"the weights in {card.directory} have another size than its config.json says at {len(other)} tensors "
            f"({other[0]}): copy both again"
        )
    keep_own_head(model, card)
    model.requires_grad_(False)
    with _said_in_one_line(card, f"memory of {device}"):
        return model.to(device).eval()


@contextmanager
def _said_in_one_line(card: ModelCard, memory: str) -> Iterator[None]:
    """Whatever torch, transformers and safetensors raise, as UserError."""
    try:
        yield
    except Exception as error:  # KeyError, SafetensorError, ...: each has types of its own
        if is_out_of_memory(error):
            raise UserError(
                f"{card.directory} does not fit into the {memory} ({one_line(error)}): free some, or use a smaller "
                "model, dtype bfloat16 or device cpu"
            ) from None
        raise UserError(f"{card.directory} does not load: {one_line(error)}") from None


def keep_own_head(model: Blip2ForConditionalGeneration, card: ModelCard) -> None:
    """Give T5 back the head that its file has, if loading tied it to the embedding.

    FLAN-T5's head is not its embedding although its configuration says so; tied, every answer is nonsense.
    """
    language: Any = model.language_model
    if not hasattr(language, "shared") or language.lm_head.weight is not language.shared.weight:
        return
    tensors: dict[str, torch.Tensor] = {}
    for path in card.weights:
        here = [key for key in (_HEAD, _EMBEDDING) if key in check_safetensors(path)]
        if here:
            from safetensors import safe_open

            with safe_open(path, framework="pt") as file:
                tensors.update({key: file.get_tensor(key) for key in here})
    if len(tensors) == 2 and not torch.equal(tensors[_HEAD], tensors[_EMBEDDING]):
        weight = tensors[_HEAD].to(language.shared.weight.dtype).to(language.shared.weight.device)
        language.lm_head.weight = torch.nn.Parameter(weight, requires_grad=False)


def load_tokenizer(card: ModelCard, model: Blip2ForConditionalGeneration) -> PreTrainedTokenizerBase:
    """The tokenizer, checked to fit the model's vocabulary. Raises UserError."""
    from transformers import AutoTokenizer

    with quiet():
        try:
            tokenizer: PreTrainedTokenizerBase = AutoTokenizer.from_pretrained(
                card.directory, local_files_only=True, trust_remote_code=False
            )
        except Exception as error:  # a damaged tokenizer.json raises a bare Exception
            raise UserError(f"the tokenizer in {card.directory} does not load: {one_line(error)}") from None
    embedding: Any = model.get_input_embeddings()
    rows = int(embedding.weight.shape[0])
    largest = max(len(tokenizer) - 1, int(model.config.image_token_id))
    if largest >= rows:
        # The hub's models have room; resizing would tie T5's head to its embedding.
        raise UserError(f"the tokenizer in {card.directory} needs {largest + 1} embeddings, the model has {rows}")
    return tokenizer


def _has_bf16(device: torch.device) -> bool:
    return torch.cuda.get_device_capability(device) >= (8, 0)
