from __future__ import annotations

import torch

from nav_vlm_training.augment.photometric import relit
from nav_vlm_training.embedded.pretrain import photometric


def test_it_is_what_perception_learnt_with() -> None:
    pixels = torch.randn(1, 3, 16, 16, generator=torch.Generator().manual_seed(0))
    expected = photometric(pixels.clone(), torch.Generator().manual_seed(7))
    torch.testing.assert_close(relit(pixels, [7]), expected)


def test_a_pictures_light_is_its_own() -> None:
    pixels = torch.randn(3, 3, 8, 8, generator=torch.Generator().manual_seed(0))
    together = relit(pixels, [1, 2, 3])
    assert together[1].equal(relit(pixels[1:2], [2])[0])
    assert not relit(pixels[:1], [1]).equal(relit(pixels[:1], [2]))
    assert together.shape == pixels.shape


def test_nothing_moves() -> None:
    """A bright spot stays the brightest, where it is."""
    pixels = torch.zeros(1, 3, 16, 16)
    pixels[:, :, 3, 12] = 20.0
    for seed in range(20):
        assert int(relit(pixels, [seed]).mean(1).argmax()) == 3 * 16 + 12
