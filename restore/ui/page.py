"""The page: the tabs, what is around them, and how it is served."""

from __future__ import annotations

import atexit
from dataclasses import replace
from pathlib import Path
from typing import Any

import gradio as gr
from gradio.utils import get_upload_folder

from restore.executors import choose_executor
from restore.inventory import device_facts, model_facts
from restore.jobs import JobStore
from restore.settings import HOUR, Settings, load_settings
from restore.ui import (
    api,
    colour_tab,
    film_api,
    film_tab,
    interpolation_tab,
    language,
    markup,
    own_jobs,
    theme,
    video_tab,
)
from restore.ui.attach import QUIET
from restore.ui.gate import APP_OPTIONS
from restore.ui.image_tab import build_image_tab
from restore.ui.texts import I18N, both, label
from restore.ui.uploads import keep_removing

TITLE = "Restore"

LOOK_SECONDS = 600
"""Between two looks at the uploads, to remove those that are too old."""

CLOSE_SECONDS = 2.0
"""For jobs to clean up when the process ends."""

WATCHERS_PER_JOB = 4
"""Tabs and scripts that may watch one job, on average, before more of them wait in Gradio's own queue."""

TABS = {
    "video": video_tab.PARAMETERS,
    "interpolation": interpolation_tab.PARAMETERS,
    "colour": colour_tab.PARAMETERS,
    "film": film_tab.PARAMETERS,
}
"""The tabs that are not shown first, and the parameters of the page's address that belong to each."""


def build_page(settings: Settings | None = None) -> gr.Blocks:
    """The page, ready to be launched; raises ``SettingsError`` when an environment variable makes no sense."""
    settings = load_settings() if settings is None else settings
    executor = choose_executor()
    settings = replace(settings, lender=executor.lender)
    store = JobStore(
        Path(get_upload_folder()),
        executor,
        keep_seconds=settings.keep_seconds,
        keep_bytes=settings.keep_bytes,
        max_waiting=settings.max_waiting,
    )
    atexit.register(store.close, CLOSE_SECONDS)
    # Watching takes no thread and next to no work, and the executor runs one job after the other, so this limit is only
    # to keep what strangers can open within bounds.
    watchers = WATCHERS_PER_JOB * (settings.max_waiting + 1)

    page = gr.Blocks(title=TITLE, analytics_enabled=False)
    with page:
        # First, because of two events of one name Gradio gives it to the earlier one.
        api.register(store, executor, settings, watchers)
        film_api.register(store, settings, watchers)
        language.language_switch()
        gr.HTML(f"<h1>{TITLE}</h1><p>{both('introduction')}</p>", elem_id="introduction")
        with gr.Tabs() as tabs:
            with gr.Tab(label("tab.image"), id="image"):
                build_image_tab(page, store, executor, settings, watchers)
            with gr.Tab(label("tab.video"), id="video"):
                video_tab.build_video_tab(page, store, executor, settings, watchers)
            with gr.Tab(label("tab.interpolation"), id="interpolation"):
                interpolation_tab.build_interpolation_tab(page, store, settings, watchers)
            with gr.Tab(label("tab.colour"), id="colour"):
                colour_tab.build_colour_tab(page, store, executor, settings, watchers)
            with gr.Tab(label("tab.film"), id="film"):
                film_tab.build_film_tab(page, store, executor, settings, watchers)
        own_jobs.build_own_jobs(store, settings)
        page.load(_named_tab, None, tabs, queue=False, **QUIET)
        _build_inventory(settings)
        gr.HTML(markup.note(both("notice", hours=f"{settings.keep_seconds / HOUR:g}")), elem_id="notice")
    keep_removing(page, settings.keep_seconds, LOOK_SECONDS)
    page.queue(max_size=watchers)
    return page


def _named_tab(request: gr.Request) -> Any:
    """The tab whose job the address of the page names, where it is not the one that is shown first."""
    for tab, parameters in TABS.items():
        if any(name in request.query_params for name in parameters):
            return gr.Tabs(selected=tab)
    return gr.skip()


def _build_inventory(settings: Settings) -> None:
    """What is at hand, looked up whenever somebody wants to see it."""

    def show() -> str:
        return markup.inventory(device_facts(settings), model_facts(settings))

    with gr.Accordion(label("inventory"), open=False, elem_id="inventory") as accordion:
        table = gr.HTML()
    accordion.expand(show, None, table, queue=False, **QUIET)


def launch_page(page: gr.Blocks, settings: Settings | None = None) -> None:
    """Serve ``page`` until it is interrupted; Gradio's environment variables (``GRADIO_SERVER_NAME``, …) say where."""
    settings = load_settings() if settings is None else settings
    page.launch(
        auth=list(settings.login) or None,
        max_file_size=max(settings.max_file_bytes, settings.max_clip_bytes),
        show_error=False,
        enable_monitoring=False,
        theme=theme.THEME,
        head=theme.head() + language.head(),
        i18n=I18N,
        app_kwargs=dict(APP_OPTIONS),
        footer_links=["api", "gradio", "settings"],
        run_history=False,
        ssr_mode=False,
    )
