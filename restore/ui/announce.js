// What screen readers read out while a visitor waits: how the work stands. They pass over a live region that comes
// together with its words, as those of the page do, so there is one that is always there and only its words change.

(() => {
  const region = document.createElement("div");
  region.setAttribute("role", "status");
  region.className = "restore-announcer";
  const said = new Map(); // by the element that shows it, in all languages: a switch of the language is no news

  const read = () => {
    for (const line of document.querySelectorAll("[data-announced]")) {
      const place = line.closest("[id]")?.id;
      if (line.offsetParent === null || said.get(place) === line.textContent) continue;
      said.set(place, line.textContent);
      region.textContent = line.innerText;
    }
  };
  const begin = () => {
    document.body.append(region);
    new MutationObserver(read).observe(document.body, { childList: true, subtree: true, characterData: true });
  };
  if (document.body) begin();
  else document.addEventListener("DOMContentLoaded", begin);
})();
