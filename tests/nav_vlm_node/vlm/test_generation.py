"""The engine's own loop against transformers' `generate`, and what streaming adds to it."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
import torch
from peft import PeftModel
from transformers import Blip2ForConditionalGeneration, Blip2Processor

from nav_vlm_node.errors import UserError
from nav_vlm_node.vlm import blip2
from nav_vlm_node.vlm.confidence import confidence
from nav_vlm_node.vlm.load import load_engine
from nav_vlm_node.vlm.prompt import build_prompt
from nav_vlm_node.vlm.protocol import (
    Engine,
    EngineCancelled,
    EngineDeadline,
    EngineError,
    EngineOutOfMemory,
    EngineUnavailable,
    VisualTokensExpired,
)

QUERIES = ["Where is the exit?", "How do I get to the nearest chair, please?", "Stairs?", "What is ahead of me?"]
TOKENS = 24


def reference(model: Path, adapter: str, images: list[npt.NDArray[np.uint8]], queries: list[str]) -> list[str]:
    """What transformers and peft make of it, with nothing of ours but the prompt's text."""
    processor: Any = Blip2Processor.from_pretrained(model)
    blip2: Any = Blip2ForConditionalGeneration.from_pretrained(model).eval()
    if adapter:
        blip2 = PeftModel.from_pretrained(blip2, str(model / "adapters" / adapter)).eval()
    inputs = processor(images=images, text=[build_prompt(q) for q in queries], padding=True, return_tensors="pt")
    ids = blip2.generate(**inputs, max_new_tokens=TOKENS, do_sample=False)
    if blip2.config.use_decoder_only_language_model:
        ids = ids[:, inputs["input_ids"].shape[1] :]  # OPT gives the prompt back
    return [
        processor.tokenizer.decode(row, skip_special_tokens=True, clean_up_tokenization_spaces=False).lstrip()
        for row in ids
    ]


@pytest.mark.parametrize("adapter", ["", "guide"])
def test_equals_transformers_generate(tiny: Path, adapter: str, pictures: list[npt.NDArray[np.uint8]]) -> None:
    engine = load_engine(tiny, adapter=adapter, device="cpu")
    ours = [
        "".join(token.text for token in engine.stream(engine.encode(image), query, max_new_tokens=TOKENS))
        for image, query in zip(pictures, QUERIES, strict=True)
    ]
    one_by_one = [reference(tiny, adapter, [i], [q])[0] for i, q in zip(pictures, QUERIES, strict=True)]
    assert ours == one_by_one
    assert ours == reference(tiny, adapter, pictures, QUERIES)  # padded together: the mask is kept
    assert len(set(ours)) == len(ours)


@pytest.mark.parametrize("adapter", ["", "guide"])
def test_batch_equals_one_by_one(tiny: Path, adapter: str, pictures: list[npt.NDArray[np.uint8]]) -> None:
    engine = load_engine(tiny, adapter=adapter, device="cpu")
    batch = engine.generate_batch(engine.encode_batch(pictures), QUERIES, max_new_tokens=TOKENS)
    for (text, together), image, query in zip(batch, pictures, QUERIES, strict=True):
        tokens = list(engine.stream(engine.encode(image), query, max_new_tokens=TOKENS))
        assert text == "".join(token.text for token in tokens)
        assert [token.text for token in together] == [token.text for token in tokens]
        np.testing.assert_allclose([t.probability for t in together], [t.probability for t in tokens], rtol=1e-3)
        assert confidence(together) == pytest.approx(confidence(tokens), rel=1e-3)


def test_probability_is_the_models(tiny: Path, pictures: list[npt.NDArray[np.uint8]]) -> None:
    engine = load_engine(tiny, adapter="", device="cpu")
    first = next(iter(engine.stream(engine.encode(pictures[0]), QUERIES[0])))
    processor: Any = Blip2Processor.from_pretrained(tiny)
    model: Any = Blip2ForConditionalGeneration.from_pretrained(tiny).eval()
    inputs = processor(images=pictures[0], text=build_prompt(QUERIES[0]), return_tensors="pt")
    output = model.generate(**inputs, max_new_tokens=1, output_scores=True, return_dict_in_generate=True)
    expected = torch.softmax(output.scores[0], dim=-1).max()
    assert first.probability == pytest.approx(float(expected), rel=1e-4)


def test_is_an_engine_and_frozen(tiny: Path) -> None:
    engine = load_engine(tiny, device="cpu")
    assert isinstance(engine, Engine)
    assert engine.info.adapter == "guide"
    assert engine.info.adapters == ("guide",)
    assert (engine.info.device, engine.info.dtype) == ("cpu", "float32")
    assert not any(p.requires_grad for p in engine._model.parameters())
    assert not any(module.training for module in engine._model.modules())


def test_one_encoding_serves_many_questions_and_adapters(tiny: Path, pictures: list[npt.NDArray[np.uint8]]) -> None:
    engine = load_engine(tiny, adapter="", device="cpu")
    visual = engine.encode(pictures[0])
    texts: dict[str, str] = {}
    for adapter in ("", "guide", "", "guide"):
        engine.set_adapter(adapter)
        assert engine.info.adapter == adapter
        text = engine.generate_batch([visual], QUERIES[:1], max_new_tokens=TOKENS)[0][0]
        assert texts.setdefault(adapter, text) == text  # switching back and forth changes nothing
    assert texts[""] != texts["guide"]


def test_adapter_of_an_answer_is_the_one_it_began_with(tiny: Path, pictures: list[npt.NDArray[np.uint8]]) -> None:
    engine = load_engine(tiny, adapter="guide", device="cpu")
    visual = engine.encode(pictures[0])
    whole = [t.text for t in engine.stream(visual, QUERIES[0], max_new_tokens=TOKENS)]
    stream = engine.stream(visual, QUERIES[0], max_new_tokens=TOKENS)
    texts = [next(stream).text]
    engine.set_adapter("")
    other = engine.stream(visual, QUERIES[0], max_new_tokens=TOKENS)
    next(other)  # interleaved with another answer under another adapter
    assert texts + [t.text for t in stream] == whole


def test_cancel_stops_at_the_next_token(tiny: Path, pictures: list[npt.NDArray[np.uint8]]) -> None:
    engine = load_engine(tiny, device="cpu")
    cancel = threading.Event()
    stream = engine.stream(engine.encode(pictures[0]), QUERIES[0], cancel=cancel)
    next(stream)
    cancel.set()
    with pytest.raises(EngineCancelled):
        next(stream)
    assert list(engine.stream(engine.encode(pictures[0]), QUERIES[0], max_new_tokens=3))  # and the engine goes on


def test_timeout_is_the_whole_answers(tiny: Path, pictures: list[npt.NDArray[np.uint8]]) -> None:
    engine = load_engine(tiny, device="cpu")
    with pytest.raises(EngineDeadline):
        list(engine.stream(engine.encode(pictures[0]), QUERIES[0], timeout=0.0))
    with pytest.raises(EngineDeadline):
        engine.encode(pictures[0], timeout=0.0)


def test_max_new_tokens(tiny: Path, pictures: list[npt.NDArray[np.uint8]]) -> None:
    engine = load_engine(tiny, device="cpu")
    visual = engine.encode(pictures[0])
    assert len(engine.generate_batch([visual], QUERIES[:1], max_new_tokens=5)[0][1]) <= 5 + 1  # what the last held back


@pytest.mark.parametrize(
    "image",
    [
        np.zeros((33, 32, 3), np.uint8),
        np.zeros((32, 32), np.uint8),
        np.zeros((32, 32, 4), np.uint8),
        np.zeros((32, 32, 3), np.float32),
    ],
)
def test_image_of_another_shape_is_refused(tiny_models: dict[str, Path], image: npt.NDArray[np.uint8]) -> None:
    with pytest.raises(UserError, match="rectify"):
        load_engine(tiny_models["t5"], device="cpu").encode(image)


def test_long_questions_are_refused(tiny: Path, pictures: list[npt.NDArray[np.uint8]]) -> None:
    engine = load_engine(tiny, device="cpu")
    visual = engine.encode(pictures[0])
    for query in ("where " * 300, "x" * 100_000):
        with pytest.raises(UserError, match="too long"):
            engine.stream(visual, query)


def test_opt_refuses_what_its_positions_cannot_hold(
    tiny_models: dict[str, Path], pictures: list[npt.NDArray[np.uint8]]
) -> None:
    engine = load_engine(tiny_models["opt"], device="cpu")
    with pytest.raises(UserError, match="exceed"):
        engine.stream(engine.encode(pictures[0]), QUERIES[0], max_new_tokens=512)


def test_visual_tokens_of_another_engine_are_refused(tiny: Path, pictures: list[npt.NDArray[np.uint8]]) -> None:
    one, two = load_engine(tiny, device="cpu"), load_engine(tiny, device="cpu")
    with pytest.raises(VisualTokensExpired):
        two.stream(one.encode(pictures[0]), QUERIES[0])


def test_closed(tiny: Path, pictures: list[npt.NDArray[np.uint8]]) -> None:
    engine = load_engine(tiny, device="cpu")
    visual = engine.encode(pictures[0])
    stream = engine.stream(visual, QUERIES[0])
    next(stream)
    engine.close()
    engine.close()
    for call in (lambda: next(stream), lambda: engine.stream(visual, ""), lambda: engine.encode(pictures[0])):
        with pytest.raises(EngineUnavailable):
            call()


def test_nan_is_an_error_not_an_answer(tiny: Path, pictures: list[npt.NDArray[np.uint8]]) -> None:
    engine = load_engine(tiny, device="cpu")
    with torch.no_grad():
        engine._model.language_projection.weight[0, 0] = torch.nan
    with pytest.raises(EngineError, match=r"not a number.*copy them again"):
        list(engine.stream(engine.encode(pictures[0]), QUERIES[0]))
    with pytest.raises(EngineError, match="not a number"):
        engine.generate_batch([engine.encode(pictures[0])], ["?"])


@pytest.mark.parametrize("where", ["image_tokens", "prompt_embeds"])
@pytest.mark.parametrize("device", ["cuda", "cpu"])
def test_out_of_memory_is_said_as_such(
    tiny: Path, pictures: list[npt.NDArray[np.uint8]], monkeypatch: pytest.MonkeyPatch, where: str, device: str
) -> None:
    """torch has a type for a device's memory, none for this machine's."""

    def too_much(*args: Any) -> Any:
        if device == "cuda":
            raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB.\nmore")
        return torch.empty(1 << 50)

    engine = load_engine(tiny, device="cpu")
    visual = engine.encode(pictures[0])
    monkeypatch.setattr(blip2, where, too_much)
    with pytest.raises(EngineOutOfMemory, match="out of memory on cpu"):
        engine.encode(pictures[0]) if where == "image_tokens" else next(engine.stream(visual, "?"))


def test_two_threads_get_their_own_answers(tiny: Path, pictures: list[npt.NDArray[np.uint8]]) -> None:
    engine = load_engine(tiny, device="cpu")
    visuals = engine.encode_batch(pictures)
    expected = [text for text, _ in engine.generate_batch(visuals, QUERIES, max_new_tokens=TOKENS)]
    answers: dict[int, str] = {}

    def ask(i: int) -> None:
        answers[i] = "".join(t.text for t in engine.stream(visuals[i], QUERIES[i], max_new_tokens=TOKENS))

    threads = [threading.Thread(target=ask, args=(i,)) for i in range(len(QUERIES))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [answers[i] for i in range(len(QUERIES))] == expected


def test_bf16(tiny: Path, pictures: list[npt.NDArray[np.uint8]]) -> None:
    engine = load_engine(tiny, device="cpu", dtype="bfloat16")
    assert engine.info.dtype == "bfloat16"
    assert {p.dtype for name, p in engine._model.named_parameters() if "lora" not in name} == {torch.bfloat16}
    tokens = list(engine.stream(engine.encode(pictures[0]), QUERIES[0], max_new_tokens=8))
    assert tokens
    assert all(0.0 < token.probability <= 1.0 for token in tokens)
