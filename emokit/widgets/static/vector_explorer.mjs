// VectorExplorer: the emotions as points on two components, an emotion's neighbours, and where a text lands.

import {
  board, checkbox, choice, element, field, freshId, labelled, largest, meters, signed, slider, svg, unpack, visible,
} from "./common.mjs";

const BOX = { wide: 620, high: 500, edge: 26 }; // of the drawing, in its own units
const FEW = 40; // emotions whose labels all have room
const CROSS = "M-6-2H-2V-6H2V-2H6V2H2V6H-2V2H-6Z";
const [DISC, SQUARE, UP, DIAMOND] = ["M-5 0A5 5 0 1 0 5 0A5 5 0 1 0-5 0Z", "M-4.5-4.5H4.5V4.5H-4.5Z", "M0-6L5.5 4.5H-5.5Z", "M0-6.5L6 0L0 6.5L-6 0Z"];
const DOWN = "M0 6L5.5-4.5H-5.5Z";
const STAR = "M0-7L1.8-2.2L6.7-2.2L2.8.9L4.2 5.7L0 2.8L-4.2 5.7L-2.8.9L-6.7-2.2L-1.8-2.2Z";
const SAIL = "M-6-1.4L-4-4.6L0-1.7L4-4.6L6-1.4L2.6 0L6 1.4L4 4.6L0 1.7L-4 4.6L-6 1.4L-2.6 0Z";
const SHAPES = [DISC, SQUARE, UP, DIAMOND, DOWN, CROSS, STAR, SAIL]; // then the same again, hollow
const BESIDE = [[11, 0], [-11, 0], [0, -12], [0, 12], [7, -9], [-7, -9], [7, 9], [-7, 9], [0, -20], [0, 20]];

/** Float32 numbers from the bytes that Python sent, wherever they lie in a buffer. */
export function floats(bytes) {
  if (!bytes) return new Float32Array(0);
  const start = bytes.byteOffset ?? 0;
  return new Float32Array((bytes.buffer ?? bytes).slice(start, start + bytes.byteLength));
}

/** The points [x, y] on two axes at a block, of values [blocks, count, components]. */
export function placed(values, count, components, block, axes) {
  const from = (i) => (block * count + i) * components;
  return Array.from({ length: count }, (_, i) => axes.map((axis) => values[from(i) + axis]));
}

/** How far the two axes reach, the same at all blocks, so that points can be followed. */
export function reach(values, components, axes) {
  let most = 1e-6;
  for (let i = 0; i < values.length; i += components) for (const axis of axes) most = Math.max(most, Math.abs(values[i + axis]));
  return most;
}

/** From coordinates to the drawing. */
export function drawn([x, y], limit) {
  const scale = (BOX.high / 2 - BOX.edge) / limit;
  return [BOX.wide / 2 + x * scale, BOX.high / 2 - y * scale];
}

/** Where to write each [place, text] beside its point, so that it covers least of the points and of the others: [dx, dy]. */
export function labelPlaces(points, labels) {
  const taken = points.map(([x, y]) => [x - 6, y - 6, x + 6, y + 6]);
  const over = (a, b) => Math.max(0, Math.min(a[2], b[2]) - Math.max(a[0], b[0])) * Math.max(0, Math.min(a[3], b[3]) - Math.max(a[1], b[1]));
  return labels.map(([i, text]) => {
    const [x, y] = points[i];
    const wide = 6.6 * text.length;
    const tried = BESIDE.map(([dx, dy]) => {
      const left = x + dx - (dx > 0 ? 0 : dx < 0 ? wide : wide / 2);
      const box = [left, y + dy - 7, left + wide, y + dy + 7];
      const outside = Math.max(0, -left) + Math.max(0, left + wide - BOX.wide) + Math.max(0, 7 - y - dy) + Math.max(0, y + dy + 7 - BOX.high);
      return { dx, dy, box, cost: taken.reduce((sum, other, k) => sum + over(box, other) * (k < points.length ? 1 : 4), 100 * outside) };
    });
    const best = tried.reduce((a, b) => (b.cost < a.cost - 1e-9 ? b : a));
    taken.push(best.box);
    return [best.dx, best.dy];
  });
}

/** The places of the emotions that a search finds: those that begin so first; none for nothing. */
export function found(emotions, query) {
  const words = query.trim().toLowerCase();
  const hits = emotions.map((_, i) => i).filter((i) => words && emotions[i].toLowerCase().includes(words));
  return hits.sort((a, b) => emotions[b].toLowerCase().startsWith(words) - emotions[a].toLowerCase().startsWith(words));
}

/** Where an arrow key leads: the next point to the right or left, or above or below; every point can be reached by either. */
export function step(points, at, key) {
  const way = { ArrowRight: [0, 1], ArrowLeft: [0, -1], ArrowUp: [1, 1], ArrowDown: [1, -1], Home: [0, -Infinity], End: [0, Infinity] }[key];
  if (!way || !points.length) return undefined;
  const order = points.map((_, i) => i).sort((a, b) => points[a][way[0]] - points[b][way[0]] || a - b);
  const from = at < 0 ? (way[1] > 0 ? -1 : order.length) : order.indexOf(at);
  return order[Math.max(0, Math.min(order.length - 1, from + way[1]))];
}

/** A point's look: its shape and class; `names` are all clusters, in order. */
export function look(colour, names, cluster, valence) {
  if (colour === "valence") {
    if (valence === null) return { d: DISC, kind: "emokit-hollow", amount: 0 };
    return { d: valence < 0 ? DOWN : UP, kind: valence < 0 ? "emokit-down" : "emokit-up", amount: 0.3 + 0.7 * Math.min(1, Math.abs(valence) / 3) };
  }
  const i = names.indexOf(cluster);
  return { d: SHAPES[i % SHAPES.length], kind: `emokit-curve-${i % 6}${i >= SHAPES.length ? " emokit-hollow" : ""}`, amount: 1 };
}

/** What is said of a text's place at a block. */
export function landed({ text, words, count, p, reach: level }, block, top) {
  const named = `“${text.length > 60 ? `${text.slice(0, 59)}…` : text}” at block ${block}`;
  const highest = top.map(([emotion, score]) => `${emotion} ${signed(score)}`).join(", ");
  if (!count || p[block] === null) return `${named}: highest ${highest}. Neutral pieces to compare it with are being read.`;
  const pieces = `${count} neutral pieces of ${words} ${words === 1 ? "word" : "words"}`;
  const where = p[block] <= 0.05 ? `lies outside the cloud of ${pieces}` : `lies within the cloud of ${pieces}: no more than a neutral text's place`;
  const beyond = top[0][1] > level[block] ? "more" : "not more";
  return `${named} ${where} (p ${p[block].toFixed(2)}, all components). Highest: ${highest}; ${beyond} than the ${signed(level[block])} that 95 % of the pieces stay below.`;
}

/** The drawing: one stop for the Tab key; arrows move among the points, Enter or a click chooses one. */
function scatter({ emotions, chosen, pointed }) {
  const named = svg("g");
  const cloud = svg("path", { class: "emokit-cloud" });
  const text = svg("g", { class: "emokit-text", visibility: "hidden" }, svg("path", { d: "M-11 0H-4M4 0H11M0-11V-4M0 4V11" }), svg("text", {}, "your text"));
  const dots = emotions.map((emotion) => {
    const parts = { ring: svg("circle", { r: 10, class: "emokit-ring" }), mark: svg("path"), label: svg("text", {}, emotion) };
    return { ...parts, node: svg("g", { class: "emokit-dot", role: "option", id: freshId(), "aria-selected": "false" }, parts.ring, parts.mark, parts.label) };
  });
  const zero = ["x", "y"].map((axis) => svg("line", { class: "emokit-rule", ...(axis === "x" ? { x1: 0, x2: BOX.wide, y1: BOX.high / 2, y2: BOX.high / 2 } : { x1: BOX.wide / 2, x2: BOX.wide / 2, y1: 0, y2: BOX.high }) }));
  const area = svg(
    "svg",
    { viewBox: `0 0 ${BOX.wide} ${BOX.high}`, class: "emokit-scatter", tabindex: "0", role: "listbox", "aria-label": "emotions on two components: arrows move, Enter chooses" },
    ...zero, named, cloud, ...dots.map((dot) => dot.node), text,
  );
  const write = (label, [dx, dy]) => {
    for (const [name, value] of Object.entries({ x: dx, y: dy + 4, "text-anchor": dx > 0 ? "start" : dx < 0 ? "end" : "middle" })) label.setAttribute(name, value);
  };
  let points = [];
  let at = -1;
  const point = (i) => {
    if (i === at) return;
    if (at >= 0) dots[at].node.classList.remove("emokit-at");
    at = i;
    if (at >= 0) {
      dots[at].node.classList.add("emokit-at");
      area.setAttribute("aria-activedescendant", dots[at].node.id);
    }
    pointed(at);
  };
  const under = (event) => {
    const frame = area.getBoundingClientRect();
    const [x, y] = [((event.clientX - frame.left) / frame.width) * BOX.wide, ((event.clientY - frame.top) / frame.height) * BOX.high];
    const own = dots.findIndex((dot) => dot.node.contains(event.target));
    const away = points.map((p) => Math.hypot(p[0] - x, p[1] - y));
    const near = away.indexOf(Math.min(...away));
    return own >= 0 ? own : away[near] < 16 ? near : -1;
  };
  area.addEventListener("pointermove", (event) => under(event) >= 0 && point(under(event)));
  area.addEventListener("click", (event) => under(event) >= 0 && chosen(under(event)));
  area.addEventListener("focus", () => at < 0 && points.length && area.matches(":focus-visible") && point(0));
  area.addEventListener("keydown", (event) => {
    const to = step(points.map(([x, y]) => [x, -y]), at, event.key);
    if (to !== undefined) point(to);
    else if ((event.key === "Enter" || event.key === " ") && at >= 0) chosen(at);
    else if (event.key === "Escape") chosen(-1);
    else return;
    event.preventDefault();
  });
  const show = ({ places, limit, titles, looks, labels, hits, selected, spot, cloudPoints, said }) => {
    points = places.map((p) => drawn(p, limit));
    const own = spot ? [[points.length, "your text"]] : []; // its label is placed first
    const shown = [...own, ...labels.map((i) => [i, emotions[i]])];
    const beside = new Map(labelPlaces(spot ? [...points, drawn(spot, limit)] : points, shown).map((place, k) => [shown[k][0], place]));
    dots.forEach((dot, i) => {
      const { d, kind, amount } = looks[i];
      dot.node.style.transform = `translate(${points[i][0].toFixed(1)}px, ${points[i][1].toFixed(1)}px)`;
      dot.node.classList.toggle("emokit-faint", hits.length > 0 && !hits.includes(i));
      dot.node.classList.toggle("emokit-hit", hits.includes(i));
      dot.node.setAttribute("aria-selected", i === selected);
      dot.node.setAttribute("aria-label", said(i));
      dot.mark.setAttribute("d", d);
      dot.mark.setAttribute("class", `emokit-mark-of ${kind}`);
      dot.mark.style.setProperty("--amount", amount);
      write(dot.label, beside.get(i) ?? BESIDE[0]);
      dot.label.setAttribute("visibility", beside.has(i) ? "visible" : "hidden");
    });
    cloud.setAttribute("d", cloudPoints.map((p) => drawn(p, limit)).map(([x, y]) => `M${(x - 2).toFixed(1)} ${y.toFixed(1)}h4m-2-2v4`).join(""));
    text.setAttribute("visibility", spot ? "visible" : "hidden");
    if (spot) text.style.transform = `translate(${drawn(spot, limit).map((v) => `${v.toFixed(1)}px`).join(", ")})`;
    if (spot) write(text.lastChild, beside.get(points.length));
    named.replaceChildren(svg("text", { x: BOX.wide - 8, y: BOX.high - 9, "text-anchor": "end" }, `→ ${titles[0]}`), svg("text", { x: 8, y: 17 }, `↑ ${titles[1]}`));
  };
  return { area, show, at: () => at };
}

/** What there is to say of the chosen emotion. */
function details() {
  const head = element("h4");
  const [near, far] = [meters("nearest neighbours"), meters("farthest")];
  const [nulls, lens, ranks, firm] = [element("p", { class: "emokit-note" }), element("table", { class: "emokit-table" }), element("p"), element("p")];
  const [farHead, late] = [element("h4", {}, "Farthest"), element("p", { class: "emokit-note" })];
  const body = element("div", {}, element("h4", {}, "Nearest (cosine)"), near.node, farHead, far.node, nulls, element("h4", {}, "Logit lens: the tokens it would raise"), lens, ranks, late, element("h4", {}, "Stability"), firm);
  const node = element("section", { class: "emokit-column emokit-details", "aria-label": "the chosen emotion" }, head, body);
  const pair = ([low, high]) => `from ${signed(low)} to ${signed(high)}`;
  const show = (told, block) => {
    body.hidden = !told;
    head.textContent = told ? `${told.emotion} at block ${told.block}` : "Choose an emotion: click it, or move with the arrow keys and press Enter.";
    node.classList.toggle("emokit-stale", Boolean(told && told.block !== block));
    if (!told) return;
    const named = (rows) => rows.map(([name, cosine, beyond]) => [beyond ? `${name}\u00a0*` : name, cosine]);
    near.show(named(told.near));
    far.show(named(told.far));
    farHead.hidden = !told.far.length;
    const shuffled = told.shuffled ? ` With shuffled labels, 95 % of the nearest stay below ${signed(told.shuffled[1])} and of the farthest above ${signed(told.shuffled[0])}.` : "";
    const none = [...told.near, ...told.far].some((row) => row[2]) ? "" : " None of these is.";
    nulls.textContent = `Random directions in the span of the other emotions: 90 % ${pair(told.random)}.${shuffled} * beyond ${told.shuffled ? "both" : "that"}.${none}`;
    lens.replaceChildren(
      element("tr", {}, element("th", { scope: "col" }, told.emotion), element("th", { scope: "col" }, "a random direction")),
      ...told.lens.map((token, i) => element("tr", {}, element("td", {}, visible(token)), element("td", {}, visible(told.control[i] ?? "")))),
    );
    const number = (value) => value.toLocaleString("en");
    ranks.textContent = told.ranks
      ? `Its own word is raised more than all but ${number(told.ranks[0])} of ${number(told.ranks[2])} tokens; by the random direction, than all but ${number(told.ranks[1])}.`
      : "Its own word is not one token.";
    late.textContent = told.late;
    const [cosine, low, high, noise] = told.stability ?? [];
    firm.textContent = told.stability ? `Made again from other draws of topics, it has a cosine of ${cosine.toFixed(2)} [${low.toFixed(2)}, ${high.toFixed(2)}] with itself; directions of shuffled labels have ${noise.toFixed(2)}.` : told.how;
  };
  return { node, show };
}

export default board("VectorExplorer", (ui) => {
  const { emotions, clusters, valence, components, blocks, best } = ui.get("about");
  const names = [...new Set(clusters)];
  let query = "";
  let every = emotions.length <= FEW;
  const choose = (i) => ui.set("emotion", i < 0 || emotions[i] === ui.get("emotion") ? "" : emotions[i]);
  const block = slider({
    label: "block", min: 0, max: blocks - 1, step: 1, change: (value) => ui.set("block", value),
    write: (value) => `${value}${value === best ? " (best)" : ""}`,
  });
  const options = Array.from({ length: components }, (_, i) => [i, `PC${i + 1}`]);
  const turn = (side) => (value) => {
    const axes = [...ui.get("axes")];
    if (axes[1 - side] === Number(value)) axes[1 - side] = axes[side];
    axes[side] = Number(value);
    ui.set("axes", axes);
  };
  const sides = [choice("across", options, turn(0)), choice("up", options, turn(1))];
  const colour = choice("colour and shape", [["cluster", "by cluster"], ["valence", "by valence"]], (value) => ui.set("colour", value));
  const labels = checkbox("all labels", (on) => {
    every = on;
    show();
  });
  labels.box.checked = every;
  const search = element("input", { type: "search", size: 14, input: () => seek(), keydown: (event) => event.key === "Enter" && found(emotions, query).length && choose(found(emotions, query)[0]) });
  const hits = element("output", { class: "emokit-number" });
  const seek = () => {
    query = search.value;
    const count = found(emotions, query).length;
    hits.textContent = query.trim() ? `${count} found${count ? "; Enter chooses the first" : ""}` : "";
    show();
  };
  const [legend, numbers, note] = [element("p", { class: "emokit-legend" }), element("p", { class: "emokit-numbers", "aria-live": "polite" }), element("p", { class: "emokit-note" })];
  const text = field("text", { rows: 2, pause: 700, placeholder: "a word or a sentence: see where it lands", change: (value) => ui.set("text", value) });
  const where = element("p", { class: "emokit-landing", "aria-live": "polite" });
  const told = details();
  const [points, cloud, spot, scores] = [new Float32Array(0), new Float32Array(0), new Float32Array(0), new Int8Array(0)].map((now) => ({ now, of: undefined }));
  const kept = (box, bytes, read) => { // what came is unpacked once
    if (box.of !== bytes) [box.of, box.now] = [bytes, read(bytes)];
    return box.now;
  };
  let tell = () => "";
  const plot = scatter({ emotions, chosen: choose, pointed: (i) => {
    numbers.textContent = i < 0 ? "" : tell(i);
    if (!every) show();
  } });

  const show = () => {
    const { plane, portrait, landing } = ui.get("view");
    const [axes, at, kind] = [ui.get("axes"), ui.get("block"), ui.get("colour")];
    if (!plane || !(at in plane.variance)) return;
    const values = kept(points, plane.points, floats);
    const places = placed(values, emotions.length, components, at, axes);
    const title = (i) => `PC${i + 1}${at === best && plane.names[i] ? ` = ${plane.names[i]}` : ""} (${Math.round(100 * plane.variance[at][i])} % of variance)`;
    const selected = emotions.indexOf(ui.get("emotion"));
    const matching = found(emotions, query);
    const rating = (i) => (valence[i] === null ? "not rated" : `valence ${valence[i] > 0 ? "+" : "−"}${Math.abs(valence[i])}`);
    tell = (i) => `${emotions[i]} · ${axes.map((axis, k) => `PC${axis + 1} ${signed(Math.round(100 * places[i][k]))}`).join(" · ")} · ${clusters[i]} · ${rating(i)}`;
    const near = portrait && portrait.emotion === ui.get("emotion") ? portrait.near.map(([emotion]) => emotions.indexOf(emotion)) : [];
    const wanted = every ? emotions.map((_, i) => i) : [...new Set([selected, plot.at(), ...matching.slice(0, FEW), ...near].filter((i) => i >= 0))];
    const cast = landing ? kept(cloud, landing.cloud, floats) : new Float32Array(0);
    plot.show({
      places, limit: reach(values, components, axes), titles: axes.map(title), labels: wanted, hits: matching, selected, said: tell,
      looks: emotions.map((_, i) => look(kind, names, clusters[i], valence[i])),
      spot: landing ? placed(kept(spot, landing.place, floats), 1, components, at, axes)[0] : null,
      cloudPoints: landing ? placed(cast, landing.count, components, at, axes) : [],
    });
    numbers.textContent = plot.at() < 0 ? "Point at an emotion, or move with the arrow keys, for its numbers." : tell(plot.at());
    note.textContent = plane.notes[at];
    told.show(portrait, at);
    const row = landing ? kept(scores, landing.scores, unpack).subarray(at * emotions.length, (at + 1) * emotions.length) : [];
    where.textContent = landing ? landed(landing, at, largest(row, 3).map((e) => [emotions[e], row[e]])) : "";
    const sample = ({ d, kind: look, amount }) => svg("svg", { viewBox: "-8 -8 16 16", class: "emokit-key" }, svg("path", { d, class: `emokit-mark-of ${look}`, style: `--amount:${amount}` }));
    const keys = kind === "cluster" ? names.map((name) => [look(kind, names, name, 0), name])
      : [[look(kind, names, "", 2), "pleasant"], [look(kind, names, "", -2), "unpleasant, by people's ratings of the word (VADER)"], [look(kind, names, "", null), "not rated"]];
    legend.replaceChildren(...keys.map(([shape, name]) => element("span", {}, sample(shape), ` ${name}`)));
    if (landing) legend.append(element("span", {}, svg("svg", { viewBox: "-8 -8 16 16", class: "emokit-key" }, svg("path", { class: "emokit-cloud", d: "M-5 0h4m-2-2v4M1 3h4m-2-2v4M0-4h4m-2-2v4" })), ` neutral pieces of ${landing.words} word${landing.words === 1 ? "" : "s"}`));
  };
  ui.on("block", () => block.show(ui.get("block")));
  ui.on("axes", () => sides.forEach((side, i) => (side.select.value = ui.get("axes")[i])));
  ui.on("colour", () => (colour.select.value = ui.get("colour")));
  ui.on("text", () => text.show(ui.get("text")));
  ui.on("view block axes colour emotion", show);
  return [
    element("div", { class: "emokit-row emokit-tight" }, block.node, sides[0].node, sides[1].node, colour.node, labels.node, labelled("search", search, hits)),
    element("div", { class: "emokit-explorer" }, element("div", { class: "emokit-column" }, plot.area, numbers, legend, note, text.node, where), told.node),
  ];
});
