"""What is said where there is no Ray; with one, see tests/nav_vlm_sim/walks/test_ray.py and test_sweep_ray.py."""

from __future__ import annotations

import importlib.util
import sys
from types import SimpleNamespace
from typing import Any

import pytest

from nav_vlm_node import cluster as cluster_module
from nav_vlm_node.cluster import cluster
from nav_vlm_node.errors import UserError


@pytest.mark.parametrize("address", ["a..b:80", "127.0.0.1:1", "127.0.0.1:99999999", f"{'a' * 70}:80"])
def test_nobody_at_the_address(address: str) -> None:
    with pytest.raises(UserError, match=r"no Ray there .*; start one with: ray start --head"):
        cluster_module._check(address)


def test_ray_that_does_not_start(monkeypatch: pytest.MonkeyPatch) -> None:
    def init(**_: Any) -> None:
        raise RuntimeError

    monkeypatch.setattr(importlib.util, "find_spec", lambda name: object())
    monkeypatch.setitem(sys.modules, "ray", SimpleNamespace(init=init))
    with (
        pytest.raises(UserError, match=r"--ray: no Ray could be started on this machine \(RuntimeError\)"),
        cluster("", 2),
    ):
        pass
