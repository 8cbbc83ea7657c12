// A double click on a button that begins something begins it once. Gradio sees to that only from the moment on when its
// request is on the way, and the second click comes earlier; so does a key that is held down.

(() => {
  const onButton = (event) => event.target.closest?.(".restore-once");
  const swallow = (event) => {
    event.preventDefault();
    event.stopPropagation();
  };
  document.addEventListener("click", (event) => event.detail > 1 && onButton(event) && swallow(event), true);
  document.addEventListener("keydown", (event) => event.repeat && onButton(event) && swallow(event), true);
})();
