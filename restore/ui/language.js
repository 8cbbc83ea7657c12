// Which language the page is in. Gradio translates its components itself and keeps the locale; a hidden element that it
// translates like any other text tells which one that is, and <html lang> follows it: the style sheet shows the texts in
// both languages by it. So it makes no difference whether the locale was changed here or in Gradio's own settings.

(() => {
  const STORED = "restore-language";
  const LOCALES = { en: "en", zh: "zh-CN" };

  const known = (tag) => Object.keys(LOCALES).find((language) => new RegExp(`^${language}\\b`, "i").test(tag ?? ""));

  function stored() {
    try {
      return localStorage.getItem(STORED);
    } catch {
      return null; // storage may be forbidden; then the choice holds until the page is left
    }
  }

  // A link's wish comes first, then the visitor's own former choice, then what the browser asks for. A visitor who reads
  // neither language gets English throughout rather than a mixture of Gradio's translation and English.
  function wanted() {
    const asked = new URLSearchParams(location.search).get("lang");
    return [asked, stored(), ...navigator.languages].map(known).find(Boolean) ?? "en";
  }

  function remember(language) {
    try {
      localStorage.setItem(STORED, language);
    } catch {
      // as above
    }
    const url = new URL(location.href);
    if (url.searchParams.has("lang")) {
      url.searchParams.delete("lang");
      history.replaceState(history.state, "", url);
    }
  }

  // Gradio's own module that holds the locale: imported by the address that it was loaded from, it is the same instance.
  async function gradio() {
    const loaded = performance.getEntriesByType("resource").map((entry) => entry.name);
    const announced = [...document.querySelectorAll("link[rel=modulepreload]")].map((link) => link.href);
    const address = [...loaded, ...announced].find((name) => /\/assets\/core-[\w-]+\.js$/.test(name));
    const module = address && (await import(address));
    if (typeof module?.changeLocale !== "function") throw new Error("This release of Gradio keeps its locale elsewhere.");
    return module;
  }

  function show(element) {
    const tag = element.textContent.trim();
    if (document.documentElement.lang !== tag) document.documentElement.lang = tag;
    for (const button of document.querySelectorAll("#language [data-language]")) {
      button.setAttribute("aria-pressed", String(known(tag) === button.dataset.language));
    }
  }

  function start(element, buttons) {
    show(element);
    const observer = new MutationObserver(() => show(element));
    observer.observe(element, { childList: true, characterData: true, subtree: true });
    // Gradio puts its locale there, which is German where the texts are still English.
    observer.observe(document.documentElement, { attributeFilter: ["lang"] });
    gradio().then(
      (module) => {
        module.changeLocale(LOCALES[wanted()]);
        buttons.addEventListener("click", (event) => {
          const language = event.target.closest("[data-language]")?.dataset.language;
          if (!language) return;
          remember(language);
          module.changeLocale(LOCALES[language]);
        });
      },
      (error) => {
        console.warn(error);
        buttons.hidden = true; // Gradio's settings still change the language
      },
    );
  }

  document.documentElement.lang = wanted();
  const waiting = new MutationObserver(() => {
    const element = document.getElementById("language-code");
    const buttons = document.querySelector("#language .restore-languages");
    if (!element?.textContent.trim() || !buttons) return;
    waiting.disconnect();
    start(element, buttons);
  });
  waiting.observe(document.documentElement, { childList: true, subtree: true });
})();
