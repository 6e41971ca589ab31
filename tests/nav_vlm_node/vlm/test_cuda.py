"""The engine on a GPU: the same answers, in the types that the GPU has."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from transformers import Blip2ForConditionalGeneration, Blip2Processor

from nav_vlm_node.errors import UserError
from nav_vlm_node.vlm.load import choose_dtype, load_engine
from nav_vlm_node.vlm.prompt import build_prompt
from nav_vlm_node.vlm.supervised import SupervisedEngine
from tests.nav_vlm_node.vlm.conftest import picture

pytestmark = pytest.mark.skipif(not torch.cuda.is_available(), reason="cuda: no CUDA device on this machine")
QUERY = "Where is the exit?"


def answer(engine: Any) -> str:
    return "".join(token.text for token in engine.stream(engine.encode(picture(0)), QUERY, max_new_tokens=16))


@pytest.mark.parametrize("adapter", ["", "guide"])
def test_float32_answers_as_on_the_cpu(tiny: Path, adapter: str) -> None:
    on_cpu = load_engine(tiny, adapter=adapter, device="cpu")
    on_gpu = load_engine(tiny, adapter=adapter, device="cuda", dtype="float32")
    assert on_gpu.info.device.startswith("cuda")
    assert answer(on_gpu) == answer(on_cpu)


def test_auto_is_bfloat16_where_the_gpu_has_it(tiny: Path) -> None:
    engine = load_engine(tiny, adapter="")
    assert engine.info.device.startswith("cuda")
    assert engine._dtype == choose_dtype("auto", torch.device("cuda"))
    processor: Any = Blip2Processor.from_pretrained(tiny)
    model: Any = Blip2ForConditionalGeneration.from_pretrained(tiny, dtype=engine._dtype).eval().cuda()
    inputs = processor(images=picture(0), text=build_prompt(QUERY), return_tensors="pt").to("cuda", engine._dtype)
    ids = model.generate(**inputs, max_new_tokens=16, do_sample=False)[0]
    if model.config.use_decoder_only_language_model:
        ids = ids[inputs["input_ids"].shape[1] :]
    expected = processor.tokenizer.decode(ids, skip_special_tokens=True, clean_up_tokenization_spaces=False)
    assert answer(engine) == expected.lstrip()


def test_float16_is_for_opt_alone(tiny_models: dict[str, Path]) -> None:
    assert load_engine(tiny_models["opt"], adapter="", dtype="float16").info.dtype == "float16"
    with pytest.raises(UserError, match="overflows in T5"):
        load_engine(tiny_models["t5"], dtype="float16")


def test_in_a_process_of_its_own(tiny: Path) -> None:
    engine = SupervisedEngine(tiny, device="cuda", dtype="float32")
    try:
        assert answer(engine) == answer(load_engine(tiny, device="cuda", dtype="float32"))
    finally:
        engine.close()
