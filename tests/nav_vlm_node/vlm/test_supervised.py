"""The engine process: what a caller sees when it is slow, hangs, dies, or is left alone."""

from __future__ import annotations

import gc
import hashlib
import os
import queue
import select
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

from nav_vlm_node.errors import UserError
from nav_vlm_node.vlm import supervised as supervised_module
from nav_vlm_node.vlm import worker
from nav_vlm_node.vlm.load import load_engine
from nav_vlm_node.vlm.protocol import (
    Engine,
    EngineCancelled,
    EngineCrashed,
    EngineDeadline,
    EngineError,
    EngineOutOfMemory,
    EngineUnavailable,
    VisualTokensExpired,
)
from nav_vlm_node.vlm.supervised import Limits, SupervisedEngine
from tests.nav_vlm_node.vlm.faults import SIZE

ROOT = str(Path(__file__).parents[3])
FAULTS = "tests.nav_vlm_node.vlm.faults:"
SCRIPTED = "nav_vlm_node.vlm.scripted:scripted_engine"
IMAGE = np.zeros((SIZE, SIZE, 3), np.uint8)
ALL = "one two three four five six"
PATIENCE = 30.0  # seconds that a loaded machine may take for what should be quick

Make = Callable[..., SupervisedEngine]


@pytest.fixture
def make() -> Iterator[Make]:
    """Engines by factory; closed at the end."""
    engines = []

    def make_one(
        factory: str,
        *,
        limits: Limits | None = None,
        python: str | None = None,
        spare: bool = False,
        **arguments: Any,
    ) -> Any:
        limits = limits or Limits(deadline=PATIENCE)
        engine = SupervisedEngine.from_factory(
            factory, arguments, python_path=[ROOT], limits=limits, python=python, spare=spare
        )
        engines.append(engine)
        return engine

    yield make_one
    for engine in engines:
        engine.close()


def ask(engine: SupervisedEngine, query: str = "?", **options: Any) -> str:
    return "".join(token.text for token in engine.stream(engine.encode(IMAGE), query, **options))


def pid_of(engine: SupervisedEngine) -> int:
    pid = engine.status.pid
    assert pid is not None
    return pid


def wait_for_another(engine: SupervisedEngine, before: int) -> bool:
    """Whether another process than `before` is ready in time."""
    end = time.monotonic() + PATIENCE
    while engine.status.pid in (before, None) and time.monotonic() < end:
        threading.Event().wait(0.01)
    return engine.status.state == "ready"


def wait_for_death(pid: int, timeout: float = PATIENCE) -> bool:
    """Whether the process ends in time; it need not be a child of this one."""
    try:
        descriptor = os.pidfd_open(pid)
    except ProcessLookupError:
        return True
    try:
        return bool(select.select([descriptor], [], [], timeout)[0])
    finally:
        os.close(descriptor)


def test_same_answers_as_in_process(tiny: Path, pictures: list[npt.NDArray[np.uint8]]) -> None:
    inside = load_engine(tiny, device="cpu")
    engine = SupervisedEngine(tiny, device="cpu")
    try:
        assert isinstance(engine, Engine)
        assert engine.info == inside.info
        for adapter in ("guide", ""):
            engine.set_adapter(adapter)
            inside.set_adapter(adapter)
            assert engine.info == inside.info
            for picture in pictures:
                ours = list(engine.stream(engine.encode(picture), "Where is the exit?", max_new_tokens=12))
                theirs = list(inside.stream(inside.encode(picture), "Where is the exit?", max_new_tokens=12))
                assert [t.text for t in ours] == [t.text for t in theirs]
                assert [t.probability for t in ours] == pytest.approx([t.probability for t in theirs], rel=1e-4)
        with pytest.raises(UserError, match="too long"):
            list(engine.stream(engine.encode(pictures[0]), "where " * 300))
        with pytest.raises(UserError, match="no adapter 'other': there are guide"):
            engine.set_adapter("other")
    finally:
        engine.close()


def test_killed_in_the_middle_of_an_answer(make: Make) -> None:
    engine = make(SCRIPTED, answers="word " * 1000, delay=0.01)
    stream = engine.stream(engine.encode(IMAGE), "?")
    next(stream)
    before = pid_of(engine)
    os.kill(before, signal.SIGKILL)
    with pytest.raises(EngineCrashed, match="SIGKILL") as caught:
        list(stream)
    assert caught.value.spoken.endswith(".")
    assert engine.wait_ready(PATIENCE)
    assert pid_of(engine) != before
    assert engine.status.restarts == 1
    assert "SIGKILL" in engine.status.cause
    assert next(engine.stream(engine.encode(IMAGE), "?")).text == "word"


def test_spare_process_takes_over(make: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(supervised_module, "SPARE_AFTER", 0.0)
    engine = make(SCRIPTED, answers="well", spare=True)
    end = time.monotonic() + PATIENCE
    while (spare := engine._spare) is None and time.monotonic() < end:
        threading.Event().wait(0.01)
    assert spare is not None
    before = pid_of(engine)
    os.kill(before, signal.SIGKILL)
    assert wait_for_another(engine, before)
    assert pid_of(engine) == spare.pid
    assert ask(engine) == "well"
    while (next_spare := engine._spare) is None and time.monotonic() < end:
        threading.Event().wait(0.01)
    assert next_spare is not None
    pids = [pid_of(engine), next_spare.pid]
    engine.close()
    assert all(wait_for_death(pid, 0.0) for pid in pids)


def test_dead_spare_is_replaced_when_it_is_needed(make: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(supervised_module, "SPARE_AFTER", 0.0)
    engine = make(SCRIPTED, answers="well", spare=True)
    end = time.monotonic() + PATIENCE
    while (spare := engine._spare) is None and time.monotonic() < end:
        threading.Event().wait(0.01)
    assert spare is not None
    spare.kill("the test")
    assert spare.gone.wait(PATIENCE)
    before = pid_of(engine)
    os.kill(before, signal.SIGKILL)
    assert wait_for_another(engine, before)
    assert ask(engine) == "well"


def test_calls_while_it_is_away(make: Make, tmp_path: Path) -> None:
    flag = tmp_path / "flag"
    engine = make(FAULTS + "unless", path=str(flag))
    engine.set_adapter("b")
    visual = engine.encode(IMAGE)
    flag.touch()
    os.kill(pid_of(engine), signal.SIGKILL)
    deadline = time.monotonic() + PATIENCE
    while "in the way" not in engine.status.cause and time.monotonic() < deadline:
        with pytest.raises(EngineError):
            engine.encode(IMAGE)
        threading.Event().wait(0.01)
    with pytest.raises(EngineUnavailable, match=r"restarting.*in the way"):
        engine.stream(visual, "?")
    assert engine.status.state == "restarting"
    flag.unlink()
    assert engine.wait_ready(PATIENCE)
    assert engine.info.adapter == "b"  # as it was before
    with pytest.raises(VisualTokensExpired):
        engine.stream(visual, "?")
    assert ask(engine) == "all well"


def pauses_of(engine: SupervisedEngine, monkeypatch: pytest.MonkeyPatch) -> queue.Queue[float]:
    """The seconds that the engine would wait before each start; it does not."""
    pauses: queue.Queue[float] = queue.Queue()

    def wait(seconds: float) -> bool:
        pauses.put(seconds)
        return engine._closing.is_set()

    monkeypatch.setattr(engine._closing, "wait", wait)
    return pauses


def test_pauses_double_for_a_process_that_does_not_come_up(
    make: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    flag = tmp_path / "flag"
    engine = make(FAULTS + "unless", path=str(flag))
    monkeypatch.setattr(supervised_module, "STEADY", 0.0)  # any that was ready for a moment
    pauses = pauses_of(engine, monkeypatch)
    flag.touch()
    os.kill(pid_of(engine), signal.SIGKILL)
    waited = [pauses.get(timeout=PATIENCE) for _ in range(4)]
    flag.unlink()
    assert waited == pytest.approx([0.1, 0.1, 0.2, 0.4])


def test_a_long_load_is_no_steady_life(make: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    skipped = [0.0]
    come_up = SupervisedEngine._come_up

    def slowly(self: SupervisedEngine, child: Any, began: float) -> bool:
        came_up = come_up(self, child, began)
        skipped[0] += 1000.0
        return came_up

    clock = SimpleNamespace(monotonic=lambda: time.monotonic() + skipped[0])
    monkeypatch.setattr(SupervisedEngine, "_come_up", slowly)
    monkeypatch.setattr(supervised_module, "time", clock)
    engine = make(SCRIPTED, answers="yes", limits=Limits(deadline=PATIENCE, heartbeat=1e9))
    pauses, waited = pauses_of(engine, monkeypatch), []
    for _ in range(3):
        pid = pid_of(engine)
        os.kill(pid, signal.SIGKILL)
        waited.append(pauses.get(timeout=PATIENCE))
        assert wait_for_another(engine, pid)
    assert waited == pytest.approx([0.1, 0.2, 0.4])


def test_hanging_process_is_killed_after_the_deadline(make: Make) -> None:
    engine = make(FAULTS + "faulty", fault="hang", limits=Limits(grace=0.2))
    before = pid_of(engine)
    with pytest.raises(EngineDeadline):
        ask(engine, "now", timeout=0.5)
    assert wait_for_death(before)
    assert wait_for_another(engine, before)
    assert "did not stop" in engine.status.cause
    assert ask(engine) == ALL


def test_slow_answer_costs_no_process(make: Make) -> None:
    engine = make(SCRIPTED, answers="word " * 10_000, delay=0.02)
    visual = engine.encode(IMAGE)
    before = pid_of(engine)
    stream = engine.stream(visual, "?", max_new_tokens=10_000, timeout=0.3)
    with pytest.raises(EngineDeadline):
        list(stream)
    assert next(engine.stream(visual, "?")).text == "word"
    assert pid_of(engine) == before


def test_silent_process_is_killed(make: Make) -> None:
    engine = make(SCRIPTED, answers="well", limits=Limits(heartbeat=1.5))
    before = pid_of(engine)
    os.kill(before, signal.SIGSTOP)
    assert wait_for_death(before)
    assert wait_for_another(engine, before)
    assert "no heartbeat" in engine.status.cause
    assert ask(engine) == "well"


def test_out_of_memory(make: Make) -> None:
    engine = make(FAULTS + "faulty", fault="memory")
    before = pid_of(engine)
    with pytest.raises(EngineOutOfMemory, match=r"2\.00 GiB"):
        ask(engine, "now")
    assert wait_for_death(before)  # its memory is only surely free when it is gone
    assert wait_for_another(engine, before)
    assert "2.00 GiB" in engine.status.cause
    assert ask(engine) == ALL


@pytest.mark.parametrize(("fault", "cause"), [("segfault", "Segmentation fault"), ("exit", "status 7: cannot go on")])
def test_crash_names_its_cause(make: Make, fault: str, cause: str) -> None:
    engine = make(FAULTS + "faulty", fault=fault)
    stream = engine.stream(engine.encode(IMAGE), "now")
    assert [next(stream).text, next(stream).text] == ["one", " two"]
    with pytest.raises(EngineCrashed, match=cause):
        next(stream)
    assert engine.wait_ready(PATIENCE)
    assert ask(engine) == ALL


@pytest.mark.parametrize(
    ("fault", "cause"), [("babble", "no message"), ("helper", "status 7"), ("twin", "SIGKILL|no heartbeat")]
)
def test_whatever_it_leaves_behind_another_is_started(make: Make, fault: str, cause: str) -> None:
    """Half a message in the socket; a process that holds its output, or its end of the socket."""
    engine = make(FAULTS + "faulty", fault=fault, limits=Limits(deadline=PATIENCE, heartbeat=3.0))
    before = pid_of(engine)
    with pytest.raises(EngineCrashed, match=cause):
        ask(engine, "now")
    assert wait_for_another(engine, before)
    assert ask(engine) == ALL


def test_signal_without_a_name(make: Make) -> None:
    engine = make(SCRIPTED, answers="well")
    before = pid_of(engine)
    os.kill(before, signal.SIGRTMIN + 6)
    assert wait_for_another(engine, before)
    assert f"signal {signal.SIGRTMIN + 6}" in engine.status.cause


def test_canceled_answers_leave_no_threads(make: Make) -> None:
    """A question that is asked again and again cancels the one before, ten times a second."""
    engine = make(SCRIPTED, answers="word " * 10_000, delay=0.02)
    visual = engine.encode(IMAGE)
    before = threading.active_count()
    for _ in range(20):
        cancel = threading.Event()
        stream = engine.stream(visual, "?", max_new_tokens=10_000, cancel=cancel)
        next(stream)
        cancel.set()
        with pytest.raises(EngineCancelled):
            list(stream)
    next(engine.stream(visual, "?"))  # the last one has stopped, too
    end = time.monotonic() + PATIENCE
    while threading.active_count() > before and time.monotonic() < end:
        threading.Event().wait(0.01)
    assert threading.active_count() <= before


def test_mistake_in_the_engine_is_that_answers_alone(make: Make) -> None:
    engine = make(FAULTS + "faulty", fault="bug")
    before = pid_of(engine)
    with pytest.raises(EngineError, match="KeyError"):
        ask(engine, "now")
    assert ask(engine) == ALL
    assert pid_of(engine) == before


def test_cancel_is_seen_between_tokens(make: Make) -> None:
    engine = make(SCRIPTED, answers="word " * 10_000, delay=0.02)
    visual = engine.encode(IMAGE)
    cancel = threading.Event()
    stream = engine.stream(visual, "?", max_new_tokens=10_000, cancel=cancel)
    next(stream)
    cancel.set()
    with pytest.raises(EngineCancelled):
        list(stream)
    assert next(engine.stream(visual, "?")).text == "word"  # the 200 s of the first answer are not waited for


def test_cancel_before_the_first_token(make: Make) -> None:
    engine = make(SCRIPTED, answers="word", delay=PATIENCE)
    cancel = threading.Event()
    stream = engine.stream(engine.encode(IMAGE), "?", cancel=cancel)
    threading.Timer(0.05, cancel.set).start()
    began = time.monotonic()
    with pytest.raises(EngineCancelled):
        next(stream)
    assert time.monotonic() - began < PATIENCE / 2


def test_request_that_waits_can_be_canceled(make: Make) -> None:
    engine = make(SCRIPTED, answers="word " * 10_000, delay=0.02, limits=Limits(grace=0.2))
    visual = engine.encode(IMAGE)
    before = pid_of(engine)
    first = engine.stream(visual, "?", max_new_tokens=10_000)
    next(first)
    with pytest.raises(EngineDeadline):
        next(engine.stream(visual, "?", timeout=0.1))  # behind the first
    assert not wait_for_death(before, 0.6)  # past the grace: it must not be killed for what it had not begun
    assert pid_of(engine) == before
    assert next(first).text == " word"


@pytest.mark.parametrize("how", ["drop", "close"])
def test_answer_that_nobody_wants_is_stopped(make: Make, how: str) -> None:
    engine = make(SCRIPTED, answers="word " * 10_000, delay=0.02)
    visual = engine.encode(IMAGE)
    stream: Any = engine.stream(visual, "?", max_new_tokens=10_000)
    next(stream)
    if how == "close":
        stream.close()
        assert list(stream) == []
    else:
        del stream
        gc.collect()
    assert next(engine.stream(visual, "?")).text == "word"


def test_frames_arrive_whole(make: Make) -> None:
    engine = make(FAULTS + "checksum")
    rng = np.random.default_rng(0)
    frames = [rng.integers(0, 256, (SIZE, SIZE, 3), np.uint8) for _ in range(4)]
    frames.append(rng.integers(0, 256, (SIZE, SIZE, 4), np.uint8)[:, ::-1, :3])  # not contiguous
    answers: dict[int, str] = {}

    def encode_and_ask(i: int) -> None:
        answers[i] = "".join(token.text for token in engine.stream(engine.encode(frames[i]), "?"))

    threads = [threading.Thread(target=encode_and_ask, args=(i,)) for i in range(len(frames))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    expected = {i: hashlib.sha256(np.ascontiguousarray(frame).tobytes()).hexdigest() for i, frame in enumerate(frames)}
    assert answers == expected


def test_old_images_give_way(make: Make) -> None:
    engine = make(SCRIPTED, answers="well")
    first = engine.encode(IMAGE)
    for _ in range(8):
        last = engine.encode(IMAGE)
    with pytest.raises(VisualTokensExpired):
        next(engine.stream(first, "?"))
    assert next(engine.stream(last, "?")).text == "well"


def test_image_of_another_shape_is_refused(make: Make) -> None:
    engine = make(SCRIPTED, answers="well")
    images: list[Any] = [IMAGE[:-1], IMAGE.astype(np.float32), IMAGE[..., 0]]
    for image in images:
        with pytest.raises(UserError, match="rectify"):
            engine.encode(image)


def test_model_that_cannot_be_loaded_is_the_users_to_know(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="no model directory") as caught:
        SupervisedEngine(tmp_path / "nothing")
    assert "\n" not in str(caught.value)


def test_process_that_does_not_start(make: Make, tmp_path: Path) -> None:
    with pytest.raises(EngineUnavailable, match=r"status 3: libcudart\.so\.99"):
        make(FAULTS + "dies_at_birth")
    with pytest.raises(UserError, match=r"no-python cannot be started: No such file"):
        make(SCRIPTED, answers="", python=str(tmp_path / "no-python"))


def test_close_leaves_nothing(make: Make) -> None:
    def mine() -> tuple[int, set[str], set[str]]:
        gc.collect()
        threads = {thread.name for thread in threading.enumerate() if thread.name.startswith("engine-")}
        return len(os.listdir("/proc/self/fd")), threads, set(os.listdir("/dev/shm"))

    before = mine()
    engine = make(SCRIPTED, answers="word " * 3, delay=0.1)
    assert ask(engine).split() == ["word"] * 3
    pid = pid_of(engine)
    stream = engine.stream(engine.encode(IMAGE), "?")
    engine.close()
    assert wait_for_death(pid, 0.0)  # dead already
    with pytest.raises(EngineUnavailable):
        list(stream)
    with pytest.raises(EngineUnavailable, match="closed"):
        engine.encode(IMAGE)
    engine.close()
    del stream
    after = mine()
    assert after[:2] == before[:2]
    assert after[2] <= before[2] | {name for name in after[2] if "nav_vlm" not in name}


@pytest.mark.parametrize("ending", ["kill", "exit", "kill with a sibling"])
def test_no_orphan_when_the_node_dies(ending: str) -> None:
    """Nor when another child of the node, forked meanwhile, keeps the node's end of the socket open."""
    code = (
        "import sys, time, os\n"
        "from nav_vlm_node.vlm.supervised import SupervisedEngine\n"
        f"engine = SupervisedEngine.from_factory({SCRIPTED!r}, {{'answers': 'well'}})\n"
        f"sibling = os.fork() if {'sibling' in ending} else 1\n"
        "if sibling == 0: time.sleep(20); os._exit(0)\n"
        "print(engine.status.pid, flush=True)\n"
        "sys.stdin.read()\n"
    )
    node = subprocess.Popen([sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE, cwd=ROOT)
    assert node.stdin is not None
    assert node.stdout is not None
    pid = int(node.stdout.readline())
    if ending == "exit":
        node.stdin.close()
    else:
        node.kill()
    node.wait(PATIENCE)
    assert wait_for_death(pid, 10.0)


def test_process_outlives_the_thread_that_made_the_engine(make: Make) -> None:
    engines: list[SupervisedEngine] = []
    thread = threading.Thread(target=lambda: engines.append(make(SCRIPTED, answers="well")))
    thread.start()
    thread.join()
    pid = pid_of(engines[0])
    assert ask(engines[0]) == "well"
    assert pid_of(engines[0]) == pid


def test_ros_wheels_bootstrap(make: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    """Python started without the mark starts itself again; descriptors and arguments must survive that."""
    monkeypatch.delenv("_ROS_WHEELS_BOOTSTRAP_COMPLETE", raising=False)
    assert ask(make(SCRIPTED, answers="well")) == "well"


def test_memory_is_of_all_gpus(monkeypatch: pytest.MonkeyPatch) -> None:
    """torch's own figure is the first one's, whichever the model is on."""
    alone = worker.memory_bytes()
    cuda = SimpleNamespace(
        is_initialized=lambda: True, device_count=lambda: 2, memory_reserved=lambda device=0: (0, 1 << 50)[device]
    )
    monkeypatch.setitem(sys.modules, "torch", SimpleNamespace(cuda=cuda))
    assert worker.memory_bytes() > 1 << 50 > alone


def test_another_interpreter(make: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It gets this package and its own libraries, and none of this interpreter's environment."""
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", tmp_path / "other"], check=True)
    site = next((tmp_path / "other" / "lib").glob("python*/site-packages"))
    numpy_home = Path(np.__file__).parents[1]
    (site / "borrowed.pth").write_text(f"{numpy_home}\n")
    monkeypatch.setenv("_ROS_WHEELS_BOOTSTRAP_COMPLETE", "1")
    monkeypatch.setenv("PYTHONPATH", "/opt/ros/jazzy/lib/python3.10/site-packages")
    monkeypatch.setenv("LD_LIBRARY_PATH", f"{sys.prefix}/lib/ros_rclpy.libs:/usr/local/cuda/lib64")
    engine = make(FAULTS + "surroundings", python=str(tmp_path / "other" / "bin" / "python"))
    env = ask(engine)
    assert "_ROS_WHEELS_BOOTSTRAP_COMPLETE" not in env
    assert "/opt/ros/jazzy" not in env
    assert "ros_rclpy.libs" not in env
    assert "/usr/local/cuda/lib64" in env
