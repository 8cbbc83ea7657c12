"""One file from a web address into a file here: taken up again where the connection broke, and never a web page.

Google Drive asks for a click before it hands out a large file; the form on that page is sent as a click would send it.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass, field
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import urljoin

import httpx2

from restore.transfers import Transfer

logger = logging.getLogger(__name__)

TIMEOUT_SECONDS = 10.0  # to connect, and between two pieces of an answer
RETRIES = 3  # of a broken download, in a row without a single new byte
RETRY_SECONDS = 1.0
LONGEST_PAGE = 1 << 20
"""Bytes that are read of a web page which came in place of the file."""

_FORM = "download-form"


class NotTheFileError(Exception):
    """The address answers with something else than the file; the message is a phrase."""


@dataclass
class _Form:
    """The form for a download on a page of Google Drive."""

    action: str | None = None
    values: dict[str, str] = field(default_factory=dict)


def receive(url: str, part: Path, transfer: Transfer, size: int | None = None) -> None:
    """Download ``url`` into ``part``, going on from the bytes that it has.

    A connection that broke is taken up again as long as that brings new bytes; one that never gave any is not. ``size``
    is how many bytes the file has, where that is known. Raises ``httpx2.HTTPError``, ``OSError`` if ``part`` cannot be
    written, ``NotTheFileError`` for a web page or a file of another size, ``Cancelled`` when stopped.
    """
    broken = 0  # attempts in a row that brought nothing
    alive = False
    while True:
        have = _size(part)
        try:
            _receive_once(url, part, have, transfer, size)
            return
        except httpx2.TransportError as error:
            gained = _size(part) - have
            alive = alive or gained > 0
            broken = 0 if gained > 0 else broken + 1
            if not alive or broken > RETRIES:
                raise
            logger.info("%s broke off after %d bytes (%s), going on from there", url, have + gained, error)
            transfer.stop.wait(RETRY_SECONDS)
            transfer.check()


def _size(path: Path) -> int:
    return path.stat().st_size if path.exists() else 0


def _receive_once(
    url: str, part: Path, have: int, transfer: Transfer, size: int | None, *, asked: bool = False
) -> None:
    headers = {"Accept-Encoding": "identity"}
    if have:
        headers["Range"] = f"bytes={have}-"
    with httpx2.stream("GET", url, headers=headers, timeout=TIMEOUT_SECONDS, follow_redirects=True) as response:
        if have and response.status_code == 416:  # nothing is left to get; the checksum says whether it is all
            return
        response.raise_for_status()
        if response.headers.get("Content-Type", "").startswith("text/html"):
            address = None if asked else _address_behind(response)
            if address is None:
                raise NotTheFileError("a web page came in place of the file")
        else:
            _save(response, part, have, transfer, size)
            return
    _receive_once(address, part, have, transfer, size, asked=True)


def _save(response: httpx2.Response, part: Path, have: int, transfer: Transfer, size: int | None) -> None:
    resumed = response.status_code == 206 and response.headers.get("Content-Range", "").startswith(f"bytes {have}-")
    start = have if resumed else 0
    length = response.headers.get("Content-Length", "")
    total = start + int(length) if length.isdigit() else None
    if size is not None and total is not None and total != size:
        raise NotTheFileError(f"a file of {total} bytes came in place of one of {size}")
    transfer.begin(start, total or size)
    with part.open("ab" if resumed else "wb") as file:
        for piece in response.iter_bytes():
            transfer.add(len(piece))
            file.write(piece)


def _address_behind(response: httpx2.Response) -> str | None:
    """Where the form on a page of Google Drive leads; ``None`` for any other page."""
    page = bytearray()
    for piece in response.iter_bytes():
        page += piece
        if len(page) > LONGEST_PAGE:
            return None
    form = _read_form(page.decode("utf-8", "replace"))
    if form.action is None:
        return None
    return str(httpx2.URL(urljoin(str(response.url), form.action)).copy_merge_params(form.values))


def _read_form(page: str) -> _Form:
    form = _Form()

    class Parser(HTMLParser):
        inside = False

        def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
            values = {name: value or "" for name, value in attributes}
            if tag == "form" and values.get("id") == _FORM:
                form.action, self.inside = values.get("action", ""), True
            elif tag == "input" and self.inside and values.get("type") == "hidden":
                form.values[values.get("name", "")] = values.get("value", "")

        def handle_endtag(self, tag: str) -> None:
            self.inside = self.inside and tag != "form"

    Parser().feed(page)
    return form
