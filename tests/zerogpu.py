"""Stand-ins for ZeroGPU: a process that is forked for each call, and the service that lends the GPUs."""

from __future__ import annotations

import json
import math
import multiprocessing
import pickle
import threading
import urllib.parse
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import gradio as gr

WORKER_ERROR = "ZeroGPU worker error"


class ForkingGpu:
    """What ``spaces.GPU`` makes of a function: it runs in a forked process, with all that crosses pickled.

    As there, no exception but ``gr.Error`` comes back as it is, a process that ends without an answer is "aborted", and
    so is one that takes longer than was asked for. ``asked`` are the seconds of each call, of which there are ``quota``
    altogether; ``lasts`` says how long so many seconds last.
    """

    def __init__(self, task: Callable[..., Any], duration: Callable[..., int]) -> None:
        self._task, self._duration = task, duration
        self.asked: list[int] = []
        self.quota = math.inf
        # A busy machine is far slower than any GPU, and no test is to find out how much.
        self.lasts: Callable[[int], float] = lambda seconds: 60.0 * seconds

    def __call__(self, *arguments: Any) -> Any:
        seconds = self._duration(*arguments)
        if seconds > self.quota:
            message = f"You have exceeded your free ZeroGPU quota ({seconds}s requested vs. {self.quota}s left). "
            raise gr.Error(f"{message}Try again in 1:00:00. ", title="ZeroGPU quota exceeded", print_exception=False)
        self.asked.append(seconds)
        self.quota -= seconds
        fork = multiprocessing.get_context("fork")
        ours, theirs = fork.Pipe(duplex=False)
        process = fork.Process(target=self._work, args=(pickle.dumps(arguments), theirs), daemon=True)
        process.start()
        theirs.close()
        try:
            if not ours.poll(self.lasts(seconds)):
                process.kill()
            answer = pickle.loads(ours.recv_bytes())
        except EOFError:
            raise gr.Error("GPU task aborted", title=WORKER_ERROR) from None
        finally:
            process.join()
            ours.close()
        if isinstance(answer, gr.Error):
            raise answer
        return answer

    def _work(self, arguments: bytes, pipe: Any) -> None:
        # In a thread of its own, as there: the forked one may have left the thread pools of torch in any state.
        with ThreadPoolExecutor(1) as pool:
            try:
                answer = pool.submit(lambda: self._task(*pickle.loads(arguments))).result()
            except gr.Error as error:
                answer = error
            except Exception as error:
                answer = gr.Error(type(error).__name__, title=WORKER_ERROR)
        pipe.send_bytes(pickle.dumps(answer))


def forking_gpu(task: Callable[..., Any], *, duration: Callable[..., int]) -> ForkingGpu:
    """In place of ``spaces.GPU``."""
    return ForkingGpu(task, duration)


class DeviceService:
    """The service's address and the requests that came in; ``quota_left`` once somebody has no more seconds.

    Where ``calls_left`` is set, nobody has any after so many calls.
    """

    def __init__(self) -> None:
        self.requests: list[tuple[str, dict[str, str]]] = []
        self.url = ""
        self.quota_left: int | None = None
        self.calls_left: int | None = None

    def answer(self, path: str) -> tuple[int, dict[str, Any]]:
        if path != "/schedule":
            return 200, {}
        if self.quota_left is not None or self.calls_left == 0:
            return 429, {"left": self.quota_left or 0, "wait": 3600}
        if self.calls_left is not None:
            self.calls_left -= 1
        return 200, {"idle": True, "nvidiaIndex": 0, "nvidiaUUID": "GPU-0", "allowToken": "token"}


@contextmanager
def device_service() -> Iterator[DeviceService]:
    """The service behind ``SPACES_ZERO_DEVICE_API_URL`` on loopback; it has a GPU for everybody, at once."""
    service = DeviceService()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            path, _, query = self.path.partition("?")
            service.requests.append((path, dict(urllib.parse.parse_qsl(query))))
            status, answer = service.answer(path)
            body = json.dumps(answer).encode()
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *arguments: Any) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        service.url = f"http://127.0.0.1:{server.server_address[1]}"
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield service
        finally:
            server.shutdown()
            thread.join()
