"""Two clips that play together, before and after, or one alone.

A ``gr.HTML`` component around the browser's own players, because ``gr.Video`` knows of no other clip beside it.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import gradio as gr

from restore.ui.texts import both
from restore.ui.viewer import file_url

STYLES = """
.restore-players { display: grid; grid-template-columns: repeat(auto-fit, minmax(min(100%, 260px), 1fr)); gap: 8px; }
.restore-players[hidden], .restore-players figure[hidden], .restore-players p[hidden] { display: none; }
.restore-players figure { margin: 0; min-width: 0; }
.restore-players video {
  display: block; width: 100%; max-height: 70vh; border-radius: var(--radius-md); background: #000;
}
.restore-players figcaption { margin-bottom: 4px; color: var(--body-text-color-subdued); font-size: var(--text-sm); }
.restore-players p { margin: 4px 0 0; color: var(--body-text-color); font-size: var(--text-sm); }
"""

# The value is {before, after, offset, stretch}: two addresses, of which one may be missing, how many seconds the first
# is ahead of the second, and how many times as long the second lasts. Whatever is done with one of them happens to the
# other.
SCRIPT = """
const FAR = 0.12; // seconds that the two may be apart
const root = element.querySelector(".restore-players");
const [before, after] = root.querySelectorAll("video");
const offset = () => props.value?.offset ?? 0;
const stretch = () => props.value?.stretch ?? 1;
const ofBefore = (time) => time / stretch() + offset();
const ofAfter = (time) => (time - offset()) * stretch();
const linked = () => Boolean(props.value?.before && props.value?.after);

function show(video, address) {
  const figure = video.closest("figure");
  figure.hidden = !address;
  if ((video.getAttribute("src") ?? "").split("#")[0] === (address ?? "")) return;
  figure.querySelector("p").hidden = true;
  // Some browsers draw nothing of a clip until it is somewhere; so it is, where its first frame is shown.
  if (address) video.src = `${address}#t=0.001`;
  else video.removeAttribute("src");
  video.load();
}

function paint() {
  root.hidden = !props.value?.before && !props.value?.after;
  show(before, props.value?.before);
  show(after, props.value?.after);
  before.muted = linked();
  for (const caption of root.querySelectorAll("figcaption")) caption.hidden = !linked();
}

function follow(leader, other, timeOfOther, paceOfOther) {
  const place = () => {
    const wanted = Math.max(0, timeOfOther(leader.currentTime));
    if (linked() && Math.abs(other.currentTime - wanted) > FAR) other.currentTime = wanted;
  };
  const keepPace = () => {
    const wanted = leader.playbackRate * paceOfOther();
    if (linked() && Math.abs(other.playbackRate - wanted) > 1e-6) other.playbackRate = wanted;
  };
  leader.addEventListener("play", () => {
    place();
    keepPace();
    if (linked() && other.paused) other.play().catch(() => {});
  });
  leader.addEventListener("pause", () => linked() && !leader.ended && other.pause());
  leader.addEventListener("seeking", place);
  leader.addEventListener("ratechange", keepPace);
  leader.addEventListener("error", () => {
    leader.closest("figure").querySelector("p").hidden = !leader.getAttribute("src");
  });
}

follow(after, before, ofBefore, () => 1 / stretch());
follow(before, after, ofAfter, stretch);
after.addEventListener("timeupdate", () => {
  const wanted = ofBefore(after.currentTime);
  if (linked() && !after.paused && !before.seeking && Math.abs(before.currentTime - wanted) > 2 * FAR) {
    before.currentTime = Math.max(0, wanted);
  }
});
after.addEventListener("loadedmetadata", () => linked() && offset() && (before.currentTime = offset()));
watch("value", paint);
paint();
"""


BEFORE_AFTER = (both("viewer.before"), both("viewer.after"))
"""What the two are called, as HTML."""


def players(elem_id: str, words: tuple[str, str] = BEFORE_AFTER) -> gr.HTML:
    """The component; its value is made by ``players_value``, or none. ``words`` are what the two clips are called."""
    template = "".join(
        f'<figure><figcaption id="{elem_id}-{name}">{caption}</figcaption>'
        f'<video controls playsinline preload="metadata" aria-labelledby="{elem_id}-{name}"></video>'
        f'<p role="alert" hidden>{both("players_failed")}</p></figure>'
        for name, caption in zip(("before", "after"), words, strict=True)
    )
    return gr.HTML(
        html_template=f'<div class="restore-players" hidden>{template}</div>',
        css_template=STYLES,
        js_on_load=SCRIPT,
        apply_default_css=False,
        elem_id=elem_id,
    )


def players_value(before: Path | None, after: Path | None, offset: float = 0.0, stretch: float = 1.0) -> dict[str, Any]:
    """The value of ``players``: the first clip is shown ``offset`` seconds ahead of the second, which lasts ``stretch``
    times as long.
    """
    return {
        "before": None if before is None else file_url(before),
        "after": None if after is None else file_url(after),
        "offset": offset,
        "stretch": stretch,
    }
