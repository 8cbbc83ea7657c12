// The viewer: pictures in "ports" that zoom and move together, a divider between before and after, a grid of cells.
//
// Python puts a call of beforeAfter or tryGrid behind this text and hands the whole to gr.HTML as js_on_load. The
// template of the component has no placeholders, so Gradio never draws it again; what changes is drawn here.

const LEVELS = [0.0625, 0.125, 0.25, 0.5, 1, 2, 4, 8, 16];
const PIXELATED_FROM = 2;
const TOUCH_SLOP = 6;
const KEY_STEP = 0.02;
const KEY_LEAP = 0.1;
const KEYS = { "+": "in", "=": "in", "-": "out", 0: "fit", 1: "1", 2: "2", f: "full" };

const clamp = (value, low, high) => Math.min(high, Math.max(low, value));

/** The words of one language in an element that may hold those of two. */
function spoken(element) {
  const language = document.documentElement.lang.startsWith("zh") ? ".restore-zh" : ".restore-en";
  return (element.querySelector(language) ?? element).textContent.trim();
}

/** Call `say` now and whenever the page changes its language, as long as `root` is on the page. */
function inEveryLanguage(root, say) {
  const observer = new MutationObserver(() => (root.isConnected ? say() : observer.disconnect()));
  observer.observe(document.documentElement, { attributeFilter: ["lang"] });
  say();
}

// A view: the size of the picture in pixels, `zoom` in device pixels per picture pixel (null: the whole picture fits
// into the port) and the place of the picture that is in the middle of the port, as fractions of its size.

const fitZoom = (view, port) =>
  Math.min(port.clientWidth / view.width, port.clientHeight / view.height) * devicePixelRatio;
const zoomOf = (view, port) => view.zoom ?? fitZoom(view, port);

/** Where a picture begins in a port, along one direction: in the middle, or without a gap at either end. */
function start(middle, length, room) {
  const free = length <= room ? (room - length) / 2 : clamp(room / 2 - middle * length, room - length, 0);
  return Math.round(free * devicePixelRatio) / devicePixelRatio;
}

/** The picture's box in CSS pixels, relative to the port. */
function place(view, port) {
  const scale = zoomOf(view, port) / devicePixelRatio;
  const [width, height] = [view.width * scale, view.height * scale];
  const left = start(view.x, width, port.clientWidth);
  return { left, top: start(view.y, height, port.clientHeight), width, height };
}

function movable(view, port) {
  const box = place(view, port);
  return box.width > port.clientWidth + 1 || box.height > port.clientHeight + 1;
}

/** Keep the middle where the picture can really be, or moving back would begin with nothing. */
function settle(view, port) {
  const box = place(view, port);
  view.x = (port.clientWidth / 2 - box.left) / box.width;
  view.y = (port.clientHeight / 2 - box.top) / box.height;
}

function pan(view, port, right, down) {
  const box = place(view, port);
  view.x -= right / box.width;
  view.y -= down / box.height;
  settle(view, port);
}

/** Zoom so that the spot of the picture at (x, y) of the port stays there. */
function zoomAt(view, port, zoom, x = port.clientWidth / 2, y = port.clientHeight / 2) {
  const box = place(view, port);
  const u = clamp((x - box.left) / box.width, 0, 1);
  const v = clamp((y - box.top) / box.height, 0, 1);
  const fit = fitZoom(view, port);
  const within = zoom === null ? fit : clamp(zoom, Math.min(fit, 1), Math.max(fit, LEVELS.at(-1)));
  view.zoom = Math.abs(within / fit - 1) < 0.005 ? null : within;
  const scale = within / devicePixelRatio;
  view.x = u + (port.clientWidth / 2 - x) / (view.width * scale);
  view.y = v + (port.clientHeight / 2 - y) / (view.height * scale);
  settle(view, port);
}

function nextLevel(view, port, up) {
  const now = zoomOf(view, port);
  const levels = [...LEVELS, fitZoom(view, port)].sort((a, b) => a - b);
  return up ? levels.find((level) => level > now * 1.01) ?? now : levels.findLast((level) => level < now / 1.01) ?? now;
}

/** Where an event happened, relative to a port. */
function within(port, event) {
  const edge = port.getBoundingClientRect();
  return [event.clientX - edge.left - port.clientLeft, event.clientY - edge.top - port.clientTop];
}

/**
 * Let mouse, fingers, pen, keys and the buttons of the bar change `view`, and call `paint` after each change.
 *
 * `slide(port, x)`, where given, is what dragging does on a picture that is wholly in view.
 */
function navigate(root, view, paint, slide) {
  const pointers = new Map();
  let gesture = null;

  const portOf = (event) => event.target.closest(".restore-port");
  const portInUse = () => document.activeElement?.closest(".restore-port") ?? root.querySelector(".restore-port");

  function pinchOf(port) {
    const [a, b] = [...pointers.values()].map((event) => within(port, event));
    return { x: (a[0] + b[0]) / 2, y: (a[1] + b[1]) / 2, gap: Math.max(1, Math.hypot(a[0] - b[0], a[1] - b[1])) };
  }

  function gestureOf(port, event) {
    if (pointers.size > 1) return { kind: "pinch", ...pinchOf(port) };
    if (slide && event.target.closest(".restore-divider")) return { kind: "slide" };
    if (movable(view, port)) return { kind: "pan" };
    if (!slide) return null;
    // A finger may be about to scroll the page: wait until it has gone sideways.
    return event.pointerType === "touch" ? { kind: "maybe slide", from: event.clientX } : { kind: "slide" };
  }

  root.addEventListener("pointerdown", (event) => {
    const port = portOf(event);
    if (!port || event.button !== 0) return;
    if (event.isPrimary) pointers.clear(); // one that went up while its port was taken away never said so
    if (pointers.size > 1) return;
    pointers.set(event.pointerId, event);
    gesture = gestureOf(port, event);
    port.setPointerCapture(event.pointerId);
    port.classList.toggle("restore-held", gesture?.kind === "pan");
    if (gesture?.kind === "slide") slide(port, within(port, event)[0]);
  });

  root.addEventListener("pointermove", (event) => {
    const last = pointers.get(event.pointerId);
    const port = portOf(event);
    if (!last || !port || !gesture) return;
    pointers.set(event.pointerId, event);
    const [right, down] = [event.clientX - last.clientX, event.clientY - last.clientY];
    if (gesture.kind === "pinch" && pointers.size > 1) {
      const now = pinchOf(port);
      pan(view, port, now.x - gesture.x, now.y - gesture.y);
      zoomAt(view, port, zoomOf(view, port) * (now.gap / gesture.gap), now.x, now.y);
      gesture = { kind: "pinch", ...now };
      paint();
    } else if (gesture.kind === "pan") {
      pan(view, port, right, down);
      paint();
    } else if (gesture.kind === "slide" || Math.abs(event.clientX - gesture.from) > TOUCH_SLOP) {
      gesture = { kind: "slide" };
      slide(port, within(port, event)[0]);
    }
  });

  function release(event) {
    if (!pointers.delete(event.pointerId)) return;
    const port = portOf(event);
    if (!port) return void (gesture = null);
    if (event.type === "pointerup" && gesture?.kind === "maybe slide") slide(port, within(port, event)[0]);
    // One finger that stays after a pinch goes on moving the picture.
    gesture = pointers.size === 1 && movable(view, port) ? { kind: "pan" } : null;
    port.classList.toggle("restore-held", gesture !== null);
  }
  root.addEventListener("pointerup", release);
  root.addEventListener("pointercancel", release);

  // Two fingers are ours; one finger scrolls the page unless the picture is zoomed in (touch-action says so).
  for (const type of ["touchstart", "touchmove"]) {
    root.addEventListener(
      type,
      (event) => {
        if (event.touches.length > 1 && event.cancelable && portOf(event)) event.preventDefault();
      },
      { passive: false },
    );
  }

  // The plain wheel scrolls the page, except in full screen, where there is no page.
  root.addEventListener(
    "wheel",
    (event) => {
      const port = portOf(event);
      if (!port || !(event.ctrlKey || event.metaKey || document.fullscreenElement === root)) return;
      event.preventDefault();
      const notches = event.deltaY / (event.deltaMode === WheelEvent.DOM_DELTA_PIXEL ? 100 : 3);
      zoomAt(view, port, zoomOf(view, port) * Math.exp(-clamp(notches, -0.5, 0.5)), ...within(port, event));
      paint();
    },
    { passive: false },
  );

  root.addEventListener("dblclick", (event) => {
    const port = portOf(event);
    if (!port) return;
    const nearest = Math.abs(fitZoom(view, port) - 1) < 0.01 ? 2 : 1;
    zoomAt(view, port, view.zoom === null ? nearest : null, ...within(port, event));
    paint();
  });

  function obey(command, port) {
    if (command === "full") {
      if (document.fullscreenElement === root) document.exitFullscreen();
      // Refused where the page is framed by one that does not allow it; then the button has no use.
      else root.requestFullscreen?.().catch(() => (root.querySelector('[data-command="full"]').hidden = true));
      return;
    }
    const zooms = { fit: null, in: nextLevel(view, port, true), out: nextLevel(view, port, false) };
    zoomAt(view, port, command in zooms ? zooms[command] : Number(command));
    paint();
  }

  root.addEventListener("click", (event) => {
    const command = event.target.closest("[data-command]")?.dataset.command;
    const port = portInUse();
    if (command && port) obey(command, port);
  });

  root.addEventListener("keydown", (event) => {
    const port = portInUse();
    if (!port || event.ctrlKey || event.metaKey || event.altKey) return;
    const leaps = { ArrowLeft: [1, 0], ArrowRight: [-1, 0], ArrowUp: [0, 1], ArrowDown: [0, -1] };
    if (KEYS[event.key]) obey(KEYS[event.key], port);
    else if (event.target === port && leaps[event.key] && movable(view, port)) {
      const [x, y] = leaps[event.key];
      pan(view, port, x * KEY_LEAP * port.clientWidth, y * KEY_LEAP * port.clientHeight);
      paint();
    } else return;
    event.preventDefault();
  });

  const full = root.querySelector('[data-command="full"]');
  full.hidden = !document.fullscreenEnabled;
  root.addEventListener("fullscreenchange", () => full.setAttribute("aria-pressed", document.fullscreenElement === root));
  new ResizeObserver(paint).observe(root);
  inEveryLanguage(root, () => {
    for (const button of root.querySelectorAll("[data-command]")) button.title = spoken(button);
  });
}

/** What depends on the zoom alone: the percentage, the pressed buttons, what dragging does, the smoothing. */
function paintZoom(root, view) {
  const port = root.querySelector(".restore-port");
  const zoom = zoomOf(view, port);
  root.querySelector(".restore-percent").textContent = `${Math.round(zoom * 100)} %`;
  for (const [command, on] of [["fit", view.zoom === null], ["1", zoom === 1], ["2", zoom === 2]]) {
    root.querySelector(`[data-command="${command}"]`).setAttribute("aria-pressed", on);
  }
  root.classList.toggle("restore-movable", movable(view, port));
  root.classList.toggle("restore-pixels", zoom >= PIXELATED_FROM);
}

function putInto(box, picture) {
  for (const side of ["left", "top", "width", "height"]) picture.style[side] = `${box[side]}px`;
}

/** Before and after on top of each other: `props.value` is {before, after, width, height} or nothing. */
function beforeAfter(element, props, watch) {
  const root = element.querySelector(".restore-viewer");
  const port = root.querySelector(".restore-port");
  const [before, after] = [root.querySelector(".restore-before"), root.querySelector(".restore-after")];
  const [beforeTag, afterTag] = root.querySelectorAll(".restore-tag");
  const divider = root.querySelector(".restore-divider");
  const failed = root.querySelector(".restore-failed");
  const view = { width: 1, height: 1, zoom: null, x: 0.5, y: 0.5 };
  let position = 0.5; // of the divider in the part of the picture that is in view

  function shown() {
    const box = place(view, port);
    return [Math.max(0, box.left), Math.min(port.clientWidth, box.left + box.width)];
  }

  function sayPosition() {
    const percent = Math.round(position * 100);
    divider.setAttribute("aria-valuenow", percent);
    divider.setAttribute("aria-valuetext", `${spoken(beforeTag)} ${percent} %, ${spoken(afterTag)} ${100 - percent} %`);
  }

  function paint() {
    if (root.hidden || !port.clientWidth) return;
    const box = place(view, port);
    const [left, right] = shown();
    const at = left + position * (right - left);
    for (const picture of [before, after]) putInto(box, picture);
    before.style.clipPath = `inset(0 ${box.left + box.width - at}px 0 0)`;
    divider.style.left = `${at}px`;
    beforeTag.style.left = `${left}px`;
    afterTag.style.right = `${port.clientWidth - right}px`;
    beforeTag.classList.toggle("restore-away", at - left < beforeTag.offsetWidth + 16);
    afterTag.classList.toggle("restore-away", right - at < afterTag.offsetWidth + 16);
    paintZoom(root, view);
    sayPosition();
  }

  function slide(_port, x) {
    const [left, right] = shown();
    position = clamp((x - left) / (right - left), 0, 1);
    divider.focus({ preventScroll: true });
    paint();
  }

  divider.addEventListener("keydown", (event) => {
    const step = event.shiftKey ? KEY_LEAP : KEY_STEP;
    const next = {
      ArrowLeft: position - step,
      ArrowDown: position - step,
      ArrowRight: position + step,
      ArrowUp: position + step,
      PageDown: position - KEY_LEAP,
      PageUp: position + KEY_LEAP,
      Home: 0,
      End: 1,
    }[event.key];
    if (next === undefined) return;
    event.preventDefault();
    position = clamp(next, 0, 1);
    paint();
  });

  function show() {
    const { value } = props;
    root.hidden = !value;
    failed.hidden = true;
    for (const picture of [before, after]) picture.removeAttribute("src");
    if (!value) return;
    Object.assign(view, { width: value.width, height: value.height, zoom: null, x: 0.5, y: 0.5 });
    position = 0.5;
    port.style.aspectRatio = `${value.width} / ${value.height}`;
    before.src = value.before;
    after.src = value.after;
    paint();
  }

  for (const picture of [before, after]) picture.addEventListener("error", () => (failed.hidden = false));
  navigate(root, view, paint, slide);
  inEveryLanguage(root, () => {
    before.alt = spoken(beforeTag);
    after.alt = spoken(afterTag);
    sayPosition();
    paint();
  });
  watch("value", show);
  show();
}

/** Cells side by side that show the same spot: `props.value` is {width, height, selected, cells} or nothing. */
function tryGrid(element, props, watch, trigger) {
  const root = element.querySelector(".restore-try");
  const cells = root.querySelector(".restore-cells");
  const view = { width: 1, height: 1, zoom: null, x: 0.5, y: 0.5 };
  const ports = () => [...cells.querySelectorAll(".restore-port")];

  function paint() {
    if (!ports().length || !ports()[0].clientWidth) return;
    for (const port of ports()) putInto(place(view, port), port.querySelector("img"));
    paintZoom(root, view);
  }

  function point(event) {
    const over = event.type === "pointermove" && event.pointerType === "mouse" && event.target.closest(".restore-port");
    const box = over && place(view, over);
    const [x, y] = over ? within(over, event) : [0, 0];
    for (const port of ports()) {
      const spot = port.querySelector(".restore-spot");
      spot.hidden = !over || port === over;
      if (spot.hidden) continue;
      const other = place(view, port);
      spot.style.left = `${other.left + ((x - box.left) / box.width) * other.width}px`;
      spot.style.top = `${other.top + ((y - box.top) / box.height) * other.height}px`;
    }
  }

  function mark(model) {
    for (const button of cells.querySelectorAll("button")) {
      button.setAttribute("aria-pressed", button.dataset.model === model);
      button.closest(".restore-cell").classList.toggle("restore-chosen", button.dataset.model === model);
    }
  }

  function make(cell, index) {
    const made = root.querySelector("template").content.firstElementChild.cloneNode(true);
    const part = (name) => made.querySelector(`.restore-${name}`);
    const id = `${element.id}-${index}`;
    // The title, the note and the badges are HTML that Python made and escaped.
    part("title").innerHTML = cell.title;
    part("title").id = id;
    part("badges").innerHTML = cell.badges;
    part("remark").innerHTML = cell.note;
    part("port").setAttribute("aria-labelledby", id);
    part("port").style.aspectRatio = `${view.width} / ${view.height}`;
    if (cell.picture) part("port").querySelector("img").src = cell.picture;
    else part("port").remove();
    const button = made.querySelector("button");
    button.setAttribute("aria-describedby", id);
    if (cell.model === null) button.remove();
    else button.dataset.model = cell.model;
    return made;
  }

  function show() {
    const { value } = props;
    root.hidden = !value;
    Object.assign(view, { zoom: null, x: 0.5, y: 0.5 });
    if (!value) return cells.replaceChildren();
    Object.assign(view, { width: value.width, height: value.height });
    cells.replaceChildren(...value.cells.map(make));
    root.querySelector(".restore-tools").hidden = !ports().length;
    mark(value.selected);
    paint();
  }

  cells.addEventListener("click", (event) => {
    const button = event.target.closest("button[data-model]");
    if (!button) return;
    mark(button.dataset.model);
    trigger("select", { index: [...cells.children].indexOf(button.closest(".restore-cell")), value: button.dataset.model });
  });
  cells.addEventListener("pointermove", point);
  cells.addEventListener("pointerleave", point);
  navigate(root, view, paint);
  watch("value", show);
  show();
}
