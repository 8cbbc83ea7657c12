// The editor of a chain: one card for each stage, with its settings, in the order in which they run.
//
// Python puts `const SCHEMA = …` before this text and hands the whole to gr.HTML as js_on_load. SCHEMA says which stages
// and settings there are and what they are called, in both languages; props.value is {steps: [{on, step}]}, where `step`
// is a stage as a recipe has it. What the editor has no field for stays in `step`.
// Every change of a visitor's is in props.value when the event "change" comes; a file that was chosen comes as its text
// in props.value.file, with the event "upload". The browser keeps the chain: it is there again when the page is loaded
// again, unless the address brings one (SCHEMA.parameter).

const { forms, words, recipes } = SCHEMA;
const FORMS = Object.fromEntries(forms.map((form) => [form.stage, form]));
const LARGEST_FILE = 1 << 18;
const STORED = "restore-chain";

const list = element.querySelector(".restore-chain-list");
const told = element.querySelector(".restore-chain-told");
const open = new WeakSet(); // the steps whose settings are in view

let steps = [];
let painted = "";
let serial = 0;

const inChinese = () => document.documentElement.lang.startsWith("zh");
const say = (both) => (both ? (inChinese() ? both.zh : both.en) : "");

/** An element with properties, of which those with a dash are attributes, and with what is in it. */
function make(tag, properties, ...children) {
  const made = document.createElement(tag);
  for (const [name, value] of Object.entries(properties ?? {})) {
    if (name.includes("-") || name === "role" || name === "for") made.setAttribute(name, value);
    else made[name] = value;
  }
  made.append(...children.filter((child) => child !== null));
  return made;
}

const same = (one, other) => JSON.stringify(one) === JSON.stringify(other);
const valueOf = (field, step) => {
  const value = step[field.name] ?? field.usual;
  return value ?? null;
};
const isShown = (form, field, step) =>
  Object.entries(field.shown).every(([name, values]) => {
    const other = form.fields.find((each) => each.name === name);
    return values.some((value) => same(value, valueOf(other, step)));
  });

const shown = () => ({ steps: steps.map(({ on, step }) => ({ on, step: { ...step } })) });

/** Hand the chain over as it is now. */
function commit(more = {}) {
  const value = { ...shown(), ...more };
  painted = JSON.stringify(value);
  props.value = value;
  remember();
  forgetLink();
}

/** Keep the chain in the browser, for when the page is loaded again. */
function remember() {
  try {
    localStorage.setItem(STORED, JSON.stringify(shown()));
  } catch {
    // storage may be forbidden
  }
}

/** The chain that was kept, or null. */
function remembered() {
  try {
    const value = JSON.parse(localStorage.getItem(STORED) ?? "null");
    const isEntry = (entry) => typeof entry?.on === "boolean" && Object.hasOwn(FORMS, entry.step?.stage);
    return Array.isArray(value?.steps) && value.steps.every(isEntry) ? value : null;
  } catch {
    return null; // storage may be forbidden, or hold what somebody else has put there
  }
}

/** A chain that was changed is not that of the page's address any more, which would come back in its place. */
function forgetLink() {
  const url = new URL(location.href);
  if (!url.searchParams.has(SCHEMA.parameter)) return;
  url.searchParams.delete(SCHEMA.parameter);
  history.replaceState(history.state, "", url);
}

function set(entry, field, value) {
  entry.step = { ...entry.step, [field.name]: value };
  if (value !== null && value !== field.off) for (const name of field.clears) delete entry.step[name];
  commit();
}

function shownValue(field, step) {
  const value = valueOf(field, step);
  if (field.kind === "choice") {
    const choice = field.choices.find((each) => same(each.value, value));
    return choice ? say(choice.title) : String(value);
  }
  return value === null ? "" : String(value);
}

/** In a few words what the stage does. */
function gist({ step }) {
  const form = FORMS[step.stage];
  if (!form) return "";
  return form.fields
    .filter((field) => field.gist && isShown(form, field, step))
    .filter((field) => !(field.kind === "choice" && field.name !== "model" && valueOf(field, step) === null))
    .map((field) => {
      const value = shownValue(field, step);
      if (!value) return "";
      if (field.kind === "slider") return `${value}×`;
      return field.kind === "text" ? `${value} fps` : value;
    })
    .filter(Boolean)
    .join(" · ");
}

function control(entry, field, id, refresh) {
  const value = valueOf(field, entry.step);
  const describedBy = field.info ? { "aria-describedby": `${id}-info` } : {};
  const after = (next) => {
    set(entry, field, next);
    refresh();
  };
  if (field.kind === "choice") {
    const options = field.choices.map((choice, index) =>
      make("option", { value: String(index), selected: same(choice.value, value), textContent: say(choice.title) }),
    );
    const known = field.choices.some((choice) => same(choice.value, value));
    if (!known) options.push(make("option", { value: "", selected: true, textContent: String(value) }));
    const select = make("select", { id, ...describedBy }, ...options);
    select.addEventListener("change", () => select.value && after(field.choices[Number(select.value)].value));
    return select;
  }
  if (field.kind === "check") {
    const box = make("input", { type: "checkbox", id, checked: same(value, field.on), ...describedBy });
    box.addEventListener("change", () => after(box.checked ? field.on : field.off));
    return box;
  }
  if (field.kind === "text") {
    const { placeholder } = field;
    const line = make("input", { type: "text", id, value: value ?? "", placeholder, maxLength: 40, ...describedBy });
    line.addEventListener("change", () => after(line.value.trim() || null));
    return line;
  }
  const { low, high, step } = field;
  const slider = make("input", { type: "range", id, min: low, max: high, step, ...describedBy });
  slider.value = String(value);
  const output = make("output", { textContent: String(value), "for": id });
  slider.addEventListener("input", () => (output.textContent = slider.value));
  slider.addEventListener("change", () => after(Number(slider.value)));
  return make("div", { className: "restore-chain-range" }, slider, output);
}

function fieldRow(entry, field, id, refresh) {
  const title = make("label", { htmlFor: id, textContent: say(field.title) });
  const info = field.info && make("small", { id: `${id}-info`, textContent: say(field.info) });
  const input = control(entry, field, id, refresh);
  const row = make("div", { className: `restore-chain-field restore-chain-${field.kind}` });
  if (field.kind === "check") row.append(make("div", {}, input, title));
  else row.append(title, input);
  if (info) row.append(info);
  const note = field.choices.find((choice) => same(choice.value, valueOf(field, entry.step)))?.note;
  if (note) row.append(make("small", { textContent: say(note) }));
  return row;
}

function body(entry, id, refresh) {
  const form = FORMS[entry.step.stage];
  const fields = form.fields.filter((field) => isShown(form, field, entry.step));
  const rows = fields.map((field) => fieldRow(entry, field, `${id}-${field.name}`, refresh));
  const about = make("p", { className: "restore-note", textContent: say(form.info) });
  return [about, make("div", { className: "restore-chain-fields" }, ...rows)];
}

function iconButton(name, words_, path, disabled, act) {
  const picture = `<svg viewBox="0 0 16 16" aria-hidden="true"><path d="${path}"/></svg>`;
  const button = make("button", { type: "button", innerHTML: picture, title: words_, disabled, "aria-label": words_ });
  button.dataset.act = name;
  button.addEventListener("click", act);
  return button;
}

const fill = (both, parameters) => say(both).replace(/\{(\w+)\}/g, (_, name) => parameters[name]);

function card(entry, index) {
  const form = FORMS[entry.step.stage];
  const title = form ? say(form.title) : String(entry.step.stage);
  const numbered = `${index + 1}. ${title}`;
  const id = `${element.id || "chain"}-${entry.key}`;
  const item = make("li", { className: "restore-chain-step" });
  item.classList.toggle("off", !entry.on);
  item.dataset.key = entry.key;

  const content = make("div", { className: "restore-chain-body", id: `${id}-body` });
  const summary = make("span", { className: "restore-chain-gist" });
  const head = make(
    "button",
    { type: "button", className: "restore-chain-head", "aria-controls": `${id}-body`, disabled: !form },
    make("strong", { textContent: numbered }),
    summary,
  );
  const draw = () => {
    summary.textContent = entry.on ? gist(entry) : say(words.off);
    const isOpen = Boolean(form) && open.has(entry);
    head.setAttribute("aria-expanded", String(isOpen));
    content.hidden = !isOpen;
    const focused = content.contains(document.activeElement) ? document.activeElement.id : null;
    content.replaceChildren(...(isOpen ? body(entry, id, draw) : []));
    if (focused) document.getElementById(focused)?.focus();
  };
  head.dataset.act = "open";
  head.addEventListener("click", () => {
    if (open.has(entry)) open.delete(entry);
    else open.add(entry);
    draw();
  });

  const box = make("input", { type: "checkbox", checked: entry.on, "aria-label": fill(words.use, { stage: numbered }) });
  box.dataset.act = "on";
  box.title = say(words.use_hint);
  box.addEventListener("change", () => {
    entry.on = box.checked;
    item.classList.toggle("off", !entry.on);
    draw();
    commit();
  });
  const name = (both) => fill(both, { stage: numbered });
  const last = steps.length - 1;
  item.append(
    make(
      "div",
      { className: "restore-chain-row" },
      box,
      head,
      make(
        "div",
        { className: "restore-chain-tools" },
        iconButton("up", name(words.up), "M8 13V3M3.5 7.5 8 3l4.5 4.5", index === 0, () => move(entry, -1)),
        iconButton("down", name(words.down), "M8 3v10M3.5 8.5 8 13l4.5-4.5", index === last, () => move(entry, 1)),
        iconButton("remove", name(words.remove), "M4 4l8 8M12 4l-8 8", false, () => remove(entry)),
      ),
    ),
    content,
  );
  draw();
  return item;
}

/** Draw the list again, with the focus on the control `act` of the step `key`. */
function paint(key, act) {
  list.replaceChildren(...steps.map(card));
  element.querySelector(".restore-chain-empty").hidden = steps.length > 0;
  if (!key) return;
  const item = list.querySelector(`[data-key="${key}"]`);
  const wanted = item?.querySelector(`[data-act="${act}"]:not(:disabled)`);
  (wanted ?? item?.querySelector(".restore-chain-tools button:not(:disabled)"))?.focus();
}

function move(entry, by) {
  const from = steps.indexOf(entry);
  steps.splice(from, 1);
  steps.splice(from + by, 0, entry);
  paint(entry.key, by < 0 ? "up" : "down");
  told.textContent = fill(words.moved, { place: from + by + 1, places: steps.length });
  commit();
}

function remove(entry) {
  const place = steps.indexOf(entry);
  steps.splice(place, 1);
  const next = steps[Math.min(place, steps.length - 1)];
  paint(next?.key, "remove");
  if (!next) element.querySelector("[data-add]").focus();
  told.textContent = fill(words.removed, { places: steps.length });
  commit();
}

const keyed = ({ on, step }) => ({ on, step: { ...step }, key: `step${++serial}` });

function add(stage) {
  const entry = keyed({ on: true, step: { stage, ...FORMS[stage].first } });
  steps.push(entry);
  open.add(entry);
  paint(entry.key, "open");
  commit();
}

function take(value) {
  told.textContent = "";
  steps = (Array.isArray(value?.steps) ? value.steps : []).map(keyed);
  paint();
}

/** The words of everything that is always there. */
function paintWords() {
  for (const each of element.querySelectorAll("[data-word]")) each.textContent = say(words[each.dataset.word]);
  for (const each of element.querySelectorAll("[data-add]")) each.textContent = `+ ${say(FORMS[each.dataset.add].title)}`;
  for (const each of element.querySelectorAll("option[data-recipe]")) {
    const recipe = recipes[each.dataset.recipe];
    each.textContent = say(recipe ? recipe.title : words.choose_recipe);
  }
  element.querySelector(".restore-chain-about").textContent = say(recipes[chooser.value]?.about);
}

const chooser = element.querySelector("[data-recipes]");
chooser.append(
  make("option", { value: "" }),
  ...Object.keys(recipes).map((name) => make("option", { value: name })),
);
for (const option of chooser.options) option.dataset.recipe = option.value;
chooser.addEventListener("change", () => {
  const recipe = recipes[chooser.value];
  paintWords();
  if (!recipe) return;
  take({ steps: recipe.steps.map((step) => ({ on: true, step })) });
  told.textContent = fill(words.taken, { places: steps.length });
  commit();
});
element.querySelector(".restore-chain-recipes").hidden = Object.keys(recipes).length === 0;

const adders = element.querySelector(".restore-chain-add");
for (const { stage } of forms) {
  const button = make("button", { type: "button" });
  button.dataset.add = stage;
  button.addEventListener("click", () => add(stage));
  adders.append(button);
}

const file = element.querySelector("input[type=file]");
element.querySelector('[data-word="load"]').addEventListener("click", () => file.click());
file.addEventListener("change", async () => {
  const [chosen] = file.files;
  file.value = "";
  if (!chosen) return;
  // What is too long to be a recipe is not read to its end; the server says what is wrong with the rest.
  const text = await chosen.slice(0, LARGEST_FILE).text();
  commit({ file: text });
  trigger("upload");
});
element.querySelector('[data-word="save"]').addEventListener("click", () => {
  const all = steps.map(({ on, step }) => (on ? step : { ...step, enabled: false }));
  const blob = new Blob([JSON.stringify({ version: SCHEMA.version, steps: all }, null, 2) + "\n"], {
    type: "application/json",
  });
  const link = make("a", { href: URL.createObjectURL(blob), download: "recipe.json" });
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 10_000);
});

const observer = new MutationObserver(() => {
  if (!element.isConnected) return observer.disconnect();
  paintWords();
  paint();
});
observer.observe(document.documentElement, { attributeFilter: ["lang"] });

watch("value", () => {
  if (JSON.stringify(props.value) === painted) return; // it comes from here
  painted = JSON.stringify(props.value);
  take(props.value);
  remember();
});
paintWords();
take(props.value);
const byLink = new URLSearchParams(location.search).has(SCHEMA.parameter);
const kept = byLink ? null : remembered();
if (kept) {
  take(kept);
  commit();
} else if (byLink && !same(shown(), SCHEMA.start)) {
  remember(); // what the address brings may have come before this began to watch
}
