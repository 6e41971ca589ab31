from __future__ import annotations

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from nav_vlm_node import paths
from nav_vlm_node.errors import UserError
from nav_vlm_training.vlms.budget import (
    attach_budget,
    language_layers,
    per_rank,
    rank_for,
    usual_parameters,
)
from tests.nav_vlm_training.vlms.conftest import Loaded

LAYERS = {"a": nn.Linear(8, 24, bias=False), "b": nn.Linear(24, 8)}


def test_the_usual_budget_is_what_lm_only_trains_on_the_embedded_base() -> None:
    """q and v of nine attentions of 256, rank 16."""
    assert usual_parameters(paths.embedded_model()) == 9 * 2 * 16 * (256 + 256)


@given(st.integers(1, 100_000))
def test_no_other_rank_comes_nearer(parameters: int) -> None:
    rank = rank_for(LAYERS, parameters)
    off = abs(rank * per_rank(LAYERS) - parameters)
    assert rank >= 1
    assert all(off <= abs(other * per_rank(LAYERS) - parameters) for other in (rank - 1, rank + 1) if other >= 1)


@pytest.mark.parametrize("wanted", [1, 3000, 20_000])
def test_the_budget_is_met_within_a_step_of_rank_on_the_language_model_alone(
    loaded: Loaded, family: str, wanted: int
) -> None:
    other, _ = loaded(family)
    layers = language_layers(other.model)
    rank = rank_for(layers, wanted)
    attach_budget(other.model, layers, rank, 0.05)
    trained = {name: p.numel() for name, p in other.model.named_parameters() if p.requires_grad}
    assert sum(trained.values()) == rank * per_rank(layers)
    assert abs(sum(trained.values()) - wanted) <= max(per_rank(layers) - wanted, per_rank(layers) / 2)
    assert all("lora_" in name for name in trained)
    seen = ("vision", "image", "visual", "qformer", "projector", "projection", "connector", "lm_head")
    assert not [name for name in trained if any(word in name for word in seen)]


def test_all_linear_layers_of_the_language_model_are_meant(loaded: Loaded) -> None:
    other, _ = loaded("llava")
    names = {name.rsplit(".", 1)[-1] for name in language_layers(other.model)}
    assert names == {"q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj"}
    assert len(language_layers(other.model)) == 2 * 7
    other, _ = loaded("git")
    names = set(language_layers(other.model))
    assert len(names) == 2 * 6
    assert all(name.startswith("git.encoder.") for name in names)


def test_a_model_without_language_is_refused() -> None:
    from transformers import ViTConfig, ViTModel

    config = ViTConfig(hidden_size=8, num_hidden_layers=1, num_attention_heads=1, intermediate_size=8, image_size=16)
    with torch.device("meta"):
        model = ViTModel(config)
    model.requires_grad_(False)
    for name, module in list(model.named_modules()):
        if isinstance(module, nn.Linear):
            model.get_submodule(name.rpartition(".")[0]).add_module(name.rpartition(".")[2], nn.Identity())
    with pytest.raises(UserError, match="no linear layer of a language model"):
        language_layers(model)


def test_layers_that_peft_cannot_take_are_no_silent_loss(loaded: Loaded, monkeypatch: pytest.MonkeyPatch) -> None:
    other, _ = loaded("llava")
    layers = language_layers(other.model)
    some = dict(list(layers.items())[:3])
    monkeypatch.setattr("peft.get_peft_model", lambda model, config: model)
    with pytest.raises(ValueError, match="other layers than meant"):
        attach_budget(other.model, some, 2, 0.0)
