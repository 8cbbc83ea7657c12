"""The parts of a clip that are to stay as they are, such as burnt-in subtitles: chosen, typed, or drawn on a frame."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import gradio as gr
from gradio.components import Component

from restore.errors import RestoreError
from restore.media.clips.probe import probe
from restore.regions import parse_regions
from restore.settings import Settings
from restore.ui import markup
from restore.ui.attach import QUIET, Update
from restore.ui.clip_preview import poster
from restore.ui.errors import to_gradio_error
from restore.ui.image_tab import PREVIEWS_AT_ONCE
from restore.ui.texts import both, label
from restore.ui.uploads import uploaded

NONE, BY_HAND = "none", "by_hand"

CHOICES: Mapping[str, Sequence[str]] = {
    NONE: (),
    "bottom_fifth": ("0,80%,100%,20%",),
    "bottom_quarter": ("0,75%,100%,25%",),
    "top_fifth": ("0,0,100%,20%",),
}
"""The rectangles that have a name of their own."""

# The value is {src, parts, drawn}: the frame, the rectangles as [left, top, width, height] in percent of it, and the
# one that was drawn last, as text.
FRAME = f"""
<div class="restore-untouched" hidden role="img" aria-labelledby="NAME">
  <span class="restore-picker-name restore-unseen" id="NAME">{both("untouched_shown")}</span>
  <img alt="" draggable="false"><span class="restore-parts"></span>
</div>"""

FRAME_STYLES = """
.restore-untouched { position: relative; width: fit-content; max-width: 100%; overflow: hidden; cursor: crosshair;
  border-radius: var(--radius-md); }
.restore-untouched[hidden] { display: none; }
.restore-untouched img { display: block; max-width: 100%; max-height: 240px; margin: 0; }
.restore-picker-name { position: absolute; width: 1px; height: 1px; overflow: hidden; clip-path: inset(50%); }
.restore-parts span { position: absolute; box-sizing: border-box; border: 2px solid #fff; outline: 1px solid #000;
  outline-offset: -3px; background: rgb(255 255 255 / 25%); pointer-events: none; }
"""

FRAME_SCRIPT = """
const root = element.querySelector(".restore-untouched");
const picture = root.querySelector("img");
const parts = root.querySelector(".restore-parts");
let from = null;
function show(rectangles) {
  parts.replaceChildren(...rectangles.map(([left, top, width, height]) => {
    const part = document.createElement("span");
    Object.assign(part.style, { left: `${left}%`, top: `${top}%`, width: `${width}%`, height: `${height}%` });
    return part;
  }));
}
function paint() {
  const { value } = props;
  root.hidden = !value;
  if (!value) return picture.removeAttribute("src");
  if (picture.src !== value.src) picture.src = value.src;
  show(value.parts);
}
function place(event) {
  const box = picture.getBoundingClientRect();
  const share = (offset, side) => Math.round(100 * Math.min(1, Math.max(0, offset / side)));
  return [share(event.clientX - box.left, box.width), share(event.clientY - box.top, box.height)];
}
function between(one, other) {
  const [left, top] = [0, 1].map((axis) => Math.min(one[axis], other[axis]));
  return [left, top, Math.abs(one[0] - other[0]), Math.abs(one[1] - other[1])];
}
picture.addEventListener("pointerdown", (event) => {
  if (event.pointerType === "touch" || event.button !== 0) return; // a finger scrolls the page
  event.preventDefault();
  picture.setPointerCapture(event.pointerId);
  from = place(event);
});
picture.addEventListener("pointermove", (event) => from && show([between(from, place(event))]));
picture.addEventListener("pointercancel", () => { from = null; paint(); });
picture.addEventListener("pointerup", (event) => {
  if (!from) return;
  const part = between(from, place(event));
  from = null;
  if (!part[2] || !part[3]) return paint();
  props.value = { ...props.value, parts: [part], drawn: part.map((each) => `${each}%`).join(", ") };
  trigger("select");
});
watch("value", paint);
paint();
"""

TO_FIELDS = f"(value) => ['{BY_HAND}', value.drawn]"


class UntouchedFields:
    """The components, made where it is called for; the names of their elements begin with ``prefix``."""

    def __init__(self, prefix: str) -> None:
        self._choice = gr.Dropdown(
            [(label(f"untouched.{name}"), name) for name in (*CHOICES, BY_HAND)],
            value=NONE,
            label=label("untouched_label"),
            info=label("untouched_info"),
            elem_id=f"{prefix}untouched",
        )
        self._text = gr.Textbox(
            label=label("untouched_parts"),
            info=label("untouched_parts_info"),
            placeholder="0, 85%, 100%, 15%",
            max_lines=1,
            visible=False,
            elem_id=f"{prefix}untouched-parts",
        )
        self._frame = gr.HTML(
            html_template=FRAME.replace("NAME", f"{prefix}untouched-name"),
            css_template=FRAME_STYLES,
            js_on_load=FRAME_SCRIPT,
            apply_default_css=False,
            elem_id=f"{prefix}untouched-frame",
        )
        self._problem = gr.HTML(visible=False, elem_id=f"{prefix}untouched-problem")

    @property
    def inputs(self) -> list[Component]:
        """What ``read`` takes the values of, in its order."""
        return [self._choice, self._text]

    @property
    def chosen(self) -> list[Any]:
        """The events in which a visitor chooses anything here, in the end."""
        return [self._choice.change, self._text.blur, self._text.submit]

    def read(self, choice: Any, text: Any) -> str | Sequence[str]:
        """The rectangles that the raw values of ``inputs`` stand for."""
        return CHOICES.get(choice, text or "")

    def connect(self, file: Component, settings: Settings) -> None:
        """Let what is chosen be seen on a frame of the clip ``file``, and be drawn there."""

        def show(file: Mapping[str, Any] | None, choice: Any, text: Any) -> Update:
            by_hand = choice == BY_HAND
            shown: Update = {
                self._text: gr.Textbox(visible=by_hand),
                self._frame: gr.HTML(value=None),
                self._problem: gr.HTML(value="", visible=False),
            }
            if choice == NONE:
                return shown
            if file is None:
                return {**shown, self._problem: gr.HTML(value=markup.note(both("untouched_no_clip")), visible=True)}
            try:
                path = uploaded(file)
                info = probe(path, settings)
                value: dict[str, Any] = {"src": poster(path, info, settings), "parts": []}
                shown[self._frame] = value
                for part in parse_regions(self.read(choice, text), info.video.display_size):
                    value["parts"].append([100 * share for share in part.to_dict().values()])
            except RestoreError as error:
                failure = markup.failure(to_gradio_error(error))
                return {**shown, self._problem: gr.HTML(value=failure, visible=True)}
            except Exception as error:
                raise to_gradio_error(error) from None
            return shown

        gr.on(
            [file.change, *self.chosen],  # type: ignore[attr-defined]  # every upload has it
            show,
            [file, *self.inputs],
            [self._text, self._frame, self._problem],
            preprocess=False,
            trigger_mode="always_last",
            concurrency_limit=PREVIEWS_AT_ONCE,
            **QUIET,
        )
        self._frame.select(None, self._frame, self.inputs, js=TO_FIELDS, **QUIET).then(
            show,
            [file, *self.inputs],
            [self._text, self._frame, self._problem],
            preprocess=False,
            concurrency_limit=PREVIEWS_AT_ONCE,
            **QUIET,
        )
