"""The link under which a chain can be passed on: it holds the settings, and nothing of a clip or of a job."""

from __future__ import annotations

import gradio as gr

from restore.errors import RestoreError
from restore.recipes import encode
from restore.ui import markup
from restore.ui.errors import to_gradio_error
from restore.ui.film_chain import STARTING_CHAIN, chosen_steps, edited_chain, editor_value
from restore.ui.texts import both

STYLES = """
.restore-share { display: flex; flex-wrap: wrap; gap: 8px 12px; align-items: center; font-size: var(--text-sm); }
.restore-share button {
  min-height: 36px; padding: 2px 12px; border: 1px solid var(--border-color-primary); border-radius: var(--radius-md);
  background: none; color: var(--body-text-color); font: inherit; cursor: pointer;
}
.restore-share a { color: var(--link-text-color); text-decoration: underline; }
.restore-share [hidden] { display: none; }
"""

SCRIPT = """
element.addEventListener("click", async (event) => {
  const button = event.target.closest("button");
  if (!button) return;
  const share = button.closest(".restore-share");
  const address = share.querySelector("a").href;
  try {
    await navigator.clipboard.writeText(address);
    share.querySelector('[role="status"]').hidden = false;
  } catch {
    // Pages without https may not write to the clipboard: the address is shown, selected, to be copied by hand.
    const line = share.querySelector("input");
    line.hidden = false;
    line.value = address;
    line.select();
  }
});
"""


def chain_link(elem_id: str) -> gr.HTML:
    """The component; its value is what ``link_to`` gives."""
    return gr.HTML(
        link_to(editor_value(STARTING_CHAIN)),
        css_template=STYLES,
        js_on_load=SCRIPT,
        apply_default_css=False,
        elem_id=elem_id,
    )


def link_to(value: object) -> str:
    """The link to the chain in an editor, as HTML, or what is wrong with it."""
    try:
        chosen_steps(value)  # a chain of which nothing would come out is not passed on
        text = encode(edited_chain(value))
    except RestoreError as error:
        return markup.failure(to_gradio_error(error))
    return (
        f'<div class="restore-share"><a href="?chain={text}">{both("film_link")}</a>'
        f'<button type="button">{both("film_copy")}</button>'
        f'<input type="text" readonly hidden aria-label="URL">'
        f'<span role="status" hidden>{both("film_copied")}</span></div>'
    )
