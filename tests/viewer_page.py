"""The page that the tests of the viewers look at: ``python -m tests.viewer_page`` serves it on loopback."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import gradio as gr
from gradio.utils import get_upload_folder
from PIL import Image

from restore.ui import theme, viewer

SIZE = (1000, 800)
TALL, WIDE = (200, 1600), (2400, 120)
ODD_NAME = "a # b % ? <img src=x> '\"\u8001\u7167\u7247.png"


def both(english: str, chinese: str) -> str:
    return (
        f'<span class="restore-en" lang="en">{english}</span><span class="restore-zh" lang="zh-Hans">{chinese}</span>'
    )


WORDS = viewer.Words(
    before=both("Before", "原图"),
    after=both("After", "结果"),
    divider=both("Divider", "分界线"),
    picture=both("Picture", "图片"),
    failed=both("The picture cannot be shown.", "无法显示图片。"),
    fit=both("Fit", "适合"),
    zoom_in=both("Zoom in", "放大"),
    zoom_out=both("Zoom out", "缩小"),
    full_screen=both("Full screen", "全屏"),
    use_model=both("Use this model, at `${1 + 1}` {{price}} \\", "使用此模型"),
)


def write_pair(folder: Path, name: str, size: tuple[int, int]) -> dict[str, Any]:
    """Two files, one red and one blue, and the value that shows them."""
    paths = [folder / f"{which} {name}" for which in ("before", "after")]
    for path, colour in zip(paths, ("red", "blue"), strict=True):
        Image.new("RGB", size, colour).save(path)
    return viewer.comparison_value(*paths, *size)


def serve() -> None:
    """Serve the page until the process ends, its pictures in a folder below Gradio's own."""
    folder = Path(get_upload_folder()) / "a folder"
    folder.mkdir(parents=True)
    values = {
        "tall": write_pair(folder, "tall.png", TALL),
        "wide": write_pair(folder, "wide.png", WIDE),
        "odd": write_pair(folder, ODD_NAME, SIZE),
        "gone": viewer.comparison_value(folder / "gone.png", folder / "gone too.png", *SIZE),
        "none": None,
    }
    first = write_pair(folder, "first.png", SIZE)
    crop = folder / "after first.png"
    cells = [
        viewer.Cell(None, "Plain", crop),
        viewer.Cell("one", "One", crop, badges=[both("built in", "内置")]),
        viewer.Cell("two", "Two", crop),
        viewer.Cell("three", "Three", note=both("Not on this machine", "本机没有")),
    ]

    def selected(event: gr.SelectData) -> str:
        return f"{event.index} {event.value}"

    def received(file: dict[str, Any] | None) -> str:
        return "nothing" if file is None else f"{file['orig_name']} {file['size']}"

    quiet: dict[str, Any] = {"queue": False, "show_progress": "hidden", "api_visibility": "private"}
    with gr.Blocks(analytics_enabled=False) as page:
        gr.Markdown("# Pictures")
        shown = viewer.before_after("viewer", WORDS, value=first)
        for name, value in values.items():
            button = gr.Button(name, elem_id=name)
            button.click(lambda value=value: gr.HTML(value=value, visible=value is not None), None, shown, **quiet)
        grid = viewer.try_grid("grid", WORDS, value=viewer.grid_value(cells, *SIZE, selected="one"))
        choice = gr.Textbox(label="Choice", elem_id="choice")
        grid.select(selected, None, choice, **quiet)
        upload = gr.File(label="Upload", file_types=["image"], elem_id="upload", elem_classes="restore-upload")
        receipt = gr.Textbox(label="Receipt", elem_id="receipt")
        upload.change(received, upload, receipt, preprocess=False, **quiet)
        gr.Radio(["A name\nand what it means", "Another"], label="Cards", elem_classes="restore-cards")
        gr.Button("Go", variant="primary")
        gr.Button("Halt", variant="stop")
        gr.HTML('<p class="restore-note">A note</p><p class="restore-status good">Good</p>')
        gr.HTML('<p class="restore-status bad">Bad</p><span class="restore-badge warn">careful</span>')
        gr.HTML('<table class="restore-table"><tr><th scope="row">Name</th><td>Value</td></tr></table>')
    page.launch(server_name="127.0.0.1", quiet=True, theme=theme.THEME, head=theme.head())


if __name__ == "__main__":
    serve()
