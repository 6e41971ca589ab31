"""pixel_values against the image processor that trained the models (BlipImageProcessor, PIL backend)."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import transformers

from nav_vlm_node.errors import UserError
from nav_vlm_node.vlm.preprocess import Preprocessor
from tests.nav_vlm_node.vlm.conftest import picture


@pytest.mark.parametrize("shape", [(32, 32), (48, 64), (17, 90), (32, 31), (480, 640)])
def test_equals_the_processor(tiny_models: dict[str, Path], shape: tuple[int, int]) -> None:
    image = np.random.default_rng(0).integers(0, 256, (*shape, 3), np.uint8)
    kind: Any = getattr(transformers, "BlipImageProcessorPil", None) or transformers.BlipImageProcessor
    expected = kind.from_pretrained(tiny_models["t5"])(image, return_tensors="pt")["pixel_values"]
    ours = Preprocessor.from_directory(tiny_models["t5"], 32)([image])
    assert ours.shape == expected.shape == (1, 3, 32, 32)
    torch.testing.assert_close(ours, expected, rtol=0, atol=2e-6)


def test_golden_values() -> None:
    """Numbers written down, so that a change of both sides at once is seen too."""
    image = np.zeros((2, 2, 3), np.uint8)
    image[0, 1] = 255
    image[1, 0] = (255, 0, 128)
    pixels = Preprocessor(width=2, height=2)([image])[0]
    assert pixels[:, 0, 0].tolist() == pytest.approx([-1.7922625, -1.7520971, -1.4802198], abs=1e-6)
    assert pixels[:, 0, 1].tolist() == pytest.approx([1.9303361, 2.0748837, 2.1458970], abs=1e-6)
    assert pixels[:, 1, 0].tolist() == pytest.approx([1.9303361, -1.7520971, 0.3399480], abs=1e-6)


def test_the_mean_colour_is_nothing() -> None:
    """`View.fill`, what the camera does not show, is as near 0 as bytes allow."""
    from nav_vlm_node.view import View

    image = np.full((4, 4, 3), View().fill, np.uint8)
    assert Preprocessor(width=4, height=4)([image]).abs().max() < 0.02


def test_one_image_of_the_right_size_is_not_copied() -> None:
    image = picture(0)
    assert Preprocessor(width=32, height=32).resize(image) is image


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"size": {"height": 64, "width": 64}}, "the model wants 32"),
        ({"do_normalize": False}, "not BLIP's"),
        ({"resample": 0}, "not BLIP's"),
        ({"rescale_factor": 1.0}, "not BLIP's"),
        ({"image_std": [1.0, 1.0, 0.0]}, "three-channel"),
    ],
)
def test_another_preprocessing_is_refused(copied: Callable[[str], Path], change: dict[str, Any], message: str) -> None:
    model = copied("t5")
    path = model / "processor_config.json"
    data = json.loads(path.read_text())
    data["image_processor"].update(change)
    path.write_text(json.dumps(data))
    with pytest.raises(UserError, match=message):
        Preprocessor.from_directory(model, 32)


def test_preprocessor_config_of_transformers_4(copied: Callable[[str], Path]) -> None:
    model = copied("t5")
    path = model / "processor_config.json"
    data = json.loads(path.read_text())
    (model / "preprocessor_config.json").write_text(json.dumps(data.pop("image_processor")))
    path.write_text(json.dumps(data))
    assert Preprocessor.from_directory(model, 32).width == 32
    (model / "preprocessor_config.json").unlink()
    with pytest.raises(UserError, match=r"no preprocessor_config\.json"):
        Preprocessor.from_directory(model, 32)
