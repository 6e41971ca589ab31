"""Model directories, good and bad: each bad one is one clear line, and nothing is unpickled or fetched."""

from __future__ import annotations

import json
import os
import pickle
import socket
import struct
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file
from transformers import Blip2ForConditionalGeneration

from nav_vlm_node.errors import UserError
from nav_vlm_node.view import View
from nav_vlm_node.vlm import load
from nav_vlm_node.vlm.card import check_safetensors, read_model_card
from nav_vlm_node.vlm.load import choose_device, choose_dtype, load_engine
from tests.nav_vlm_node.vlm.conftest import picture
from tests.tiny_models import make_tiny_blip2

Copied = Callable[[str], Path]


def refused(model: Path, **options: Any) -> str:
    with pytest.raises(UserError) as caught:
        load_engine(model, device="cpu", **options)
    message = str(caught.value)
    assert "\n" not in message
    return message


def edit(path: Path, **changes: Any) -> None:
    data = json.loads(path.read_text())
    data.update(changes)
    path.write_text(json.dumps({key: value for key, value in data.items() if value != "DELETE"}))


def rewrite_header(path: Path, **changes: Any) -> None:
    """Change the first tensor's entry in a safetensors file."""
    whole = path.read_bytes()
    (length,) = struct.unpack("<Q", whole[:8])
    header = json.loads(whole[8 : 8 + length])
    first = header[next(key for key in header if key != "__metadata__")]
    first.update(changes)
    for key in [key for key, value in first.items() if value == "DELETE"]:
        del first[key]
    text = json.dumps(header).encode()
    path.write_bytes(struct.pack("<Q", len(text)) + text + whole[8 + length :])


def test_card(tiny: Path) -> None:
    card = read_model_card(tiny)
    assert card.name.startswith("tiny-")
    assert card.view == View(projection="squash", width=32, height=32)
    assert list(card.adapters) == ["guide"]
    assert card.default_adapter == "guide"
    assert [path.name for path in card.weights] == ["model.safetensors"]


def test_plain_blip2_without_a_card(tmp_path: Path) -> None:
    engine = load_engine(make_tiny_blip2(tmp_path / "plain", card=False), device="cpu")
    assert engine.info.model == "plain"
    assert engine.info.view == View(projection="squash", width=32, height=32)
    assert engine.info.adapters == ()
    assert not any(parameter.requires_grad for parameter in engine._model.parameters())
    assert next(iter(engine.stream(engine.encode(picture(0)), "?"))).text


def test_adapter_argument(tiny_models: dict[str, Path], monkeypatch: pytest.MonkeyPatch) -> None:
    model = tiny_models["t5"]
    assert load_engine(model, device="cpu").info.adapter == "guide"
    assert load_engine(model, adapter="", device="cpu").info.adapter == ""
    assert load_engine(model, adapter="guide", device="cpu").info.adapter == "guide"
    by_path = load_engine(model, adapter=str(model / "adapters" / "guide"), device="cpu")
    assert by_path.info.adapter == "guide"
    monkeypatch.setenv("HOME", str(model))  # launch files and parameters know no shell
    assert load_engine(model, adapter="~/adapters/guide", device="cpu").info.adapter == "guide"
    assert "no adapter 'poet': the model has guide" in refused(model, adapter="poet")


def test_no_directory(tmp_path: Path) -> None:
    assert "no model directory" in refused(tmp_path / "nothing")
    assert "no model directory" in refused(Path("Salesforce/blip2-flan-t5-xl"))  # a hub id is not fetched
    assert "config.json is missing" in refused(tmp_path)


def test_not_a_blip2(copied: Copied) -> None:
    model = copied("t5")
    edit(model / "config.json", model_type="llava")
    assert "'llava' model, not a BLIP-2" in refused(model)


@pytest.mark.parametrize("name", ["pytorch_model.bin", "model.pt", "weights.pkl", "pytorch_model-00001-of-00002.bin"])
def test_pickle_is_not_opened(copied: Copied, name: str, tmp_path: Path) -> None:
    class Bomb:
        def __reduce__(self) -> Any:
            return os.mkdir, (str(tmp_path / "exploded"),)

    model = copied("t5")
    (model / "model.safetensors").unlink()
    (model / name).write_bytes(pickle.dumps(Bomb()))
    message = refused(model)
    assert "pickle" in message
    assert "convert the weights to safetensors" in message
    assert not (tmp_path / "exploded").exists()


def test_pickle_under_the_name_of_safetensors(copied: Copied) -> None:
    model = copied("t5")
    torch.save({"a": torch.zeros(3)}, model / "model.safetensors")
    assert "damaged or not safetensors" in refused(model)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "damaged"),
        (b"\x00" * 4, "damaged"),
        (struct.pack("<Q", 1 << 60) + b"{}", "damaged"),
        (struct.pack("<Q", 2) + b"[]", "damaged"),
        (struct.pack("<Q", 8) + b'{"a": 1}', "damaged"),
        (b"version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 1\n", "git lfs pull"),
    ],
)
def test_damaged_weights(copied: Copied, content: bytes, message: str) -> None:
    model = copied("t5")
    (model / "model.safetensors").write_bytes(content)
    assert message in refused(model)


def test_truncated_weights(copied: Copied) -> None:
    model = copied("opt")
    path = model / "model.safetensors"
    whole = path.read_bytes()
    for size in (len(whole) - 1, len(whole) // 2, 100):
        path.write_bytes(whole[:size])
        assert "damaged" in refused(model)


def test_missing_tensor_is_not_made_up(copied: Copied) -> None:
    """transformers would fill it with random numbers, and only warn."""
    model = copied("t5")
    tensors = load_file(model / "model.safetensors")
    del tensors["qformer.layernorm.weight"]
    save_file(tensors, model / "model.safetensors", metadata={"format": "pt"})
    assert "lack 1 tensors (qformer.layernorm.weight)" in refused(model)


def test_tensor_of_another_size(copied: Copied) -> None:
    model = copied("t5")
    tensors = load_file(model / "model.safetensors")
    tensors["query_tokens"] = torch.zeros(1, 9, 16)
    save_file(tensors, model / "model.safetensors", metadata={"format": "pt"})
    assert "another size than its config.json says at 1 tensors (query_tokens)" in refused(model)


def test_header_that_safetensors_itself_refuses(copied: Copied) -> None:
    model = copied("t5")
    rewrite_header(model / "model.safetensors", dtype="F99")
    assert "does not load: SafetensorError" in refused(model)
    rewrite_header(model / "model.safetensors", shape="DELETE")
    assert "damaged or not safetensors" in refused(model)


def test_model_that_does_not_fit_into_memory(tiny: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def to(self: Any, device: Any) -> Any:
        raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB.\nmore")

    monkeypatch.setattr(Blip2ForConditionalGeneration, "to", to)
    assert "does not fit into the memory of cpu (CUDA out of memory. Tried to allocate 2.00 GiB.)" in refused(tiny)


def test_damaged_json(copied: Copied) -> None:
    model = copied("t5")
    for name in ("nav_vlm.json", "config.json", "tokenizer.json"):
        path = model / name
        whole = path.read_text()
        path.write_text(whole[: len(whole) // 2])
        assert str(model) in refused(model)
        path.write_text(whole)
    (model / "tokenizer_config.json").unlink()
    assert "no tokenizer_config.json" in refused(model)


def test_card_that_asks_for_something_else(copied: Copied) -> None:
    model = copied("t5")
    path = model / "nav_vlm.json"
    edit(path, prompt="{query}")
    assert "was trained with the prompt" in refused(model)
    edit(path, prompt="Question: {query} Answer:", default_adapter="poet")
    assert "default adapter 'poet'" in refused(model)
    edit(path, default_adapter="", view={"projection": "fisheye"})
    assert "'fisheye'" in refused(model)


@pytest.mark.parametrize(
    "adapters", [None, 1, "adapters/guide", ["adapters/guide", 3], [""], ["adapters/guide", "other/guide"]]
)
def test_card_whose_adapters_are_no_list_of_folders(copied: Copied, adapters: Any) -> None:
    model = copied("t5")
    edit(model / "nav_vlm.json", adapters=adapters, default_adapter="")
    assert "nav_vlm.json has" in refused(model)


@pytest.mark.parametrize(
    "wrong",
    [{"size": 32}, {"rescale_factor": None}, {"image_mean": None}, {"image_mean": ["a", "b", "c"]}, {"image_std": 0.5}],
)
def test_image_processor_that_is_not_understood(copied: Copied, wrong: dict[str, Any]) -> None:
    model = copied("t5")
    path = model / "processor_config.json"
    edit(path, image_processor={**json.loads(path.read_text())["image_processor"], **wrong})
    assert "image processor" in refused(model)


def test_image_token_index_is_needed(copied: Copied) -> None:
    model = copied("t5")
    edit(model / "config.json", image_token_index=None)
    assert "no image_token_index" in refused(model)


def test_tokenizer_of_another_model(copied: Copied) -> None:
    model = copied("t5")
    edit(model / "config.json", image_token_index=10_000)
    assert "needs 10001 embeddings" in refused(model)


def test_float16(tiny_models: dict[str, Path]) -> None:
    model = tiny_models["t5"]
    assert "float16 is not for the CPU" in refused(model, dtype="float16")
    with pytest.raises(UserError, match="overflows in T5"):
        load.load_model(read_model_card(model), "cpu", torch.float16)
    assert "dtype 'int8' is not known" in refused(model, dtype="int8")


def test_half_precision_on_disk_is_float32_on_the_cpu(copied: Copied) -> None:
    """The embedded model ships as float16, to be small."""
    model = copied("t5")
    tensors = {key: tensor.half() for key, tensor in load_file(model / "model.safetensors").items()}
    save_file(tensors, model / "model.safetensors", metadata={"format": "pt"})
    forget_adapters(model)
    engine = load_engine(model, device="cpu")
    assert engine.info.dtype == "float32"
    assert {parameter.dtype for parameter in engine._model.parameters()} == {torch.float32}
    assert list(engine.stream(engine.encode(picture(0)), "?", max_new_tokens=4))


def forget_adapters(model: Path) -> None:
    """Their base is another one now."""
    edit(model / "nav_vlm.json", adapters=[], default_adapter="")


def test_device(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 0)
    assert choose_device("auto") == torch.device("cpu")
    assert choose_dtype("auto", torch.device("cpu")) == torch.float32
    for device, message in [
        ("cuda", "no CUDA device"),
        ("cuda:3", "0 found"),
        ("tpu", "not known"),
        ("meta", "not supp"),
    ]:
        with pytest.raises(UserError, match=message):
            choose_device(device)
    monkeypatch.setattr(torch.cuda, "get_device_name", lambda device: "Tesla T4")
    cuda = torch.device("cuda")
    monkeypatch.setattr(torch.cuda, "get_device_capability", lambda device: (7, 5))
    assert choose_dtype("auto", cuda) == torch.float32
    with pytest.raises(UserError, match="Tesla T4 has no bfloat16"):
        choose_dtype("bf16", cuda)
    monkeypatch.setattr(torch.cuda, "get_device_capability", lambda device: (8, 7))  # Orin
    assert choose_dtype("auto", cuda) == torch.bfloat16


def test_no_network_is_touched(tiny: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def no_network(*args: Any, **kwargs: Any) -> Any:
        raise AssertionError("the network was touched")

    for name in ("HF_HUB_OFFLINE", "TRANSFORMERS_OFFLINE"):
        monkeypatch.delenv(name, raising=False)
    import huggingface_hub.constants

    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", False)
    monkeypatch.setattr(socket.socket, "connect", no_network)
    monkeypatch.setattr(socket, "getaddrinfo", no_network)
    with pytest.raises(AssertionError):  # the trap does catch
        socket.create_connection(("localhost", 9))
    engine = load_engine(tiny, device="cpu")
    assert list(engine.stream(engine.encode(picture(0)), "?", max_new_tokens=2))
    refused(Path("Salesforce/blip2-flan-t5-xl"))


def test_download_only_when_asked(monkeypatch: pytest.MonkeyPatch, tiny_models: dict[str, Path]) -> None:
    import huggingface_hub

    asked: list[str] = []

    def fake(repo_id: str, allow_patterns: list[str]) -> str:
        asked.append(repo_id)
        assert not any(pattern.endswith((".bin", ".pt")) for pattern in allow_patterns)
        return str(tiny_models["t5"])

    monkeypatch.setattr(huggingface_hub, "snapshot_download", fake)
    assert load_engine("some/model", device="cpu", allow_download=True).info.model == "tiny-t5"
    assert asked == ["some/model"]

    def offline(repo_id: str, allow_patterns: list[str]) -> str:
        raise ConnectionError("offline mode is enabled\nand more")

    monkeypatch.setattr(huggingface_hub, "snapshot_download", offline)
    assert "could not be downloaded: offline mode is enabled" in refused(Path("some/model"), allow_download=True)


def test_sharded_weights(copied: Copied) -> None:
    model = copied("t5")
    tensors = load_file(model / "model.safetensors")
    before = load_engine(model, adapter="", device="cpu")
    names = sorted(tensors)
    shards = {"model-00001-of-00002.safetensors": names[::2], "model-00002-of-00002.safetensors": names[1::2]}
    for shard, keys in shards.items():
        save_file({key: tensors[key] for key in keys}, model / shard, metadata={"format": "pt"})
    index = {"metadata": {}, "weight_map": {key: shard for shard, keys in shards.items() for key in keys}}
    (model / "model.safetensors.index.json").write_text(json.dumps(index))
    (model / "model.safetensors").unlink()
    forget_adapters(model)
    after = load_engine(model, device="cpu")
    assert [t.text for t in after.stream(after.encode(picture(0)), "?", max_new_tokens=8)] == [
        t.text for t in before.stream(before.encode(picture(0)), "?", max_new_tokens=8)
    ]
    (model / "model-00002-of-00002.safetensors").unlink()
    assert "model-00002-of-00002.safetensors is missing" in refused(model)


def test_header(tiny: Path) -> None:
    assert set(check_safetensors(tiny / "model.safetensors")) == set(load_file(tiny / "model.safetensors"))
