"""Errors at the edge: the one place where an exception becomes something that a visitor or a script reads."""

from __future__ import annotations

import logging

import gradio as gr

from restore.errors import UNEXPECTED, RestoreError
from restore.ui import markup

logger = logging.getLogger(__name__)

SECONDS = 15.0  # that a message stays; one that outlives the next run would seem to belong to it


def to_gradio_error(error: Exception) -> gr.Error:
    """Turn ``error`` into the ``gr.Error`` to raise on the page; its ``message`` is HTML.

    The message of a ``RestoreError`` was written for the visitor and is shown as it is (escaped, because Gradio renders
    messages as HTML and this one may quote a file name), below a heading in both languages. Anything else is a defect
    of ours: it is logged with its traceback, and the visitor gets one general sentence.
    """
    if isinstance(error, gr.Error):
        return error
    _log(error)
    return gr.Error(markup.problem(error), duration=SECONDS, print_exception=False)


def to_api_error(error: Exception) -> gr.Error:
    """Turn ``error`` into the ``gr.Error`` to raise at a public endpoint, as above; its ``message`` is plain text."""
    if isinstance(error, gr.Error):
        return error
    _log(error)
    return gr.Error(error.for_visitors if isinstance(error, RestoreError) else UNEXPECTED, print_exception=False)


def _log(error: Exception) -> None:
    """Tell whoever runs the server what is theirs to change: a defect, or a limit that somebody ran into."""
    if not isinstance(error, RestoreError):
        logger.error("Unexpected error behind the page", exc_info=error)
    elif error.setting is not None:
        logger.warning("Refused: %s", error)
