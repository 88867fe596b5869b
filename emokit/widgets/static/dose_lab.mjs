// DoseLab: a panel to edit, its curves beside ladder and twin, and what can be concluded.

import { board, button, choice, copy, element, field, slider, svg, tsv } from "./common.mjs";

/** The values of a text, at line breaks or semicolons if there are any, else at commas; numbers where they read the same. */
export function parseValues(text) {
  const parts = text.split(/[\n;]/.test(text.trim()) ? /[\n;]/ : ",");
  const number = (part) => (Number.isFinite(Number(part)) && String(Number(part)) === part ? Number(part) : part);
  return parts.map((part) => part.trim()).filter(Boolean).map(number);
}

/** The text that `parseValues` reads them from. */
export function writeValues(values) {
  return values.join(values.some((value) => /[,;]/.test(String(value))) ? "\n" : ", ");
}

/** The lines of a text that hold something. */
export function lines(text) {
  return text.split("\n").map((line) => line.trim()).filter(Boolean);
}

/** A change of score as text: "+0.012", "−0.001", "0.000". */
export function change(value) {
  const digits = Math.abs(value).toFixed(3);
  return (Number(digits) === 0 ? "" : value > 0 ? "+" : "−") + digits;
}

/** How far the one scale of all charts goes to either side. */
export function reach(charts) {
  const all = charts.flatMap(({ low, high, curves }) => [...low, ...high, ...Object.values(curves).flat()]);
  return 1.1 * Math.max(1e-6, ...all.map(Math.abs));
}

/** Round numbers on a scale from -limit to limit, 0 among them: one or two to a side. */
export function ticks(limit) {
  const power = 10 ** Math.floor(Math.log10(limit));
  const step = [5, 2, 1, 0.5].map((s) => s * power).find((s) => s <= limit);
  const digits = Math.max(0, -Math.floor(Math.log10(step) + 1e-9));
  return [-2, -1, 0, 1, 2].map((i) => i * step).filter((v) => Math.abs(v) <= limit)
    .map((v) => [v, (v > 0 ? "+" : v < 0 ? "−" : "") + Math.abs(v).toFixed(v ? digits : 0)]);
}

/** What a chart says of its value i. */
export function told({ name, labels, sentences, low, high, curves }, i) {
  const found = Object.entries(curves).map(([emotion, values]) => `${emotion} ${change(values[i])}`);
  return `${name}, ${labels[i]}: “${sentences[i]}” · ${found.join(" · ")} · random directions ${change(low[i])} to ${change(high[i])}`;
}

const BOX = { wide: 320, high: 210, left: 46, right: 10, top: 8, bottom: 24 };
const DASHES = ["", "7 4", "2 3", "9 3 2 3"];
const MARKS = ["M-4 0A4 4 0 1 0 4 0A4 4 0 1 0-4 0Z", "M-3.5-3.5H3.5V3.5H-3.5Z", "M0-5L4.5 3.5H-4.5Z", "M0-5L5 0L0 5L-5 0Z"];

/** A line's look, of the emotion at place i: colour, dashes, marks. */
function stroke(i) {
  return { class: `emokit-curve emokit-curve-${i % 6}`, "stroke-dasharray": DASHES[i % 4], fill: "none" };
}

function mark(i, x, y) {
  return svg("path", { d: MARKS[i % 4], transform: `translate(${x} ${y})`, class: `emokit-point emokit-curve-${i % 6}` });
}

/** A chart whose values the mouse or the arrow keys choose; `say` gets what it tells. */
function chart(say) {
  const head = element("h4");
  const area = svg("svg", { viewBox: `0 0 ${BOX.wide} ${BOX.high}`, class: "emokit-chart", tabindex: "0", role: "slider", "aria-valuemin": "1" });
  const cursor = svg("line", { class: "emokit-cursor", y1: BOX.top, y2: BOX.high - BOX.bottom, visibility: "hidden" });
  const node = element("section", { class: "emokit-column" }, head, area);
  let data;
  let at = -1;
  const x = (i) => BOX.left + (BOX.wide - BOX.left - BOX.right) * (data.labels.length > 1 ? (i + 0.3) / (data.labels.length - 0.4) : 0.5);
  const choose = (i) => {
    at = Math.max(0, Math.min(data.labels.length - 1, i));
    for (const end of ["x1", "x2"]) cursor.setAttribute(end, x(at));
    cursor.setAttribute("visibility", "visible");
    area.setAttribute("aria-valuenow", at + 1);
    area.setAttribute("aria-valuetext", told(data, at));
    say(told(data, at));
  };
  area.addEventListener("pointermove", (event) => {
    const frame = area.getBoundingClientRect();
    const share = ((event.clientX - frame.left) / frame.width) * BOX.wide;
    const near = data.labels.map((_, i) => Math.abs(x(i) - share));
    const i = near.indexOf(Math.min(...near));
    if (i !== at) choose(i);
  });
  area.addEventListener("focus", () => choose(Math.max(0, at)));
  area.addEventListener("keydown", (event) => {
    const to = { ArrowRight: at + 1, ArrowUp: at + 1, ArrowLeft: at - 1, ArrowDown: at - 1, Home: 0, End: data.labels.length - 1 }[event.key];
    if (to === undefined) return;
    event.preventDefault();
    choose(to);
  });
  const show = (given, limit) => {
    data = given;
    at = -1;
    const { name, labels, low, high, curves } = data;
    const middle = (BOX.top + BOX.high - BOX.bottom) / 2;
    const y = (value) => middle - (value / limit) * (middle - BOX.top);
    const points = (values) => values.map((value, i) => `${x(i).toFixed(1)},${y(value).toFixed(1)}`);
    const room = (BOX.wide - BOX.left - BOX.right) / labels.length;
    const every = Math.ceil((6.4 * Math.max(...labels.map((label) => Math.min(label.length, 14))) + 6) / room);
    head.textContent = name;
    area.setAttribute("aria-label", `${name}: choose a value`);
    area.setAttribute("aria-valuemax", labels.length);
    area.setAttribute("aria-valuenow", 1);
    area.setAttribute("aria-valuetext", told(data, labels.length - 1));
    area.replaceChildren(
      svg("polygon", { class: "emokit-band", points: [...points(high), ...points(low).reverse()].join(" ") }),
      ...ticks(limit).flatMap(([value, text]) => [
        svg("line", { class: value ? "emokit-rule" : "emokit-zero", x1: BOX.left, x2: BOX.wide - BOX.right, y1: y(value), y2: y(value) }),
        svg("text", { x: BOX.left - 5, y: y(value) + 4, "text-anchor": "end" }, text),
      ]),
      ...labels.flatMap((label, i) =>
        i % every ? [] : [svg("text", { x: x(i), y: BOX.high - 7, "text-anchor": "middle" }, label.length > 14 ? `${label.slice(0, 13)}…` : label)],
      ),
      cursor,
      ...Object.values(curves).flatMap((values, e) => [
        svg("polyline", { ...stroke(e), points: points(values).join(" ") }),
        ...values.map((value, i) => mark(e, x(i), y(value))),
      ]),
    );
    cursor.setAttribute("visibility", "hidden");
  };
  return { node, show };
}

/** Expected emotions: a row each of emotion and direction, to add and to take away. */
function expectations(emotions, tell) {
  const node = element("div", { class: "emokit-expect" });
  const rows = [];
  let known = [];
  const rename = (i, emotion) => tell(Object.fromEntries(known.map(([e, way], k) => (k === i ? [emotion, way] : [e, way]))));
  const turn = (i, way) => tell(Object.fromEntries(known.map(([e, w], k) => [e, k === i ? way : w])));
  const add = button("add an emotion", () => {
    const free = emotions.find((e) => !known.some(([k]) => k === e));
    if (free) tell(Object.fromEntries([...known, [free, "up"]]));
  });
  const row = (i) => {
    const emotion = element("select", { "aria-label": `expected emotion ${i + 1}`, change: () => rename(i, emotion.value) });
    const way = element(
      "select",
      { "aria-label": `expected direction ${i + 1}`, change: () => turn(i, way.value) },
      element("option", { value: "up" }, "goes up"),
      element("option", { value: "down" }, "goes down"),
    );
    const away = button("×", () => {
      add.focus();
      tell(Object.fromEntries(known.filter((_, k) => k !== i)));
    });
    const all = element("span", { class: "emokit-expected" }, emotion, way, away);
    return { emotion, way, away, all };
  };
  const show = (expect) => {
    known = Object.entries(expect);
    known.forEach(([name, direction], i) => {
      if (!rows[i]) node.insertBefore((rows[i] = row(i)).all, add);
      const { emotion, way, away } = rows[i];
      const others = known.filter((_, k) => k !== i).map(([e]) => e);
      const options = emotions.filter((e) => !others.includes(e));
      if (!options.includes(name)) options.unshift(name); // told from Python, and unknown: the error says so
      emotion.replaceChildren(...options.map((e) => element("option", { value: e }, e)));
      emotion.value = name;
      way.value = direction;
      away.setAttribute("aria-label", `expect nothing of ${name}`);
    });
    for (const { all } of rows.splice(known.length)) all.remove();
    add.disabled = known.length >= emotions.length;
  };
  node.append(element("span", {}, "expected as the values rise"), add);
  return { node, show };
}

export default board("Dose lab", (ui) => {
  const { emotions, blocks, starts, usual } = ui.get("about");
  const start = choice("start from", starts.map((s) => [s, s]), (value) => ui.set("start", value));
  const reset = button("reset", () => ui.ask("reset"), { title: "Fill in the fields as they were at the start" });
  const block = slider({
    label: "block", min: 0, max: blocks - 1, step: 1, change: (value) => ui.set("block", value),
    write: (value) => `${value}${value === usual ? " (the lab's)" : ""}`,
  });
  const template = field("sentence", { rows: 2, change: (value) => ui.set("template", value) });
  const values = field("values", { rows: 1, change: (value) => ui.set("values", parseValues(value)) });
  const twin = field("harmless twin", { rows: 2, placeholder: "none: the same {X} in a sentence without meaning for the emotions", change: (value) => ui.set("twin", value) });
  const ladder = field("ladder", { rows: 6, placeholder: "none: a severity in words per line, whole sentences or words for {X}", change: (value) => ui.set("ladder", lines(value)) });
  const others = field("other wordings", { rows: 6, placeholder: "none: a sentence with {X} per line that says the same", change: (value) => ui.set("paraphrases", lines(value)) });
  const expected = expectations(emotions, (value) => ui.set("expect", value));
  const note = element("p", { class: "emokit-warning" });
  const stale = element("p", { class: "emokit-note", hidden: true }, "Below is the last panel that worked; what is wrong with this one is told at the end.");
  const legend = element("p", { class: "emokit-legend" });
  const graphs = element("div", { class: "emokit-columns emokit-charts" });
  const readout = element("p", { class: "emokit-numbers", "aria-live": "polite" });
  const verdict = element("h4", { class: "emokit-verdict" });
  const reason = element("p");
  const [can, cannot] = [element("ul"), element("ul")];
  const said = element(
    "section",
    { class: "emokit-conclusion", "aria-label": "conclusion", "aria-live": "polite" },
    verdict,
    reason,
    element("div", { class: "emokit-columns" }, element("div", { class: "emokit-column" }, element("h4", {}, "What can be said"), can), element("div", { class: "emokit-column" }, element("h4", {}, "What can't be said"), cannot)),
  );
  const six = element("p", { class: "emokit-note" });
  const cells = element("table", { class: "emokit-table" });
  const copied = button("copy as table", async () => {
    const done = await copy(tsv(ui.get("view").table ?? []));
    ui.say(done ? "copied, tab-separated" : "The browser allows no copying here; use board.result.to_frame() in a cell.");
  });
  const parts = [];

  const show = () => {
    const { charts = [], table = [], verdict: word = "", reason: why = "", can: yes = [], cannot: no = [], six: own = "" } = ui.get("view");
    const limit = reach(charts);
    charts.forEach((one, i) => {
      if (!parts[i]) graphs.append((parts[i] = chart((text) => (readout.textContent = text))).node);
      parts[i].show(one, limit);
    });
    for (const { node } of parts.splice(charts.length)) node.remove();
    const ways = Object.fromEntries(table.slice(1).map(([emotion, way]) => [emotion, way]));
    legend.replaceChildren(
      ...Object.keys(charts[0]?.curves ?? {}).map((emotion, e) =>
        element("span", {}, svg("svg", { viewBox: "0 0 34 12", class: "emokit-sample" }, svg("line", { ...stroke(e), x1: 1, x2: 33, y1: 6, y2: 6 }), mark(e, 17, 6)), ` ${emotion}, expected ${ways[emotion]} ${ways[emotion] === "up" ? "↑" : "↓"}`),
      ),
      element("span", {}, svg("svg", { viewBox: "0 0 34 12", class: "emokit-sample" }, svg("rect", { class: "emokit-band", width: 34, height: 12 })), " random directions, 5–95 %"),
    );
    readout.textContent = "Change of the score since the first value. Point at a chart, or move in it with the arrow keys, for its numbers.";
    verdict.textContent = word && `Verdict on this panel: ${word}`;
    reason.textContent = why;
    can.replaceChildren(...yes.map((text) => element("li", {}, text)));
    cannot.replaceChildren(...no.map((text) => element("li", {}, text)));
    six.textContent = own && `emokit's own six panels at this block, written before anybody looked: ${own}.`;
    cells.replaceChildren(...table.map((row, i) => element("tr", {}, ...row.map((text) => element(i ? "td" : "th", i ? {} : { scope: "col" }, text)))));
  };

  ui.on("start", () => (start.select.value = ui.get("start")));
  ui.on("block", () => block.show(ui.get("block")));
  ui.on("template", () => template.show(ui.get("template")));
  ui.on("values", () => values.show(writeValues(ui.get("values"))));
  ui.on("twin", () => twin.show(ui.get("twin")));
  ui.on("ladder", () => ladder.show(ui.get("ladder").join("\n")));
  ui.on("paraphrases", () => others.show(ui.get("paraphrases").join("\n")));
  ui.on("expect", () => expected.show(ui.get("expect")));
  ui.on("note", () => {
    note.textContent = ui.get("note");
    note.hidden = !note.textContent;
  });
  ui.on("error view", () => (stale.hidden = !ui.get("error") || !ui.get("view").charts));
  ui.on("view", show);
  return [
    element("div", { class: "emokit-row" }, start.node, reset, block.node),
    note,
    element("div", { class: "emokit-form" }, template.node, values.node, expected.node, twin.node),
    element("div", { class: "emokit-columns emokit-controls" }, ladder.node, others.node),
    element("p", { class: "emokit-note" }, "{X} is where the value goes. A field counts once you leave it, or at Ctrl+Enter."),
    stale,
    legend,
    graphs,
    readout,
    said,
    six,
    element("details", {}, element("summary", {}, "the numbers as a table"), element("div", { class: "emokit-scroll" }, cells), copied),
  ];
});
