"""The list of the jobs that were begun in this browser, on the page.

The browser keeps their ids (``own_jobs.js``), and asks here what has become of them; nobody else's are told.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from urllib.parse import quote

import gradio as gr

from restore.errors import GoneError
from restore.jobs import JobStore, State
from restore.ui import markup
from restore.ui.attach import QUIET
from restore.ui.texts import both

MOST = 50
"""Jobs that are asked for at once; the browser keeps no more."""

TEMPLATE = f"""
<section class="restore-own-jobs" aria-labelledby="own-jobs-title" hidden>
  <h2 id="own-jobs-title">{both("own_jobs")}</h2>
  <p class="restore-note">{both("own_jobs_info")}</p>
  <ul></ul>
  <template>
    <li>
      <a></a> <span class="restore-own-state"></span> <time class="restore-note"></time>
      <button type="button">{both("own_jobs_forget")}<span class="restore-unseen"></span></button>
    </li>
  </template>
</section>"""

STYLES = """
.restore-own-jobs h2 { margin: 0; font-size: var(--text-lg); }
.restore-own-jobs[hidden] { display: none; }
.restore-own-jobs ul { display: flex; flex-direction: column; gap: 4px; margin: 8px 0 0; padding: 0; list-style: none; }
.restore-own-jobs li {
  display: flex; flex-wrap: wrap; gap: 4px 12px; align-items: center; margin: 0; padding: 6px 12px;
  border: 1px solid var(--border-color-primary); border-radius: var(--radius-md);
  background: var(--block-background-fill);
}
.restore-own-jobs a { overflow-wrap: anywhere; }
.restore-own-jobs time { flex: 1; }
.restore-own-jobs button {
  min-height: 32px; padding: 2px 10px; border: 1px solid var(--border-color-primary); border-radius: var(--radius-sm);
  background: none; color: var(--body-text-color); font: inherit; font-size: var(--text-sm); cursor: pointer;
}
.restore-own-jobs .restore-unseen {
  position: absolute; width: 1px; height: 1px; overflow: hidden; clip-path: inset(50%);
}
"""

# The value is {asked: [{parameter, id, time}]} on its way to the server, with {told: [...]} on its way back.
SCRIPT = """
const ASK_AGAIN = 5000;
const root = element.querySelector("section");
let timer = null;

function ask() {
  clearTimeout(timer);
  const asked = window.restoreJobs?.all() ?? [];
  root.hidden = asked.length === 0;
  if (!asked.length) return root.querySelector("ul").replaceChildren();
  props.value = { asked };
  trigger("input");
}

function paint() {
  const told = props.value?.told;
  if (!told) return;
  const times = Object.fromEntries((window.restoreJobs?.all() ?? []).map(({ id, time }) => [id, time]));
  const language = document.documentElement.lang;
  const focused = document.activeElement?.closest?.("li")?.dataset.job;
  root.querySelector("ul").replaceChildren(
    ...told.filter(({ id }) => id in times).map(({ id, link, title, state }) => {
      const row = root.querySelector("template").content.firstElementChild.cloneNode(true);
      row.dataset.job = id;
      const name = row.querySelector("a");
      name.textContent = title;
      if (link) name.href = link;
      row.querySelector(".restore-own-state").innerHTML = state;
      row.querySelector("time").textContent = new Date(times[id]).toLocaleString(language);
      row.querySelector("time").dateTime = new Date(times[id]).toISOString();
      row.querySelector(".restore-unseen").textContent = ` ${title}`;
      row.querySelector("button").addEventListener("click", () => window.restoreJobs.remove(id));
      return row;
    }),
  );
  if (focused) root.querySelector(`[data-job="${CSS.escape(focused)}"] button`)?.focus();
  clearTimeout(timer);
  if (told.some(({ ended }) => !ended)) timer = setTimeout(() => (document.hidden ? null : ask()), ASK_AGAIN);
}

const again = () => (element.isConnected ? ask() : window.removeEventListener("restore-jobs", again));
window.addEventListener("restore-jobs", again);
document.addEventListener("visibilitychange", () => !document.hidden && element.isConnected && ask());
new MutationObserver(paint).observe(document.documentElement, { attributeFilter: ["lang"] });
watch("value", paint);
ask();
"""


def build_own_jobs(store: JobStore) -> None:
    """Put the list into the page that is being built; it is empty, and hidden, where the browser keeps no ids."""
    jobs = gr.HTML(
        html_template=TEMPLATE, css_template=STYLES, js_on_load=SCRIPT, apply_default_css=False, elem_id="own-jobs"
    )

    def tell(value: object) -> Any:
        asked = value.get("asked") if isinstance(value, Mapping) else None
        rows = [_row(store, job) for job in asked[:MOST]] if isinstance(asked, list) else []
        return {"told": [row for row in rows if row is not None]}

    jobs.input(tell, jobs, jobs, preprocess=False, concurrency_limit=None, **QUIET)


def _row(store: JobStore, asked: object) -> dict[str, Any] | None:
    """What has become of a job; ``None`` for what cannot be one."""
    if not isinstance(asked, Mapping):
        return None
    id, parameter = asked.get("id"), asked.get("parameter")
    if not isinstance(id, str) or not isinstance(parameter, str):
        return None
    try:
        job = store.find(id)
    except GoneError:
        return {"id": id, "link": None, "title": "–", "state": both("own_jobs_gone"), "ended": True}
    snapshot = job.snapshot()
    kind: markup.BadgeKind = "good" if snapshot.state is State.FINISHED else "plain"
    words = markup.badge(both(f"job_state.{snapshot.state}"), kind)
    return {
        "id": id,
        "link": f"?{quote(parameter)}={quote(id)}",
        "title": job.title,
        "state": words,
        "ended": job.ended,
    }
