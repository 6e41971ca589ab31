"""Pictures to pixel_values, the same in training and in the node.

transformers' image processor resizes with torchvision where it is installed and with PIL where it is not, with other
numbers. Here it is always PIL's bicubic, and in the usual case, a view as large as the model's picture, no resize.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from nav_vlm_node.errors import UserError
from nav_vlm_node.vlm.card import read_json

if TYPE_CHECKING:
    import torch

CLIP_MEAN = (0.48145466, 0.4578275, 0.40821073)  # OPENAI_CLIP_MEAN, OPENAI_CLIP_STD of transformers
CLIP_STD = (0.26862954, 0.26130258, 0.27577711)


@dataclass(frozen=True, kw_only=True)
class Preprocessor:
    """width, height: of the model's picture, pixels. mean, std: per RGB channel, of values in 0..1."""

    width: int
    height: int
    mean: tuple[float, float, float] = CLIP_MEAN
    std: tuple[float, float, float] = CLIP_STD

    @classmethod
    def from_directory(cls, directory: Path, image_size: int) -> Preprocessor:
        """From processor_config.json or preprocessor_config.json; image_size is the vision model's.

        Raises UserError where the files ask for something else than resize, rescale by 1/255 and normalise.
        """
        data: dict[str, Any] = {}
        if (directory / "processor_config.json").exists():  # transformers 5; with 4 it lacks the image part
            data = read_json(directory / "processor_config.json", "the processor").get("image_processor", {})
        if not data and (directory / "preprocessor_config.json").exists():
            data = read_json(directory / "preprocessor_config.json", "the image processor")
        if not data:
            raise UserError(f"{directory} has no preprocessor_config.json: save the processor there (save_pretrained)")
        try:
            return cls._checked(data, directory, image_size)
        except (AttributeError, TypeError) as error:
            raise UserError(f"the image processor in {directory} is not understood ({error}): save it again") from None

    @classmethod
    def _checked(cls, data: Any, directory: Path, image_size: int) -> Preprocessor:
        size = data.get("size", {})
        if (size.get("width"), size.get("height")) != (image_size, image_size):
            raise UserError(
                f"the image processor in {directory} makes {size}, the model wants {image_size}: correct it"
            )
        flags = [data.get(key, True) for key in ("do_resize", "do_rescale", "do_normalize")]
        if not all(flags) or abs(data.get("rescale_factor", 1 / 255) * 255 - 1) > 1e-6 or data.get("resample", 3) != 3:
            raise UserError(f"the image processor in {directory} is not BLIP's (resize bicubic, 1/255, normalise)")
        mean, std = data.get("image_mean", CLIP_MEAN), data.get("image_std", CLIP_STD)
        if len(mean) != 3 or len(std) != 3 or not all(value > 0 for value in std) or not all(map(math.isfinite, mean)):
            raise UserError(f"the image processor in {directory} has no three-channel image_mean and image_std")
        return cls(width=image_size, height=image_size, mean=tuple(mean), std=tuple(std))

    def __call__(
        self, images: npt.NDArray[np.uint8] | Sequence[npt.NDArray[np.uint8]], device: torch.device | str = "cpu"
    ) -> torch.Tensor:
        """uint8 RGB [B, H, W, 3] to float32 pixel_values [B, 3, height, width] on `device`.

        The bytes are what crosses to the device; normalising happens there.
        """
        import torch

        sized = [self.resize(image) for image in images]
        # One image is not copied, unless torch could not hold it.
        batch = np.require(sized[0], requirements=("C", "W"))[None] if len(sized) == 1 else np.stack(sized)
        pixels = torch.from_numpy(batch).to(device).permute(0, 3, 1, 2).to(torch.float32)
        mean = torch.tensor(self.mean, device=device).view(1, 3, 1, 1)
        std = torch.tensor(self.std, device=device).view(1, 3, 1, 1)
        return pixels.mul(1 / 255).sub(mean).div(std)

    def resize(self, image: npt.NDArray[np.uint8]) -> npt.NDArray[np.uint8]:
        """uint8 [H, W, 3] to uint8 [height, width, 3]; the same array where the size is right already."""
        if image.shape == (self.height, self.width, 3):
            return image
        from PIL import Image

        resized = Image.fromarray(image).resize((self.width, self.height), Image.Resampling.BICUBIC)
        return np.asarray(resized, dtype=np.uint8)
