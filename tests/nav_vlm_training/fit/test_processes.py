"""Two processes are one with the doubled batch. Real ones, over gloo, as torchrun starts them."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from nav_vlm_node.errors import UserError
from nav_vlm_training.fit.checkpoint import BEST
from nav_vlm_training.fit.loop import fit
from nav_vlm_training.fit.processes import Processes
from nav_vlm_training.fit.setup import FitPlan
from tests.nav_vlm_training.fit.conftest import Planned
from tests.nav_vlm_training.fit.test_loop import events, state

PROGRAM = """
import sys, torch
from torch import distributed
from nav_vlm_training import cli
distributed.init_process_group("gloo", init_method="file://" + sys.argv[1], rank={rank}, world_size=2)
from nav_vlm_training.fit import processes
processes.distributed.init_process_group = lambda backend: None  # it is there; env:// would need a free port
sys.exit(cli.main(sys.argv[2:]))
"""


def command_of(plan: FitPlan) -> list[str]:
    words = ["fit", "--data", str(plan.data), "--run", str(plan.run), "--model", str(plan.model), "--device", "cpu"]
    for name, value in vars(plan.config).items():
        if isinstance(value, bool):
            words += [f"--{name}"] * value
        elif value is not None and not (value == 0 and name in ("rank", "alpha")):
            words += [f"--{name.replace('_', '-')}", str(value)]
    return words


def run_two(plan: FitPlan, tmp_path: Path) -> None:
    environment = {**os.environ, "WORLD_SIZE": "2", "OMP_NUM_THREADS": "1", "CUDA_VISIBLE_DEVICES": ""}
    started = [
        subprocess.Popen(
            [sys.executable, "-c", PROGRAM.format(rank=rank), str(tmp_path / "meeting"), *command_of(plan)],
            env={**environment, "RANK": str(rank), "LOCAL_RANK": str(rank)},
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        )
        for rank in range(2)
    ]  # fmt: skip
    try:
        ends = [process.communicate(timeout=250) for process in started]
    finally:
        for process in started:
            process.kill()
    assert [process.returncode for process in started] == [0, 0], [stderr[-2000:] for _, stderr in ends]
    assert ends[0][0].strip().endswith(plan.run.name)
    assert ends[1][0] == ""  # only the first one tells


@pytest.mark.slow
def test_two_processes_are_one_with_the_doubled_batch(plan: Planned, tmp_path: Path) -> None:
    options = {"model": "t5-still", "dropout": 0.0, "epochs": 2, "mirror": True, "rate": 1e-3, "patience": 0}
    one = plan(run="one", batch=8, micro_batch=8, **options)
    two = plan(run="two", batch=8, micro_batch=4, **options)  # four for each
    fit(one)
    run_two(two, tmp_path)
    updates = zip(events(one.run, "update"), events(two.run, "update"), strict=True)
    for a, b in updates:
        assert (a["step"], a["tokens"]) == (b["step"], b["tokens"])
        assert a["loss"] == pytest.approx(b["loss"], rel=1e-5)
        assert a["gradient"] == pytest.approx(b["gradient"], rel=1e-3)
    for a, b in zip(events(one.run, "evaluation"), events(two.run, "evaluation"), strict=True):
        assert a.pop("loss") == pytest.approx(b.pop("loss"), rel=1e-5)
        assert a == b
    ours, theirs = (state(run)["trained"] for run in (one.run, two.run))
    for name, weights in ours.items():
        torch.testing.assert_close(weights, theirs[name], rtol=1e-2, atol=1e-4)
    assert load_file(two.run / BEST).keys() == ours.keys()
    assert (two.run / "adapter" / "nav_vlm.json").is_file()


def test_a_batch_must_be_shared_out_evenly(plan: Planned, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(
        Processes, "__init__", lambda self, device: self.__dict__.update(rank=0, world=3, device=device)
    )
    with pytest.raises(UserError, match="--batch 8 cannot be shared by 3 processes: give a multiple"):
        fit(plan())


def test_processes_that_do_not_meet_are_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("MASTER_ADDR", "MASTER_PORT"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("WORLD_SIZE", "2")
    monkeypatch.setenv("RANK", "0")
    with pytest.raises(UserError, match=r"the processes do not find each other .*start them with torchrun"):
        Processes(torch.device("cpu"))


def test_one_process_is_alone() -> None:
    alone = Processes(torch.device("cpu"))
    assert (alone.first, alone.world, alone.total(2.5), alone.any(False)) == (True, 1, 2.5, False)
    assert alone.collect(["a", "b"], 2) == ["a", "b"]
