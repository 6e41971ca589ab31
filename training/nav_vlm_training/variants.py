"""What is trained: a named plan for each way of tuning a BLIP-2, and putting it on a model.

A variant says which layers of which component carry LoRA weights, and which of them learn when. Everything else of the
model is frozen. Nothing here imports torch until a plan is put on a model.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from nav_vlm_node.errors import UserError

if TYPE_CHECKING:
    from nav_vlm_node.vlm.adapters import Targets

VISION, QFORMER, LANGUAGE = "vision_model", "qformer", "language_model"
COMPONENTS = (VISION, QFORMER, "query_tokens", "language_projection", LANGUAGE)

# (component, choice) -> last names of the modules, for T5 and for OPT. A name that a model does not have is no mistake:
# T5 has wi_0 and wi_1 where its feed-forward layers are gated, else wi.
_LAYERS: dict[tuple[str, str], tuple[tuple[str, ...], tuple[str, ...]]] = {
    (LANGUAGE, "qv"): (("q", "v"), ("q_proj", "v_proj")),
    (LANGUAGE, "all"): (
        ("q", "k", "v", "o", "wi", "wi_0", "wi_1", "wo"),
        ("q_proj", "k_proj", "v_proj", "out_proj", "fc1", "fc2"),
    ),
    (QFORMER, "all"): (("query", "key", "value", "dense"),) * 2,
    (VISION, "qkv"): (("qkv",),) * 2,
}


@dataclass(frozen=True, kw_only=True)
class Stage:
    """A stretch of training. parts: the components whose weights learn in it. share: of all updates."""

    parts: tuple[str, ...]
    share: float = 1.0


@dataclass(frozen=True, kw_only=True)
class Variant:
    """A way of tuning.

    layers: component -> "qv", "all" or "qkv", the layers that carry LoRA. stages: () where nothing is trained.
    rate_scale: the learning rate is that of the settings times this. frames: pictures per question, three a
    second. shots: solved questions in the prompt. everything: all weights are trained, there is no adapter.
    """

    name: str
    about: str
    layers: Mapping[str, str] = field(default_factory=dict)
    stages: tuple[Stage, ...] = ()
    rank: int = 16
    alpha: int = 32
    dropout: float = 0.05
    rate_scale: float = 1.0
    frames: int = 1
    shots: int = 0
    everything: bool = False

    @property
    def parts(self) -> tuple[str, ...]:
        """The components that learn at some time."""
        return tuple(part for part in COMPONENTS if any(part in stage.parts for stage in self.stages))

    def targets(self, *, decoder_only: bool) -> Targets:
        """Component -> last names of its modules, as `nav_vlm_node.vlm.adapters.attach_new` takes them."""
        return {part: _LAYERS[part, choice][decoder_only] for part, choice in self.layers.items()}


def _variant(name: str, about: str, layers: Mapping[str, str], **options: Any) -> Variant:
    """One that trains all of its parts from beginning to end, unless `stages` says otherwise."""
    return Variant(name=name, about=about, layers=layers, **{"stages": (Stage(parts=tuple(layers)),), **options})


_BOTH = {VISION: "qkv", LANGUAGE: "qv"}
VARIANTS: dict[str, Variant] = {
    variant.name: variant
    for variant in (
        Variant(name="zero_shot", about="the base as it is"),
        Variant(name="few_shot", about="the base as it is, with four solved questions in the prompt", shots=4),
        _variant("lm_only", "LoRA on q and v of the language model: the paper's best", {LANGUAGE: "qv"}),
        _variant("lm_only_all_linear", "LoRA on all linear layers of the language model", {LANGUAGE: "all"}),
        _variant("qformer", "LoRA on the Q-Former's linear layers", {QFORMER: "all"}),
        _variant("lm_qformer", "q and v of the language model, and the Q-Former", {QFORMER: "all", LANGUAGE: "qv"}),
        _variant("vision_only", "LoRA on the vision model's attention (qkv)", {VISION: "qkv"}),
        _variant("joint", "the vision model's attention, and q and v of the language model", _BOTH),
        _variant("joint_low_lr", "joint, at a tenth of the learning rate", _BOTH, rate_scale=0.1),
        # Language first: what the vision side then learns comes through a language model that knows the task, and until
        # then its features can be cached.
        _variant(
            "two_stage", "joint in two stages: the language model's weights, then the vision model's", _BOTH,
            stages=(Stage(parts=(LANGUAGE,), share=0.5), Stage(parts=(VISION,), share=0.5)),
        ),
        Variant(
            name="full", about="all weights of the model, no adapter", everything=True,
            stages=(Stage(parts=COMPONENTS),),
        ),
        _variant("frames_3", "lm_only with three pictures, three a second, newest last", {LANGUAGE: "qv"}, frames=3),
    )
}  # fmt: skip


def variant_of(name: str) -> Variant:
    """Raises UserError for a name that is not there."""
    if name not in VARIANTS:
        raise UserError(f"no variant {name!r}: give one of {', '.join(VARIANTS)}")
    return VARIANTS[name]


def attach(model: Any, variant: Variant) -> Any:
    """Put the plan on `model`, a frozen Blip2ForConditionalGeneration, which is changed in place.

    Returns the PeftModel around it, or `model` itself where the variant has no LoRA. First LoRA weights are drawn from
    torch's global generator. Raises ValueError if LoRA would be on other modules than the plan names.
    """
    if variant.everything:
        return model.requires_grad_(True)
    if not variant.layers:
        return model
    from nav_vlm_node.vlm.adapters import attach_new

    targets = variant.targets(decoder_only=bool(model.config.use_decoder_only_language_model))
    peft_model: Any = attach_new(
        model, rank=variant.rank, alpha=variant.alpha, dropout=variant.dropout, targets=targets
    )
    if set(trained_counts(model)) != set(variant.layers):
        raise ValueError(f"{variant.name} is on {sorted(trained_counts(model))}, not on {sorted(variant.layers)}")
    return peft_model


def trained_counts(model: Any) -> dict[str, int]:
    """Component -> how many of its parameters are trained; components without any are left out.

    model: the Blip2ForConditionalGeneration itself, with or without LoRA in it.
    """
    counts: Counter[str] = Counter()
    for name, parameter in model.named_parameters():
        if parameter.requires_grad:
            counts[name.split(".")[0]] += parameter.numel()
    return {part: counts[part] for part in COMPONENTS if counts[part]}


def describe(variant: Variant, counts: Mapping[str, int]) -> str:
    """One line for the user: what is trained, component by component."""
    if not counts:
        return f"{variant.name}: nothing is trained"
    parts = ", ".join(f"{part} {count:,}" for part, count in counts.items())
    kind = "all weights" if variant.everything else f"LoRA r {variant.rank}, alpha {variant.alpha}"
    return f"{variant.name}: {sum(counts.values()):,} parameters ({kind}): {parts}"
