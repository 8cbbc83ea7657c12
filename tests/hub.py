"""A stand-in for the Hugging Face Hub on loopback, so that tests run the real client code with no network.

    entry = hub.checkpoint("model", data)                     # publishes data, and gives the entry that describes it
    entry = hub.checkpoint("model", data, Fault(status=500))  # the same, with something that goes wrong
    address = hub.publish_url("weights.pth", data)            # a file of a plain web server
    [request.method for request in hub.requests]

Uploads work as well: ``create_repo`` and ``create_commit`` of huggingface_hub, large files by Git LFS. ``hub.token`` is
the token that they need, ``hub.uploaded(repo)`` what a repository holds.

The ``hub`` fixture of ``conftest.py`` starts one and points ``HF_ENDPOINT`` at it.
"""

from __future__ import annotations

import base64
import hashlib
import json
import re
import sys
import threading
import time
from dataclasses import dataclass, field, replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Any
from urllib.parse import unquote

from restore.catalog import Checkpoint

REVISION = "0123456789abcdef0123456789abcdef01234567"
RESOLVE = re.compile(r"/(?P<repo>(?:(?:spaces|datasets)/)?[^/]+/[^/]+)/resolve/(?P<revision>[^/]+)/(?P<file>.+)")
PIECE = 16 * 1024


@dataclass(frozen=True)
class Fault:
    """What goes wrong with a file. ``times`` says with how many GET requests (with all of them by default)."""

    status: int | None = None
    error_code: str | None = None  # X-Error-Code, as the Hub sends it: GatedRepo, RepoNotFound, EntryNotFound
    body: bytes | None = None  # sent in place of the file
    drop_after: int | None = None  # close the connection after so many bytes
    seconds_per_piece: float = 0.0  # wait before each piece of 16 KiB
    token: str | None = None  # refuse, with ``status``, only those without this token
    times: int | None = None
    ranges: bool = True  # False: answer every Range request with the whole file, whatever ``times`` says
    page: str | None = None  # a web page, sent in place of the file to whoever does not confirm that he wants it


@dataclass(frozen=True)
class Request:
    """One request that the server got."""

    method: str
    path: str
    range: str | None
    authorization: str | None


@dataclass
class _File:
    data: bytes
    fault: Fault | None = None
    gets: int = 0


@dataclass
class _Library:
    files: dict[str, _File] = field(default_factory=dict)
    heads: dict[str, str] = field(default_factory=dict)  # the last commit of each repository that was made here
    large: dict[str, bytes] = field(default_factory=dict)  # what came by Git LFS, by its sha256
    token: str | None = None
    requests: list[Request] = field(default_factory=list)
    closing: threading.Event = field(default_factory=threading.Event)


class _Handler(BaseHTTPRequestHandler):
    library: _Library

    def do_HEAD(self) -> None:
        self._answer(body=False)

    def do_GET(self) -> None:
        self._answer(body=True)

    def do_POST(self) -> None:
        self._write()

    def do_PUT(self) -> None:
        self._write()

    def log_message(self, format: str, *args: object) -> None:
        pass

    def _write(self) -> None:
        path = unquote(self.path.partition("?")[0])
        if "chunked" in self.headers.get("Transfer-Encoding", ""):
            data = b""
            while length := int(self.rfile.readline(), 16):
                data += self.rfile.read(length)
                self.rfile.readline()
            self.rfile.readline()
        else:
            data = self.rfile.read(int(self.headers.get("Content-Length", "0")))
        authorization = self.headers.get("Authorization")
        self.library.requests.append(Request(self.command, path, None, authorization))
        stored = re.fullmatch(r"/lfs/([0-9a-f]{64})", path)
        if stored is not None:
            if hashlib.sha256(data).hexdigest() != stored[1]:
                self._refuse(400, None)
                return
            self.library.large[stored[1]] = data
            self._json({})
            return
        if self.library.token is None or authorization != f"Bearer {self.library.token}":
            self._refuse(401, None)
            return
        self._json(self._written(path, data))

    def _written(self, path: str, data: bytes) -> object:
        """What the Hub answers to a request that writes."""
        library, url = self.library, f"http://{self.headers['Host']}"
        if path == "/api/validate-yaml":
            return {"errors": [], "warnings": []}
        if path == "/api/repos/create":
            asked = json.loads(data)
            repo = f"{asked['organization']}/{asked['name']}"
            library.heads.setdefault(repo, "")
            return {"url": f"{url}/{repo}", "id": repo}
        if path.endswith("/info/lfs/objects/batch"):
            objects = json.loads(data)["objects"]
            actions = [{"upload": {"href": f"{url}/lfs/{each['oid']}"}} for each in objects]
            pairs = zip(objects, actions, strict=True)
            return {"transfer": "basic", "objects": [{**each, "actions": action} for each, action in pairs]}
        match = re.fullmatch(r"/api/models/(?P<repo>[^/]+/[^/]+)/(?P<what>preupload|commit)/main", path)
        assert match is not None, path
        if match["what"] == "preupload":
            names = [each["path"] for each in json.loads(data)["files"]]
            modes = {name: "lfs" if name.endswith(".safetensors") else "regular" for name in names}
            return {"files": [{"path": name, "uploadMode": modes[name], "shouldIgnore": False} for name in names]}
        repo, lines = match["repo"], [json.loads(line) for line in data.splitlines() if line]
        commit = hashlib.sha1(data).hexdigest()
        for path in [*library.files]:  # a commit keeps the files of the one before
            if path.startswith(f"/{repo}/resolve/main/"):
                library.files[path.replace("/main/", f"/{commit}/", 1)] = library.files[path]
        for line in lines:
            value = line["value"]
            if line["key"] != "header":
                content = base64.b64decode(value["content"]) if line["key"] == "file" else library.large[value["oid"]]
                for revision in ("main", commit):
                    library.files[f"/{repo}/resolve/{revision}/{value['path']}"] = _File(content)
        library.heads[repo] = commit
        return {"commitUrl": f"{url}/{repo}/commit/{commit}", "commitOid": commit, "success": True}

    def _json(self, content: object) -> None:
        data = json.dumps(content).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def _answer(self, *, body: bool) -> None:
        path, _, query = self.path.partition("?")
        path = unquote(path)
        authorization = self.headers.get("Authorization")
        self.library.requests.append(Request(self.command, path, self.headers.get("Range"), authorization))
        served = self.library.files.get(path)
        if served is None:
            self._refuse(404, self._missing(path))
            return
        fault = served.fault
        if body:
            served.gets += 1
            if fault is not None and fault.times is not None and served.gets > fault.times:
                fault = Fault(ranges=fault.ranges)
        fault = fault or Fault()
        if fault.status is not None and (fault.token is None or authorization != f"Bearer {fault.token}"):
            self._refuse(fault.status, fault.error_code)
            return
        if fault.page is not None and "confirm=" not in query:
            self._show(fault.page)
            return
        self._serve(path, served.data, fault, body=body)

    def _show(self, page: str) -> None:
        data = page.encode()
        self.send_response(200)
        self.send_header("Content-Type", "text/html; charset=utf-8")
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def _missing(self, path: str) -> str | None:
        match = RESOLVE.fullmatch(path)
        if match is None:
            return None
        if self.library.heads.get(match["repo"]) is not None:
            return "EntryNotFound"
        known = [found for other in self.library.files if (found := RESOLVE.fullmatch(other))]
        if all(found["repo"] != match["repo"] for found in known):
            return "RepoNotFound"
        if all((found["repo"], found["revision"]) != (match["repo"], match["revision"]) for found in known):
            return "RevisionNotFound"
        return "EntryNotFound"

    def _refuse(self, status: int, error_code: str | None) -> None:
        self.send_response(status)
        if error_code is not None:
            self.send_header("X-Error-Code", error_code)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def _serve(self, path: str, published: bytes, fault: Fault, *, body: bool) -> None:
        data = published if fault.body is None else fault.body
        start = 0
        asked = re.fullmatch(r"bytes=(\d+)-", self.headers.get("Range", "")) if fault.ranges else None
        if asked is not None:
            start = int(asked[1])
            if start >= len(data):
                self.send_response(416)
                self.send_header("Content-Range", f"bytes */{len(data)}")
                self.send_header("Content-Length", "0")
                self.end_headers()
                return
        self.send_response(206 if asked is not None else 200)
        if asked is not None:
            self.send_header("Content-Range", f"bytes {start}-{len(data) - 1}/{len(data)}")
        self.send_header("Accept-Ranges", "bytes")
        self.send_header("Content-Length", str(len(data) - start))
        match = RESOLVE.fullmatch(path)
        if match is not None:
            digest = hashlib.sha256(published).hexdigest()
            self.send_header("ETag", f'"{digest}"')
            self.send_header("X-Linked-Etag", f'"{digest}"')
            self.send_header("X-Linked-Size", str(len(data)))
            head = self.library.heads.get(match["repo"]) if match["revision"] == "main" else None
            self.send_header("X-Repo-Commit", head or match["revision"])
            # The Hub offers most files by its Xet protocol as well; there is no such server here.
            self.send_header("X-Xet-Hash", digest)
            self.send_header("X-Xet-Refresh-Route", "/api/xet-read-token")
        self.end_headers()
        if not body:
            return
        end = len(data) if fault.drop_after is None else min(len(data), start + fault.drop_after)
        for position in range(start, end, PIECE):
            if fault.seconds_per_piece and self.library.closing.wait(fault.seconds_per_piece):
                return
            self.wfile.write(data[position : min(position + PIECE, end)])


class _Server(ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, request: Any, client_address: Any) -> None:
        if not isinstance(sys.exc_info()[1], ConnectionError):  # a client that hung up is what some tests are about
            super().handle_error(request, client_address)


class Hub:
    """The server; a context manager that stops it. ``url`` is what ``HF_ENDPOINT`` should be."""

    def __init__(self) -> None:
        self._library = _Library()
        handler = type("Handler", (_Handler,), {"library": self._library})
        self._server = _Server(("127.0.0.1", 0), handler)
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True)
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}"

    def __enter__(self) -> Hub:
        self._thread.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._library.closing.set()
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()

    @property
    def requests(self) -> list[Request]:
        """Every request so far, in the order of arrival."""
        return self._library.requests

    @property
    def token(self) -> str | None:
        """The token that uploads need; with ``None``, nobody may upload."""
        return self._library.token

    @token.setter
    def token(self, token: str) -> None:
        self._library.token = token

    def uploaded(self, repo: str) -> dict[str, bytes]:
        """The files of a repository as the last commit left them."""
        start = f"/{repo}/resolve/main/"
        files = self._library.files.items()
        return {path.removeprefix(start): file.data for path, file in files if path.startswith(start)}

    def head(self, repo: str) -> str:
        """The last commit of a repository that was uploaded."""
        return self._library.heads[repo]

    def publish(
        self, repo: str, revision: str, file: str, data: bytes, fault: Fault | None = None, *, repo_type: str = "model"
    ) -> None:
        """Serve ``data`` as ``file`` of ``repo`` at ``revision``; a second call replaces it."""
        prefix = "" if repo_type == "model" else f"{repo_type}s/"
        self._library.files[f"/{prefix}{repo}/resolve/{revision}/{file}"] = _File(data, fault)

    def publish_url(self, path: str, data: bytes, fault: Fault | None = None) -> str:
        """Serve ``data`` as a plain web server would; gives the address."""
        self._library.files[f"/files/{path}"] = _File(data, fault)
        return f"{self.url}/files/{path}"

    def checkpoint(self, name: str, data: bytes, fault: Fault | None = None, **changes: Any) -> Checkpoint:
        """Publish ``data`` in ``tests/<name>`` and give the entry of the catalogue for it, with ``changes``."""
        entry = Checkpoint(
            name=name,
            title=name,
            description="Made for a test",
            stages=("upscale",),
            network="srvgg",
            arguments={"num_feat": 64, "num_conv": 16, "upscale": 4},
            file=f"{name}.pth",
            size=len(data),
            sha256=hashlib.sha256(data).hexdigest(),
            repo=f"tests/{name}",
            revision=REVISION,
            licence="MIT",
            commercial=True,
            source="https://example.org",
        )
        entry = replace(entry, **changes)
        if entry.repo is not None and entry.revision is not None:
            self.publish(entry.repo, entry.revision, entry.hub_file, data, fault, repo_type=entry.repo_type)
        return entry

    @property
    def downloads(self) -> list[Request]:
        """The GET requests for files, without what huggingface_hub asks about other things."""
        return [
            request for request in self.requests if request.method == "GET" and not request.path.startswith("/api/")
        ]

    def wait_for_download(self, seconds: float = 10.0) -> None:
        """Wait until a GET request for a file has arrived."""
        deadline = time.monotonic() + seconds
        while not self.downloads:
            if time.monotonic() > deadline:
                raise TimeoutError(f"no download within {seconds} s, only {self.requests}")
            time.sleep(0.01)
