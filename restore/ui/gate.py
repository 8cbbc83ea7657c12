"""What stands between the web and Gradio: requests that Gradio would take and this program does not.

Gradio fetches a file itself where a request gives an address of the web in place of an upload, passes any public
address on to whoever asks for it as a file, ends every run of a client when one of them is cancelled, and lets search
engines in. ``APP_OPTIONS`` goes into ``launch(app_kwargs=...)``.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from typing import Any

from gradio.blocks import Blocks
from gradio.context import LocalContext
from starlette.datastructures import MutableHeaders
from starlette.middleware import Middleware
from starlette.requests import ClientDisconnect
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from restore.ui.uploads import NOT_UPLOADED, is_upload

LARGEST_BODY = 4 * 2**20
"""Bytes of a request that is not an upload: settings and names, never pixels."""

WEB = ("http://", "https://")
CALL_BY_NAME = re.compile(r".*/gradio_api/call/v2/\w+")
CALL_BY_POSITION = re.compile(r".*/gradio_api/call/(\w+)/?")
FORMS = ("multipart/form-data", "application/x-www-form-urlencoded")

_stops: dict[str, Callable[[], object]] = {}
"""What stops the work behind a running event of Gradio, by the event's id, which only its client knows."""


@contextmanager
def cancellable(stop: Callable[[], object]) -> Iterator[None]:
    """Inside, ``stop`` is called when the client cancels the event of Gradio that is running now."""
    event = LocalContext.event_id.get(None)
    if event is None:  # called over the one route that has no queue, where nothing can be cancelled
        yield
        return
    _stops[event] = stop
    try:
        yield
    finally:
        del _stops[event]


class Gate:
    """The middleware."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        send = _unlisted(scope, send)
        path = scope["path"]
        _, is_file, file = path.partition("/gradio_api/file=")
        if path.endswith("/robots.txt"):
            await PlainTextResponse(_robots())(scope, receive, send)
        elif is_file and file.lower().startswith(WEB):
            await JSONResponse({"detail": "This server hands out its own files only."}, 403)(scope, receive, send)
        elif scope["method"] == "POST" and not _header(scope, b"content-type").startswith(FORMS):
            await self._with_body(scope, receive, send)
        else:
            # Whoever breaks off an upload is there no more to be told, and it is no defect that belongs in the log.
            with suppress(ClientDisconnect):
                await self._app(scope, receive, send)

    async def _with_body(self, scope: Scope, receive: Receive, send: Send) -> None:
        body = await _read(receive)
        if body is not None and (call := CALL_BY_POSITION.fullmatch(scope["path"])):
            body = _completed(body, scope["app"].get_blocks(), call[1])
            scope = {**scope, "headers": _with_length(scope["headers"], len(body))}
        answer = JSONResponse({"detail": "The request is too large."}, 413) if body is None else _answer(scope, body)
        try:
            await (answer or self._app)(scope, _replay(body or b"", receive), send)
        except TypeError as error:
            # With parameters by name, Gradio has a sentence for one that is missing or unknown, and no answer. What an
            # endpoint does itself comes later, in the queue.
            if not CALL_BY_NAME.fullmatch(scope["path"]):
                raise
            await JSONResponse({"detail": str(error)}, 422)(scope, receive, send)


APP_OPTIONS: Mapping[str, Any] = {"middleware": [Middleware(Gate)]}


async def _read(receive: Receive) -> bytes | None:
    """The body of a request, or ``None`` where it is longer than ``LARGEST_BODY``."""
    body = bytearray()
    while True:
        message = await receive()
        body += message.get("body", b"")
        if len(body) > LARGEST_BODY:
            return None
        if not message.get("more_body", False):
            return bytes(body)


def _replay(body: bytes, receive: Receive) -> Receive:
    """``receive`` as it was before ``body`` was read from it."""
    messages: list[Message] = [{"type": "http.request", "body": body, "more_body": False}]

    async def again() -> Message:
        return messages.pop() if messages else await receive()

    return again


def _completed(body: bytes, blocks: Blocks, name: str) -> bytes:
    """The body of a call of the endpoint ``name`` by position, with the defaults of what was left out at the end.

    Gradio wants every value, so a script would break whenever an endpoint gets one more parameter.
    """
    try:
        values = json.loads(body)
    except (ValueError, RecursionError):
        return body
    given = values.get("data") if isinstance(values, dict) else None
    endpoint = blocks.get_api_info()["named_endpoints"].get(f"/{name}")
    if not isinstance(given, list) or endpoint is None:
        return body
    left = endpoint["parameters"][len(given) :]
    if not left or not all(parameter["parameter_has_default"] for parameter in left):
        return body
    return json.dumps({**values, "data": [*given, *(parameter["parameter_default"] for parameter in left)]}).encode()


def _with_length(headers: Iterable[tuple[bytes, bytes]], length: int) -> list[tuple[bytes, bytes]]:
    others = [(key, value) for key, value in headers if key != b"content-length"]
    return [*others, (b"content-length", str(length).encode())]


def _answer(scope: Scope, body: bytes) -> Response | None:
    """What the gate itself says to a request; ``None`` for one that Gradio may see."""
    try:
        values = json.loads(body)
    except RecursionError:
        return JSONResponse({"detail": "The request is nested too deeply."}, 400)
    except ValueError:  # Gradio says so itself
        return None
    if scope["path"].endswith("/gradio_api/cancel") and isinstance(values, dict):
        stop = _stops.get(str(values.get("event_id")))
        if stop is not None:
            stop()
            return JSONResponse({"success": True})
    if _names_what_is_no_upload(values):
        # The form in which Gradio's own checks of arguments refuse, so that its clients show the sentence.
        detail = {"__type__": "validate", "is_valid": False, "parameter_name": "file", "message": NOT_UPLOADED}
        return JSONResponse({"detail": [detail]}, 422)
    return None


def _names_what_is_no_upload(values: object) -> bool:
    """Whether somewhere in ``values`` there are file data that Gradio would act on and that are no upload."""
    waiting = [values]
    while waiting:
        value = waiting.pop()
        if isinstance(value, dict):
            path = value.get("path")
            # Gradio acts on a path only where such a mark stands beside it.
            if isinstance(path, str) and "meta" in value and not is_upload(path):
                return True
            waiting.extend(value.values())
        elif isinstance(value, list):
            waiting.extend(value)
    return False


def _robots() -> str:
    """On a Space the front page may be found; a server of somebody's own is nobody's business."""
    return "User-agent: *\nAllow: /\n" if _on_a_space() else "User-agent: *\nDisallow: /\n"


def _on_a_space() -> bool:
    return "SPACE_ID" in os.environ


def _unlisted(scope: Scope, send: Send) -> Send:
    """``send`` that asks search engines to leave the answer alone; jobs and files are never for them."""
    if _on_a_space() and scope["path"] in ("", "/", "/robots.txt") and not scope["query_string"]:
        return send

    async def with_header(message: Message) -> None:
        if message["type"] == "http.response.start":
            MutableHeaders(scope=message)["X-Robots-Tag"] = "noindex, nofollow"
        await send(message)

    return with_header


def _header(scope: Scope, name: bytes) -> str:
    return next((value.decode("latin-1").lower() for key, value in scope["headers"] if key == name), "")
