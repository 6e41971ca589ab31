"""LoRA adapters: on the modules meant, saved whole, refused where they do not belong, merged without loss."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from peft import PeftModel
from safetensors.torch import load_file, save_file
from transformers import Blip2ForConditionalGeneration

from nav_vlm_node.errors import UserError
from nav_vlm_node.vlm.adapters import attach_new, merge_adapter, save_adapter, touched_modules
from nav_vlm_node.vlm.card import model_sha256, model_weights, read_adapter_card
from nav_vlm_node.vlm.load import load_engine
from tests.nav_vlm_node.vlm.conftest import picture
from tests.nav_vlm_node.vlm.test_load import rewrite_header
from tests.tiny_models import make_tiny_adapter, make_tiny_blip2

Copied = Callable[[str], Path]
QUERY = "Where is the exit?"


def answer(model: Path, adapter: str = "default") -> str:
    engine = load_engine(model, adapter=adapter, device="cpu")
    return engine.generate_batch([engine.encode(picture(0))], [QUERY], max_new_tokens=16)[0][0]


def refused(model: Path, adapter: str = "default") -> str:
    with pytest.raises(UserError) as caught:
        load_engine(model, adapter=adapter, device="cpu")
    assert "\n" not in str(caught.value)
    return str(caught.value)


def blip2(model: Path) -> Any:
    return Blip2ForConditionalGeneration.from_pretrained(model)


def edit(path: Path, **changes: Any) -> None:
    path.write_text(json.dumps({**json.loads(path.read_text()), **changes}))


def test_card(tiny: Path) -> None:
    directory = tiny / "adapters" / "guide"
    card = read_adapter_card(directory)
    assert card.name == "guide"
    assert card.base.startswith("tiny-")
    assert card.base_sha256 == model_sha256(model_weights(tiny))
    assert card.metrics == {"direction_accuracy": 0.5}
    assert {path.name for path in directory.iterdir()} == {
        "adapter_config.json",
        "adapter_model.safetensors",
        "nav_vlm.json",
    }
    assert json.loads((directory / "adapter_config.json").read_text())["base_model_name_or_path"] == "../.."


def test_no_path_of_this_machine_is_saved(tiny_models: dict[str, Path], tmp_path: Path) -> None:
    peft_model = attach_new(blip2(tiny_models["t5"]))
    save_adapter(peft_model, tmp_path / "far" / "away", base_directory=tiny_models["t5"], name="a", metrics={})
    for path in (tmp_path / "far" / "away").glob("*.json"):
        assert str(tmp_path) not in path.read_text()
        assert str(tiny_models["t5"]) not in path.read_text()
    assert [path.name for path in (tmp_path / "far").iterdir()] == ["away"]


def test_saving_replaces_the_whole_directory_or_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    model = make_tiny_blip2(tmp_path / "m", with_adapter=True)
    directory = model / "adapters" / "guide"
    before = {path.name: path.read_bytes() for path in directory.iterdir()}
    peft_model = attach_new(blip2(model))

    def broken(*args: Any, **kwargs: Any) -> None:
        (Path(args[0]) / "half").touch()
        raise OSError("disk full")

    with monkeypatch.context() as patch:
        patch.setattr(peft_model, "save_pretrained", broken)
        with pytest.raises(OSError, match="disk full"):
            save_adapter(peft_model, directory, base_directory=model, name="guide", metrics={})
    assert {path.name: path.read_bytes() for path in directory.iterdir()} == before
    save_adapter(peft_model, directory, base_directory=model, name="new", metrics={"a": float("nan")})
    assert read_adapter_card(directory).name == "new"
    assert read_adapter_card(directory).metrics == {"a": None}
    assert [path.name for path in directory.parent.iterdir()] == ["guide"]


def test_adapter_changes_answers_and_base_is_untouched(tmp_path: Path) -> None:
    model = make_tiny_blip2(tmp_path / "m", "t5")
    plain = answer(model)
    make_tiny_adapter(model, "guide")
    edit(model / "nav_vlm.json", adapters=["adapters/guide"], default_adapter="guide")
    assert answer(model) != plain
    assert answer(model, "") == plain


def test_two_adapters_are_switched_not_mixed(tmp_path: Path) -> None:
    model = make_tiny_blip2(tmp_path / "m", "opt", with_adapter=True)
    make_tiny_adapter(model, "other", seed=7)
    edit(model / "nav_vlm.json", adapters=["adapters/guide", "adapters/other"])
    engine = load_engine(model, device="cpu")
    assert engine.info.adapters == ("guide", "other")
    visual = engine.encode(picture(0))
    for name in ("other", "guide", "", "other"):
        engine.set_adapter(name)
        text = engine.generate_batch([visual], [QUERY], max_new_tokens=16)[0][0]
        shutil.rmtree(tmp_path / "one", ignore_errors=True)
        alone = Path(shutil.copytree(model, tmp_path / "one"))
        edit(alone / "nav_vlm.json", adapters=[f"adapters/{name}"] if name else [], default_adapter=name)
        assert text == answer(alone)
    with pytest.raises(UserError, match="no adapter 'third': there are guide, other"):
        engine.set_adapter("third")


def test_adapter_of_another_base(tmp_path: Path) -> None:
    one = make_tiny_blip2(tmp_path / "one", "t5", with_adapter=True)
    two = make_tiny_blip2(tmp_path / "two", "t5", seed=5)
    message = refused(two, str(one / "adapters" / "guide"))
    assert "is for the base tiny-t5" in message
    assert "use the model that it was trained on" in message


def test_adapter_of_another_language_model(tiny_models: dict[str, Path], copied: Copied) -> None:
    """Even if its card lies about the base."""
    t5 = copied("t5")
    guide = t5 / "adapters" / "guide"
    card = json.loads((guide / "nav_vlm.json").read_text())
    shutil.rmtree(guide)
    shutil.copytree(tiny_models["opt"] / "adapters" / "guide", guide)
    edit(guide / "nav_vlm.json", base_sha256=card["base_sha256"])
    assert "which this model does not have" in refused(t5)


def test_missing_and_damaged_files(copied: Copied) -> None:
    model = copied("t5")
    guide = model / "adapters" / "guide"
    for name in ("nav_vlm.json", "adapter_config.json", "adapter_model.safetensors"):
        whole = (guide / name).read_bytes()
        (guide / name).unlink()
        assert f"{name} is missing" in refused(model)
        (guide / name).write_bytes(whole[: len(whole) // 2])
        refused(model)
        (guide / name).write_bytes(whole)
    (guide / "nav_vlm.json").rename(model / "kept")
    assert '{"base_sha256": the sha256sum of the model.safetensors' in refused(model)
    (model / "kept").rename(guide / "nav_vlm.json")
    (guide / "adapter_model.safetensors").rename(guide / "adapter_model.bin")
    assert "is a pickle" in refused(model)
    shutil.rmtree(guide)
    assert "no adapter directory" in refused(model)


@pytest.mark.parametrize("lost", ["lora_A", "lora_B"])
def test_half_an_adapter(copied: Copied, lost: str) -> None:
    model = copied("t5")
    path = model / "adapters" / "guide" / "adapter_model.safetensors"
    tensors = load_file(path)
    del tensors[next(key for key in tensors if lost in key)]
    save_file(tensors, path)
    assert "incomplete" in refused(model)


def test_wrong_rank_and_size(copied: Copied) -> None:
    model = copied("t5")
    path = model / "adapters" / "guide" / "adapter_model.safetensors"
    tensors = load_file(path)
    key = next(iter(tensors))
    wide = torch.zeros(tensors[key].shape[0], tensors[key].shape[1] + 1)
    save_file({**tensors, key: wide}, path)
    assert "another size" in refused(model) or "does not load" in refused(model)
    save_file(tensors, path)
    edit(path.with_name("adapter_config.json"), r=5)
    assert "does not load: size mismatch for" in refused(model)
    edit(path.with_name("adapter_config.json"), r=2)
    save_file({**tensors, key: tensors[key].flatten()}, path)
    assert "another size" in refused(model)
    save_file(tensors, path)
    rewrite_header(path, dtype="F99")
    assert "does not load: SafetensorError" in refused(model)


def test_not_lora(copied: Copied) -> None:
    model = copied("t5")
    path = model / "adapters" / "guide" / "adapter_config.json"
    edit(path, peft_type="IA3")
    assert "is IA3, not LORA" in refused(model)
    edit(path, peft_type="LORA", modules_to_save=["query_tokens"])
    assert "only LoRA is supported" in refused(model)


@pytest.mark.parametrize("initial", ["pissa", "olora"])
def test_adapter_that_changes_the_base(copied: Copied, initial: str) -> None:
    """peft takes the base's weights apart when it loads one: "" and every other adapter would be another model."""
    model = copied("t5")
    guide = model / "adapters" / "guide"
    edit(guide / "adapter_config.json", init_lora_weights=initial)
    loaded = blip2(model)
    layer = loaded.language_model.decoder.block[0].layer[0].SelfAttention.q
    before = layer.weight.clone()
    PeftModel.from_pretrained(loaded, str(guide))
    assert not torch.equal(layer.weight, before)
    assert f"changes the base's own weights (init_lora_weights '{initial}')" in refused(model)


@pytest.mark.parametrize(
    "more", [{"alora_invocation_tokens": [5, 6]}, {"use_dora": True}, {"trainable_token_indices": [5]}]
)
def test_more_than_lora(copied: Copied, more: dict[str, Any]) -> None:
    """Of an activated LoRA the weights look the same, and nothing here would activate it."""
    model = copied("t5")
    edit(model / "adapters" / "guide" / "adapter_config.json", **more)
    assert f"uses {next(iter(more))}" in refused(model)


def test_adapter_of_another_peft(copied: Copied) -> None:
    """Keys that this one does not know, another base's path, a task: the same answers."""
    model = copied("t5")
    before = answer(model)
    path = model / "adapters" / "guide" / "adapter_config.json"
    edit(
        path, base_model_name_or_path="Salesforce/blip2-flan-t5-xl", revision="main", task_type="SEQ_2_SEQ_LM",
        inference_mode=False, init_lora_weights="gaussian", a_key_of_tomorrow={"a": 1}, peft_version="9.9",
    )  # fmt: skip
    assert answer(model) == before
    old = {"alpha_pattern", "rank_pattern", "auto_mapping", "use_rslora", "use_dora", "init_lora_weights"}
    config = json.loads(path.read_text())
    path.write_text(json.dumps({key: value for key, value in config.items() if key not in old}))
    assert answer(model) == before


def test_config_that_names_fewer_modules_than_the_file(copied: Copied) -> None:
    """peft would load half of it without a word."""
    model = copied("t5")
    path = model / "adapters" / "guide" / "adapter_config.json"
    edit(path, target_modules=r"language_model\..*\.q")
    assert "names other modules than the weights are for" in refused(model)


def test_name_that_cannot_be_one(copied: Copied, tmp_path: Path) -> None:
    model = copied("t5")
    for name in ("a.b", "default"):
        path = Path(shutil.copytree(model / "adapters" / "guide", tmp_path / name))
        assert "does not do" in refused(model, str(path))


def test_targets_of_other_components(tiny_models: dict[str, Path]) -> None:
    peft_model = attach_new(
        blip2(tiny_models["opt"]), targets={"qformer": ("query", "value"), "vision_model": ("fc1",)}
    )
    touched = touched_modules(peft_model, "default")
    assert touched
    assert {name.split(".")[0] for name in touched} == {"qformer", "vision_model"}
    assert {name.split(".")[-1] for name in touched} == {"query", "value", "fc1"}
    with pytest.raises(ValueError, match="no module"):
        attach_new(blip2(tiny_models["t5"]), targets={"language_model": ("q_proj",)})


def test_vision_adapter_needs_its_own_encoding(tmp_path: Path) -> None:
    """Visual tokens made without an adapter that touches the Q-Former are not used with it."""
    from nav_vlm_node.vlm.protocol import VisualTokensExpired

    model = make_tiny_blip2(tmp_path / "m", "t5", with_adapter=True)
    peft_model = attach_new(blip2(model), targets={"qformer": ("query", "value")})
    with torch.no_grad():
        for name, parameter in peft_model.named_parameters():
            if "lora_B" in name:
                parameter.fill_(0.5)
    save_adapter(peft_model, model / "adapters" / "eyes", base_directory=model, name="eyes", metrics={})
    edit(model / "nav_vlm.json", adapters=["adapters/guide", "adapters/eyes"])
    engine = load_engine(model, device="cpu")
    under_guide = engine.encode(picture(0))
    engine.set_adapter("")
    next(iter(engine.stream(under_guide, QUERY)))  # guide leaves the vision side alone
    engine.set_adapter("eyes")
    with pytest.raises(VisualTokensExpired):
        engine.stream(under_guide, QUERY)
    under_eyes = engine.encode(picture(0))
    assert not torch.equal(under_eyes.embeds, under_guide.embeds)
    next(iter(engine.stream(under_eyes, QUERY)))
    engine.set_adapter("guide")
    with pytest.raises(VisualTokensExpired):
        engine.stream(under_eyes, QUERY)
    assert torch.equal(engine.encode(picture(0)).embeds, under_guide.embeds)


@pytest.mark.parametrize("language", ["t5", "opt"])
def test_merged_model_answers_the_same(copied: Copied, language: str, tmp_path: Path) -> None:
    model = copied(language)
    out = tmp_path / "merged"
    merge_adapter(model, model / "adapters" / "guide", out)
    assert answer(out) == answer(model)
    assert answer(out) != answer(model, "")
    engine = load_engine(out, device="cpu")
    assert engine.info.model == f"tiny-{language}-guide"
    assert engine.info.adapters == ()
    assert not isinstance(engine._model, PeftModel)
    assert not any("lora" in name for name, _ in engine._model.named_parameters())
    assert not list(tmp_path.glob(".merged*"))
    assert not (out / "adapters").exists()


def test_loaded_adapters_are_frozen(tiny: Path) -> None:
    engine = load_engine(tiny, device="cpu")
    for name in ("", "guide"):
        engine.set_adapter(name)
        list(engine.stream(engine.encode(picture(0)), QUERY, max_new_tokens=2))
        assert not any(parameter.requires_grad for parameter in engine._model.parameters())
        assert not any(module.training for module in engine._model.modules())
