"""Several processes that train one model together, each with a part of every batch; or one, alone.

Started by `torchrun` (or accelerate, which sets the same variables), on one machine or more. The gradients are added
up by one plain all-reduce per update. DistributedDataParallel would average them over processes, where a sum over
tokens is wanted, and would have to be kept from doing so after every part; an adapter's gradients are a few megabytes,
so there is nothing to overlap.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import Any, TypeVar

import torch
from torch import distributed, nn

from nav_vlm_node.errors import UserError

T = TypeVar("T")


class Processes:
    """rank: this one's number; world: how many there are; device: where this one works."""

    def __init__(self, device: torch.device) -> None:
        self.rank = int(os.environ.get("RANK", "0"))
        self.world = int(os.environ.get("WORLD_SIZE", "1"))
        self.device = device
        if self.world == 1:
            return
        if device.type == "cuda":
            self.device = torch.device("cuda", int(os.environ.get("LOCAL_RANK", "0")))
            torch.cuda.set_device(self.device)
        try:
            distributed.init_process_group("nccl" if device.type == "cuda" else "gloo")
        except (ValueError, RuntimeError) as error:
            raise UserError(
                f"the processes do not find each other ({str(error).splitlines()[0]}); start them with torchrun"
            ) from None

    @property
    def first(self) -> bool:
        """Whether this one writes what is kept."""
        return self.rank == 0

    def total(self, value: float) -> float:
        """The sum of a number of each."""
        if self.world == 1:
            return value
        number = torch.tensor(value, dtype=torch.float64, device=self.device)
        distributed.all_reduce(number)
        return float(number)

    def any(self, flag: bool) -> bool:
        """Whether it is so in one of them."""
        return self.total(float(flag)) > 0

    def add_gradients(self, parameters: Sequence[nn.Parameter]) -> None:
        """The gradients of all processes, summed, in each."""
        gradients = [parameter.grad for parameter in parameters if parameter.grad is not None]
        if self.world == 1 or not gradients:
            return
        flat = torch.cat([gradient.flatten().float() for gradient in gradients])
        distributed.all_reduce(flat)
        for gradient, summed in zip(gradients, flat.split([g.numel() for g in gradients]), strict=True):
            gradient.copy_(summed.view_as(gradient))

    def same_weights(self, parameters: Sequence[nn.Parameter]) -> None:
        """The first one's weights, in each."""
        if self.world > 1:
            for parameter in parameters:
                distributed.broadcast(parameter.data, 0)

    def collect(self, own: Sequence[T], count: int) -> list[T]:
        """`count` things of which process r made those of the places r, r + world, ..., all in their order."""
        if self.world == 1:
            return list(own)
        gathered: list[Any] = [None] * self.world
        distributed.all_gather_object(gathered, list(own))
        return [gathered[place % self.world][place // self.world] for place in range(count)]

    def wait(self) -> None:
        """Until all are here."""
        if self.world > 1:
            distributed.barrier()

    def close(self) -> None:
        """At the end, in each."""
        if self.world > 1 and distributed.is_initialized():
            distributed.destroy_process_group()
