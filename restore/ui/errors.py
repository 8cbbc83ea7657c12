"""Errors at the edge: the one place where an exception becomes something that a visitor or a script reads."""

from __future__ import annotations

import html
import logging

import gradio as gr

from restore.errors import UNEXPECTED, RestoreError

logger = logging.getLogger(__name__)

SECONDS = 15.0  # that a message stays; one that outlives the next run would seem to belong to it


def to_gradio_error(error: Exception) -> gr.Error:
    """Turn ``error`` into the ``gr.Error`` to raise on the page; its ``message`` is HTML.

    The message of a ``RestoreError`` was written for the visitor and is shown as it is (escaped, because Gradio renders
    messages as HTML and this one may quote a file name). Anything else is a defect of ours: it is logged with its
    traceback, and the visitor gets one general sentence.
    """
    if isinstance(error, gr.Error):
        return error
    return gr.Error(html.escape(message_of(error)), duration=SECONDS, print_exception=False)


def to_api_error(error: Exception) -> gr.Error:
    """Turn ``error`` into the ``gr.Error`` to raise at a public endpoint, as above; its ``message`` is plain text."""
    return gr.Error(message_of(error), print_exception=False)


def message_of(error: Exception) -> str:
    """The sentence to show for ``error``; one that nobody foresaw is logged with its traceback."""
    if isinstance(error, RestoreError):
        return str(error)
    logger.error("Unexpected error behind the page", exc_info=error)
    return UNEXPECTED
