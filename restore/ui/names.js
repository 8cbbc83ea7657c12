// The names that Gradio gives its controls for screen readers, and has in English only, follow the language of the page.

(() => {
  const LABEL = "{label}"; // of the control, which Gradio translates itself
  const NAMES = JSON.parse(document.getElementById("restore-names").textContent);
  const renamed = new WeakMap(); // an element and its names: Gradio's and ours

  function inChinese(name) {
    for (const [english, chinese] of NAMES) {
      if (name === english) return chinese;
      const [before, after] = english.split(LABEL);
      if (after === "" && name.startsWith(before)) return chinese.replace(LABEL, () => name.slice(before.length));
    }
    return name;
  }

  function rename(element) {
    const now = element.getAttribute("aria-label");
    const before = renamed.get(element);
    const name = now === before?.ours ? before.name : now;
    const ours = document.documentElement.lang.startsWith("zh") ? inChinese(name) : name;
    renamed.set(element, { name, ours });
    if (ours !== now) element.setAttribute("aria-label", ours);
  }

  const renameAll = (root) => root.querySelectorAll?.("[aria-label]").forEach(rename);

  new MutationObserver((mutations) => {
    for (const { type, target, addedNodes } of mutations) {
      if (target === document.documentElement && type === "attributes") renameAll(document);
      else if (type === "attributes" && target.hasAttribute("aria-label")) rename(target);
      for (const node of addedNodes) {
        if (node.ariaLabel) rename(node);
        renameAll(node);
      }
    }
  }).observe(document.documentElement, { subtree: true, childList: true, attributeFilter: ["aria-label", "lang"] });
})();
