// Paste and drop anywhere on the page: the file goes into the upload of the tab that is in view, whatever it is.

(() => {
  const WAIT = 3000; // milliseconds for the upload to become empty
  const TYPED = 'textarea, [contenteditable="true"], input:not([type="range"], [type="radio"], [type="checkbox"], [type="file"])';
  let entered = 0;

  const inView = () => [...document.querySelectorAll(".restore-upload")].find((upload) => upload.offsetParent !== null);
  const inputOf = (upload) => upload.querySelector('input[type="file"]');

  /** The input of an upload; one that holds a file already has none, and is emptied first with its own button. */
  function emptied(upload) {
    if (inputOf(upload)) return Promise.resolve(inputOf(upload));
    return new Promise((resolve) => {
      const finish = () => {
        observer.disconnect();
        clearTimeout(timer);
        resolve(inputOf(upload));
      };
      const observer = new MutationObserver(() => inputOf(upload) && finish());
      const timer = setTimeout(finish, WAIT);
      observer.observe(upload, { childList: true, subtree: true });
      // The last button above the list of files; while a file is still being sent there is none, and we wait.
      [...upload.querySelectorAll(".icon-button-wrapper button")].at(-1)?.click();
    });
  }

  /** Gradio refuses what an upload is not for in its own words and language; so admit it, and the server tells. */
  function admitted(file, accept) {
    const family = /\b(\w+\/)\*/.exec(accept)?.[1]; // "image/" of "image/*"
    return !family || file.type.startsWith(family) ? file : new File([file], file.name, { type: `${family}unknown` });
  }

  async function give(file) {
    const upload = inView();
    const input = upload && (await emptied(upload));
    if (!input) return;
    const held = new DataTransfer();
    held.items.add(admitted(file, input.accept));
    input.files = held.files;
    input.dispatchEvent(new Event("change", { bubbles: true }));
  }

  // What was picked in a file chooser that shows all files.
  document.addEventListener(
    "change",
    (event) => {
      const input = event.target;
      const file = input.matches?.('.restore-upload input[type="file"]') && input.files[0];
      if (!file || admitted(file, input.accept) === file) return;
      event.stopPropagation();
      give(file);
    },
    true,
  );

  const carriesFiles = (event) => [...(event.dataTransfer?.types ?? [])].includes("Files");

  /** Show where a file may be let go: everywhere. */
  function outline(on) {
    if (!on) entered = 0;
    inView()?.classList.toggle("restore-drop", on);
  }

  document.addEventListener("paste", (event) => {
    if (event.target.closest?.(TYPED)) return;
    const file = [...(event.clipboardData?.files ?? [])].find((one) => /^(image|video)\//.test(one.type));
    if (!file || !inView()) return;
    event.preventDefault();
    // Browsers call what was copied from a window "image.png"; a copied file keeps its name.
    const named = file.name === "image.png" ? new File([file], "pasted.png", { type: file.type }) : file;
    give(named);
  });

  document.addEventListener("dragenter", (event) => carriesFiles(event) && ++entered && outline(true), true);
  document.addEventListener("dragleave", (event) => carriesFiles(event) && --entered <= 0 && outline(false), true);
  document.addEventListener("dragover", (event) => carriesFiles(event) && inView() && event.preventDefault());
  document.addEventListener(
    "drop",
    (event) => {
      outline(false);
      const file = event.dataTransfer?.files[0];
      if (!file || !inView()) return;
      event.preventDefault();
      event.stopPropagation();
      give(file);
    },
    true,
  );
})();
