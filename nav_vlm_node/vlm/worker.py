"""The engine process: runs one engine and serves it to the process that started it (`supervised.py`).

Started by `nav_vlm_node.vlm.child`, never by hand. The main thread works; one thread reads messages, so that a cancel
is seen in the middle of an answer; one sends a heartbeat, which stops when the interpreter does.

    in   prepare{factory, python_path}  start{factory, arguments, adapter}  encode{id, shape}
         stream{id, visual, query, max_new_tokens}  adapter{id, name}  cancel{id}
    out  beat{memory}  ready{info}  failed{kind, message}  token{id, text, probability}  done{id, ...}
         error{id, kind, message}
"""

from __future__ import annotations

import ctypes
import faulthandler
import importlib
import os
import signal
import socket
import sys
import threading
import traceback
from collections import OrderedDict
from dataclasses import asdict
from typing import Any

from nav_vlm_node.vlm.protocol import (
    Engine,
    EngineCancelled,
    EngineInfo,
    EngineOutOfMemory,
    VisualTokens,
    VisualTokensExpired,
)
from nav_vlm_node.vlm.wire import Channel, FrameMemory, Message, error_to_message

HEARTBEAT = 0.5  # seconds
KEPT_IMAGES = 8  # encoded images that can still be asked about
_PR_SET_PDEATHSIG = 1  # linux/prctl.h


def main(socket_fd: int, frame_fd: int, parent: int) -> None:
    """Serve until the parent hangs up or dies. Never returns."""
    die_with(parent)
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C goes to the whole terminal; the parent decides
    faulthandler.enable()
    worker = Worker(Channel(socket.socket(fileno=socket_fd)), FrameMemory(frame_fd))
    worker.run()


def die_with(parent: int) -> None:
    """Have the kernel end this process when the parent's thread that started it ends, however it ends (Linux)."""
    if sys.platform == "linux":
        ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:  # it ended before we could ask
        os._exit(0)


class Worker:
    """One engine, its requests in order of arrival, and the images it has encoded."""

    def __init__(self, channel: Channel, frame: FrameMemory) -> None:
        self._channel = channel
        self._frame = frame
        self._waiting: OrderedDict[int, Message] = OrderedDict()
        self._arrived = threading.Condition()
        self._cancel = threading.Event()
        self._active: int | None = None
        self._images: OrderedDict[int, VisualTokens] = OrderedDict()

    def run(self) -> None:
        """Never returns."""
        threading.Thread(target=self._beat, name="heartbeat", daemon=True).start()
        prepare(self._first("prepare"))
        start = self._first("start")
        threading.Thread(target=self._read, name="reader", daemon=True).start()
        try:
            engine = make_engine(start)
        except Exception as error:
            traceback.print_exc()
            self._send({"type": "failed", **error_to_message(error)})
            self._leave(1)
        self._send({"type": "ready", "info": info_to_json(engine.info)})
        while True:
            with self._arrived:
                while not self._waiting:
                    self._arrived.wait()
                self._active, message = self._waiting.popitem(last=False)
                self._cancel.clear()
            self._answer(engine, message)
            with self._arrived:
                self._active = None

    def _first(self, kind: str) -> Message:
        message = self._channel.receive()
        if message is None:
            os._exit(0)
        assert message["type"] == kind
        return message

    def _answer(self, engine: Engine, message: Message) -> None:
        number = message["id"]
        try:
            reply = self._serve(engine, message)
        except Exception as error:
            self._send({"type": "error", "id": number, **error_to_message(error)})
            if isinstance(error, (EngineOutOfMemory, MemoryError)) or "CUDA error" in str(error):
                # Memory is fragmented, or the CUDA context is lost: only a new process is sure to work.
                print(f"giving up: {error}", file=sys.stderr, flush=True)
                self._leave(1)
        else:
            self._send({"type": "done", "id": number, **reply})

    def _serve(self, engine: Engine, message: Message) -> Message:
        if message["type"] == "encode":
            visual = engine.encode(self._frame.array(message["shape"]))
            self._images[message["id"]] = visual
            while len(self._images) > KEPT_IMAGES:
                self._images.popitem(last=False)
            return {}
        if message["type"] == "adapter":
            engine.set_adapter(message["name"])
            return {"info": info_to_json(engine.info)}
        if message["visual"] not in self._images:
            raise VisualTokensExpired("newer images took this one's place: encode again")
        image = self._images[message["visual"]]
        tokens = engine.stream(image, message["query"], max_new_tokens=message["max_new_tokens"], cancel=self._cancel)
        for text, probability in tokens:
            self._send({"type": "token", "id": message["id"], "text": text, "probability": probability})
        return {}

    def _read(self) -> None:
        while (message := self._channel.receive()) is not None:
            number = message["id"]
            with self._arrived:
                if message["type"] != "cancel":
                    self._waiting[number] = message
                    self._arrived.notify()
                    continue
                queued = self._waiting.pop(number, None) is not None
                if number == self._active:
                    self._cancel.set()
            if queued:
                self._send({"type": "error", "id": number, **error_to_message(EngineCancelled("canceled in time"))})
        os._exit(0)  # the parent hung up; the main thread may be deep in a kernel, so no clean-up

    def _beat(self) -> None:
        pause = threading.Event()
        while not pause.wait(HEARTBEAT):
            self._send({"type": "beat", "memory": memory_bytes()})

    def _send(self, message: Message) -> None:
        try:
            self._channel.send(message)
        except OSError:
            os._exit(0)

    def _leave(self, status: int) -> None:
        sys.stderr.flush()
        os._exit(status)


def prepare(message: Message) -> None:
    """Import the factory's module and whatever its `prepare` function does; a spare process waits after this."""
    sys.path.extend(message["python_path"])
    try:
        module = importlib.import_module(message["factory"].split(":")[0])
        getattr(module, "prepare", lambda: None)()
    except Exception:  # `make_engine` meets it again and reports it
        traceback.print_exc()


def make_engine(start: Message) -> Engine:
    """The engine that "package.module:function" makes of the arguments, with the adapter that was set last."""
    module, function = start["factory"].split(":")
    engine: Engine = getattr(importlib.import_module(module), function)(**start["arguments"])
    if start.get("adapter") is not None:
        engine.set_adapter(start["adapter"])
    return engine


def info_to_json(info: EngineInfo) -> dict[str, Any]:
    """JSON-ready; `nav_vlm_node.vlm.supervised` reads it back."""
    return {**asdict(info), "view": info.view.to_json(), "adapters": list(info.adapters)}


def memory_bytes() -> int:
    """Resident memory of this process, and what torch holds on the GPUs if there are any; 0 where it cannot be read."""
    try:
        with open("/proc/self/statm", encoding="ascii") as file:
            total = int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")
    except OSError:
        total = 0
    torch = sys.modules.get("torch")
    cuda = getattr(torch, "cuda", None)
    if cuda is not None and cuda.is_initialized():
        total += sum(int(cuda.memory_reserved(index)) for index in range(cuda.device_count()))  # it may be on cuda:1
    return total
