// What the boards share. Python joins this file and a board's own into one module (widgets/board.py).

// numbers and tokens: pure functions, tested by `node --test`

export const LIMIT = 30; // hundredths of a cosine at which colours end

/** Scores in hundredths from the bytes that Python sent: an Int8Array, row after row. */
export function unpack(bytes) {
  return bytes ? new Int8Array(bytes.buffer ?? bytes, bytes.byteOffset ?? 0, bytes.byteLength) : new Int8Array(0);
}

/** A score in hundredths as text: "+0.12", "−0.05", "0.00". */
export function signed(hundredths) {
  const sign = hundredths > 0 ? "+" : hundredths < 0 ? "−" : "";
  return sign + (Math.abs(hundredths) / 100).toFixed(2);
}

/** The places of the `count` largest values, largest first, equal ones in order. */
export function largest(values, count) {
  return Array.from(values, (_, i) => i)
    .sort((a, b) => values[b] - values[a] || a - b)
    .slice(0, count);
}

/** How strongly to colour a score, 0 to 1. */
export function amount(hundredths) {
  return Math.min(1, Math.abs(hundredths) / LIMIT);
}

/** What to show of a token: line breaks as ↵; a token of spaces alone as ␣. */
export function visible(token) {
  const shown = token.replaceAll("\n", "↵");
  return shown.trim() ? shown : shown.replaceAll(" ", "␣");
}

/** Two colours "#rrggbb" mixed, `share` of the second. */
export function mix(first, second, share) {
  const part = (colour, i) => parseInt(colour.slice(1 + 2 * i, 3 + 2 * i), 16);
  const mixed = [0, 1, 2].map((i) => Math.round(part(first, i) * (1 - share) + part(second, i) * share));
  return "#" + mixed.map((c) => c.toString(16).padStart(2, "0")).join("");
}

/** Rows of cells as tab-separated values; a tab or line break in a cell is written as an escape. */
export function tsv(rows) {
  const cell = (value) =>
    String(value).replaceAll("\\", "\\\\").replaceAll("\t", "\\t").replaceAll("\n", "\\n").replaceAll("\r", "\\r");
  return rows.map((row) => row.map(cell).join("\t")).join("\n") + "\n";
}

/** Call `act` once calls of the returned function have paused for some milliseconds. */
export function paused(act, milliseconds) {
  let timer;
  return (...given) => {
    clearTimeout(timer);
    timer = setTimeout(() => act(...given), milliseconds);
  };
}

// parts of a page

let count = 0;

/** A new id, for labels. */
export function freshId() {
  count += 1;
  return `emokit-${count}-${Math.random().toString(36).slice(2, 8)}`;
}

/** An element with attributes (functions become listeners) and children. */
export function element(tag, attributes = {}, ...children) {
  const node = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (typeof value === "function") node.addEventListener(name, value);
    else if (value === true) node.setAttribute(name, "");
    else if (value !== false && value !== undefined) node.setAttribute(name, value);
  }
  node.append(...children);
  return node;
}

/** An element of a drawing. */
export function svg(tag, attributes = {}, ...children) {
  const node = document.createElementNS("http:" + "//www.w3.org/2000/svg", tag); // a name, no address
  for (const [name, value] of Object.entries(attributes)) node.setAttribute(name, value);
  node.append(...children);
  return node;
}

/** A labelled control, the label before it. */
export function labelled(text, control, ...more) {
  control.id ||= freshId();
  return element("div", { class: "emokit-field" }, element("label", { for: control.id }, text), control, ...more);
}

/** A checkbox and its label. */
export function checkbox(text, change) {
  const box = element("input", { type: "checkbox", change: () => change(box.checked) });
  return { node: element("label", { class: "emokit-check" }, box, text), box };
}

/** A labelled slider whose number stands beside it; `change` gets the number at every step. */
export function slider({ label, min, max, step, change, write = String, title }) {
  const number = element("output", { class: "emokit-number" });
  const input = element("input", { type: "range", min, max, step, title, "aria-label": label });
  const show = (value) => {
    input.value = value;
    number.textContent = write(Number(value)); // not input.value, which is rounded to a step
    input.setAttribute("aria-valuetext", number.textContent);
  };
  input.addEventListener("input", () => {
    show(input.value);
    change(Number(input.value));
  });
  const node = labelled(label, input, number);
  node.classList.add("emokit-slider");
  return { node, input, show };
}

/** A labelled choice among [value, text] pairs. */
export function choice(label, options, change) {
  const select = element(
    "select",
    { change: () => change(select.value) },
    ...options.map(([value, text]) => element("option", { value }, text)),
  );
  return { node: labelled(label, select), select };
}

/** A text field; `change` comes when it is left, on Ctrl+Enter, and, with `pause`, after a pause in typing. */
export function field(label, { change, rows = 2, pause, placeholder }) {
  const area = element("textarea", { rows, placeholder, spellcheck: "false" });
  const tell = () => change(area.value);
  area.addEventListener("change", tell);
  if (pause) area.addEventListener("input", paused(tell, pause));
  area.addEventListener("keydown", (event) => {
    if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) {
      event.preventDefault();
      tell();
    }
  });
  const show = (text) => {
    if (document.activeElement !== area || area.value.trim() === "") area.value = text; // never under the hands of a writer
  };
  return { node: labelled(label, area), area, show };
}

/** A labelled number box; `change` comes when it is left, at its arrows, and on Enter. */
export function number(label, attributes, change) {
  const tell = () => input.value !== "" && change(Number(input.value));
  const input = element("input", { type: "number", ...attributes, change: tell });
  input.addEventListener("keydown", (event) => event.key === "Enter" && tell()); // no form: browsers tell of no change
  return { node: labelled(label, input), input };
}

export function button(text, click, attributes = {}) {
  return element("button", { type: "button", class: "emokit-button", click, ...attributes }, text);
}

const POINT = "Point at a token, or move with the arrow keys, for its numbers.";

/** Tokens as coloured text, one stop for the Tab key; arrows, the mouse and touch choose one, whose numbers are told.
 *
 * `show({tokens, row, emotions, emotion, readout})`: `row(i)` gives the scores of token i, or null if it has none yet;
 * `emotion` is the place of the one that colours, or -1 for the `each` highest at each token.
 */
export function tokenList(label, { chosen = () => {}, each = 3, idle = POINT } = {}) {
  const list = element("div", { class: "emokit-tokens", role: "listbox", tabindex: "0", "aria-label": label });
  const numbers = element("p", { class: "emokit-numbers", "aria-live": "polite" });
  const spans = [];
  let data = { tokens: [], row: () => null, emotions: [], emotion: -1, readout: -1 };
  let at = -1;

  const told = (i) => {
    const row = data.row(i);
    const name = `“${visible(data.tokens[i])}”${i === data.readout ? " (readout)" : ""}`;
    if (!row) return `${name} · no score yet`;
    const order = largest(row, 6).filter((e) => e !== data.emotion).slice(0, 5);
    if (data.emotion >= 0) order.unshift(data.emotion);
    return `${name} · ${order.map((e) => `${data.emotions[e]} ${signed(row[e])}`).join(" · ")}`;
  };
  const choose = (i, tell = true) => {
    if (at >= 0 && spans[at]) spans[at].removeAttribute("aria-selected");
    at = i >= 0 && i < spans.length ? i : -1;
    numbers.textContent = at < 0 ? idle : told(at);
    if (at < 0) list.removeAttribute("aria-activedescendant");
    else {
      spans[at].setAttribute("aria-selected", "true");
      spans[at].setAttribute("aria-label", numbers.textContent);
      list.setAttribute("aria-activedescendant", spans[at].id);
    }
    if (tell) chosen(at);
  };
  const paint = (span, i) => {
    const row = data.row(i);
    const best = row && data.emotion < 0 ? largest(row, each) : [];
    const score = row ? row[data.emotion < 0 ? best[0] : data.emotion] : 0;
    const state = `${data.tokens[i]}|${row ? score : ""}|${best.map((e) => `${e}${row[e]}`)}|${i === data.readout}`;
    if (span.state === state) return;
    span.state = state;
    span.style.setProperty("--amount", amount(score).toFixed(3));
    const strong = Math.abs(score) >= LIMIT / 2 ? " emokit-strong" : "";
    span.className = `emokit-token emokit-${score < 0 ? "down" : "up"}${strong}${i === data.readout ? " emokit-readout" : ""}`;
    span.replaceChildren(visible(data.tokens[i]).replace(/ $/, "\u00a0"));
    if (best.length) {
      const words = best.map((e) => element("span", {}, `${data.emotions[e]} ${signed(row[e])}`));
      span.append(element("span", { class: "emokit-three" }, ...words));
    }
  };
  const show = (given) => {
    data = given;
    list.classList.toggle("emokit-wide", data.emotion < 0);
    const fresh = document.createDocumentFragment();
    data.tokens.forEach((token, i) => {
      if (!spans[i]) {
        spans[i] = element("span", { role: "option", id: freshId() });
        spans[i].at = i;
        fresh.append(spans[i]);
      }
      paint(spans[i], i);
      const breaks = token.includes("\n") && data.emotion >= 0;
      spans[i].classList.toggle("emokit-break", breaks);
    });
    for (const span of spans.splice(data.tokens.length)) span.remove();
    list.append(fresh);
    choose(at < spans.length ? at : -1, false);
  };
  list.addEventListener("pointerover", (event) => {
    const span = event.target.closest?.(".emokit-token");
    if (span && span.at !== at) choose(span.at);
  });
  list.addEventListener("click", (event) => {
    const span = event.target.closest?.(".emokit-token");
    if (span) choose(span.at);
  });
  list.addEventListener("focus", () => {
    if (at < 0 && spans.length) choose(0);
  });
  list.addEventListener("keydown", (event) => {
    const last = spans.length - 1;
    const to = { ArrowRight: at + 1, ArrowLeft: at - 1, ArrowDown: at + 10, ArrowUp: at - 10, Home: 0, End: last }[event.key];
    if (to === undefined || last < 0) return;
    event.preventDefault();
    choose(Math.max(0, Math.min(last, to)));
    spans[at].scrollIntoView({ block: "nearest" });
  });
  numbers.textContent = idle;
  return { node: element("div", {}, list, numbers), list, show, choose };
}

/** A meter for each of [name, score in hundredths, mark?]: a bar about 0 and its number. */
export function meters(label) {
  const node = element("div", { class: "emokit-meters", role: "group", "aria-label": label });
  const rows = [];
  const show = (values) => {
    values.forEach(([name, score], i) => {
      rows[i] ??= (() => {
        const parts = { name: element("span"), bar: element("span", { class: "emokit-bar" }), number: element("span") };
        parts.meter = element("span", { class: "emokit-track", role: "meter", "aria-valuemin": -100, "aria-valuemax": 100 }, parts.bar);
        parts.row = element("div", { class: "emokit-meter" }, parts.name, parts.meter, parts.number);
        node.append(parts.row);
        return parts;
      })();
      const { name: title, bar, number, meter } = rows[i];
      title.textContent = name;
      number.textContent = signed(score);
      meter.setAttribute("aria-label", name);
      meter.setAttribute("aria-valuenow", score);
      meter.setAttribute("aria-valuetext", number.textContent);
      const wide = 50 * Math.min(1, Math.abs(score) / (2 * LIMIT));
      bar.style.cssText = `width:${wide}%;left:${score < 0 ? 50 - wide : 50}%`;
      bar.className = `emokit-bar emokit-${score < 0 ? "down" : "up"}`;
    });
    for (const { row } of rows.splice(values.length)) row.remove();
  };
  return { node, show };
}

// a board

/** Build a board: `build(ui)` returns its parts; status, errors, and removal are the same for all.
 *
 * `ui.on("a b", show)` calls `show` now and whenever a or b changes; `ui.set(name, value)` and `ui.ask(action)` tell
 * Python; `ui.onTheme(show)` calls when the page turns light or dark; `ui.get(name)` reads a trait.
 */
export function board(name, build) {
  return {
    render({ model, el }) {
      const ends = [];
      const listen = (event, act) => {
        model.on(event, act);
        ends.push(() => model.off(event, act));
      };
      let gone = false; // whether the kernel has ended
      const ui = {
        get: (trait) => model.get(trait),
        set(trait, value) {
          if (gone) return;
          model.set(trait, value);
          model.save_changes();
        },
        ask: (action) => gone || model.send({ do: action }),
        on(traits, show) {
          for (const trait of traits.split(" ")) listen(`change:${trait}`, show);
          show();
        },
        onMessage: (act) => listen("msg:custom", act),
        onTheme(show) {
          const watcher = new MutationObserver(show);
          watcher.observe(document.body, { attributes: true, attributeFilter: ["data-jp-theme-light", "class"] });
          ends.push(() => watcher.disconnect());
        },
        atEnd: (act) => ends.push(act),
        root: el,
      };
      el.classList.add("emokit-board");
      el.setAttribute("role", "region");
      el.setAttribute("aria-label", name);
      el.setAttribute("data-lm-suppress-shortcuts", "true"); // else JupyterLab takes the arrow keys
      const status = element("p", { class: "emokit-status", "aria-live": "polite" });
      const error = element("p", { class: "emokit-error", role: "alert" });
      el.append(...build(ui), status, error);
      ui.say = (text) => (status.textContent = text);
      ui.on("status", () => ui.say(ui.get("status")));
      const wrong = () => {
        error.textContent = gone ? "The kernel of this board has ended. Run its cell again." : ui.get("error") && `This did not work: ${ui.get("error")}`;
        error.hidden = !error.textContent;
      };
      ui.on("error", wrong);
      listen("comm_live_update", () => {
        gone = true; // a living board's line to the kernel changes but once
        el.classList.add("emokit-gone");
        wrong();
      });
      ui.on("busy", () => el.classList.toggle("emokit-busy", ui.get("busy")));
      return () => ends.forEach((end) => end());
    },
  };
}

/** Put a text on the clipboard; false where the browser does not allow it. */
export async function copy(text) {
  try {
    await navigator.clipboard.writeText(text);
    return true;
  } catch {
    const area = element("textarea", { style: "position:fixed;opacity:0" });
    area.value = text;
    document.body.append(area);
    area.select();
    const done = document.execCommand("copy");
    area.remove();
    return done;
  }
}

/** Offer a text to be saved as a file. */
export function download(name, text) {
  const link = element("a", { href: URL.createObjectURL(new Blob([text])), download: name });
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 1000);
}

