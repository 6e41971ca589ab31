"""Other light: brightness, contrast, white balance and noise, which leave every direction and distance true."""

from __future__ import annotations

from collections.abc import Sequence

import torch

CONTRAST, BRIGHTNESS, WHITE, NOISE = 0.2, 0.25, 0.08, 0.12  # standard deviations, of normalised pixel values


def relit(pixels: torch.Tensor, seeds: Sequence[int]) -> torch.Tensor:
    """Normalised pixel_values [B, 3, H, W] under other light, as perception was trained with.

    seeds: one per picture, so that what happens to a picture does not depend on those beside it.
    """
    return torch.cat([_one(row[None], seed) for row, seed in zip(pixels, seeds, strict=True)])


def _one(pixels: torch.Tensor, seed: int) -> torch.Tensor:
    generator = torch.Generator().manual_seed(seed)

    def normal(*shape: int) -> torch.Tensor:
        return torch.randn(*shape, generator=generator).to(pixels.device)

    lit = pixels * (1 + CONTRAST * normal(1, 1, 1, 1)) + BRIGHTNESS * normal(1, 1, 1, 1) + WHITE * normal(1, 3, 1, 1)
    grain = normal(*pixels.shape)
    return lit + grain * (NOISE * normal(1, 1, 1, 1).abs().clamp(max=1))
