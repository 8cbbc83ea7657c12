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
from restore.settings import Settings
from restore.ui import markup
from restore.ui.attach import QUIET
from restore.ui.clip_again import resume
from restore.ui.errors import to_gradio_error
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
      <button type="button" data-do="resume">{both("own_jobs_resume")}<span class="restore-unseen"></span></button>
      <button type="button" data-do="forget">{both("own_jobs_forget")}<span class="restore-unseen"></span></button>
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
.restore-own-jobs time { flex: 1 0 auto; white-space: nowrap; }
.restore-own-jobs button {
  min-height: 32px; padding: 2px 10px; border: 1px solid var(--border-color-primary); border-radius: var(--radius-sm);
  background: none; color: var(--body-text-color); font: inherit; font-size: var(--text-sm); cursor: pointer;
}
.restore-own-jobs button[hidden] { display: none; }
.restore-own-jobs .restore-own-why { flex-basis: 100%; margin: 0; }
.restore-own-jobs .restore-unseen {
  position: absolute; width: 1px; height: 1px; overflow: hidden; clip-path: inset(50%);
}
"""

# The value is {asked: [{parameter, id, time}], resumed: id} on its way to the server, {told: [...], resumed} on its way
# back: a job that goes on is shown where it was begun.
SCRIPT = """
const ASK_AGAIN = 5000;
const root = element.querySelector("section");
let timer = null;

function ask(resumed = null) {
  clearTimeout(timer);
  const asked = window.restoreJobs?.all() ?? [];
  root.hidden = asked.length === 0;
  if (!asked.length) return root.querySelector("ul").replaceChildren();
  props.value = { asked, resumed };
  trigger("input");
}

function paint() {
  const told = props.value?.told;
  if (!told) return;
  const goes = told.find(({ id, ended }) => id === props.value.resumed && !ended);
  if (goes) return location.assign(goes.link);
  const times = Object.fromEntries((window.restoreJobs?.all() ?? []).map(({ id, time }) => [id, time]));
  const language = document.documentElement.lang;
  const active = document.activeElement;
  const focused = active?.closest?.("li")?.dataset.job;
  root.querySelector("ul").replaceChildren(
    ...told.filter(({ id }) => id in times).map(({ id, link, title, state, why, resumable }) => {
      const row = root.querySelector("template").content.firstElementChild.cloneNode(true);
      row.dataset.job = id;
      const name = row.querySelector("a");
      name.textContent = title;
      if (link) name.href = link;
      row.querySelector(".restore-own-state").innerHTML = state;
      row.querySelector("time").textContent = new Date(times[id]).toLocaleString(language);
      row.querySelector("time").dateTime = new Date(times[id]).toISOString();
      for (const unseen of row.querySelectorAll("button .restore-unseen")) unseen.textContent = ` ${title}`;
      const [resume, forget] = row.querySelectorAll("button");
      resume.hidden = !resumable;
      resume.addEventListener("click", () => ask(id));
      forget.addEventListener("click", () => window.restoreJobs.remove(id));
      if (why) row.append(Object.assign(document.createElement("p"), { className: "restore-own-why", innerHTML: why }));
      return row;
    }),
  );
  const again = focused && `[data-job="${CSS.escape(focused)}"] [data-do="${active.dataset.do ?? "forget"}"]`;
  if (again) root.querySelector(again)?.focus();
  clearTimeout(timer);
  if (told.some(({ ended }) => !ended)) timer = setTimeout(() => (document.hidden ? null : ask()), ASK_AGAIN);
}

const changed = () => (element.isConnected ? ask() : window.removeEventListener("restore-jobs", changed));
window.addEventListener("restore-jobs", changed);
document.addEventListener("visibilitychange", () => !document.hidden && element.isConnected && ask());
new MutationObserver(paint).observe(document.documentElement, { attributeFilter: ["lang"] });
watch("value", paint);
ask();
"""


def build_own_jobs(store: JobStore, settings: Settings) -> None:
    """Put the list into the page that is being built; it is empty, and hidden, where the browser keeps no ids."""
    jobs = gr.HTML(
        html_template=TEMPLATE, css_template=STYLES, js_on_load=SCRIPT, apply_default_css=False, elem_id="own-jobs"
    )

    def tell(value: object) -> Any:
        values = value if isinstance(value, Mapping) else {}
        asked, resumed = values.get("asked"), values.get("resumed")
        failure = None if resumed is None else _resume(store, resumed, settings)
        rows = [_row(store, job) for job in asked[:MOST]] if isinstance(asked, list) else []
        told = [{**row, "why": failure if row["id"] == resumed else None} for row in rows if row is not None]
        return {"told": told, "resumed": resumed}

    jobs.input(tell, jobs, jobs, preprocess=False, concurrency_limit=None, **QUIET)


def _resume(store: JobStore, id: Any, settings: Settings) -> str | None:
    """Let a job go on; what is wrong, as HTML, where it cannot."""
    try:
        resume(store, id, settings)
    except Exception as error:
        return markup.failure(to_gradio_error(error))
    return None


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
        gone = both("own_jobs_gone")
        return {"id": id, "link": None, "title": "–", "state": gone, "ended": True, "resumable": False}
    snapshot = job.snapshot()
    kind: markup.BadgeKind = "good" if snapshot.state is State.FINISHED else "plain"
    words = markup.badge(both(f"job_state.{snapshot.state}"), kind)
    return {
        "id": id,
        "link": f"?{quote(parameter)}={quote(id)}",
        "title": job.title,
        "state": words,
        "ended": job.ended,
        "resumable": job.asked is not None and snapshot.state in (State.PAUSED, State.FAILED),
    }
