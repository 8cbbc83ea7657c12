"""The real program in a process of its own, on a free port of loopback, with folders and caches of its own.

with running(folder, RESTORE_MAX_FILE_MB="1") as server:
    Client(server.url)
"""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parent.parent
START_SECONDS = 90.0


@dataclass(frozen=True)
class Server:
    """``files`` is where uploads and results are, ``log`` is what the program prints."""

    url: str
    pid: int
    files: Path
    log: Path

    def jobs(self) -> list[Path]:
        """The folders of the jobs."""
        return sorted(self.files.glob("restore-*"))


@contextmanager
def running(folder: Path, command: Sequence[str] = ("app.py",), **environment: str) -> Iterator[Server]:
    """Start the program with nothing of this process's settings but ``environment``, and stop it in the end."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    ours = ("RESTORE_", "GRADIO_", "HF_", "SPACE")
    kept = {name: value for name, value in os.environ.items() if not name.startswith(ours)}
    given = {
        "GRADIO_SERVER_PORT": str(port),
        "GRADIO_TEMP_DIR": str(folder / "files"),
        "HF_HOME": str(folder / "hf"),
        "HF_HUB_OFFLINE": "1",
    }
    url, log = f"http://127.0.0.1:{port}/", folder / "log"
    folder.mkdir(parents=True, exist_ok=True)
    with log.open("ab") as output:
        process = subprocess.Popen(
            [sys.executable, *command], cwd=ROOT, env=kept | given | environment, stdout=output, stderr=output
        )
    try:
        deadline = time.monotonic() + START_SECONDS
        while not _answers(url):
            assert process.poll() is None, f"{process.returncode}: {log.read_text()}"
            assert time.monotonic() < deadline, log.read_text()
            time.sleep(0.2)
        yield Server(url, process.pid, folder / "files", log)
    finally:
        process.terminate()
        process.wait(30)


def _answers(url: str) -> bool:
    try:
        with urllib.request.urlopen(url, timeout=5):
            return True
    except urllib.error.HTTPError:  # an answer as well
        return True
    except OSError:
        return False
