// SteeringConsole: sliders, and replies side by side, coloured by an emotion.

import {
  board, button, checkbox, choice, download, element, field, largest, meters, number, slider, tokenList, unpack,
} from "./common.mjs";

/** The mean of each emotion over the first tokens of a reply that have scores. */
export function means(scores, emotions) {
  const tokens = Math.floor(scores.length / emotions);
  return Array.from({ length: emotions }, (_, e) => {
    let sum = 0;
    for (let i = 0; i < tokens; i++) sum += scores[i * emotions + e];
    return tokens ? Math.round(sum / tokens) : 0;
  });
}

/** What a run of the history is called. */
export function title({ strengths, block, prompt }) {
  const pushes = Object.entries(strengths).filter(([, s]) => s);
  const said = pushes.map(([e, s]) => `${e} ${s > 0 ? "+" : "−"}${Math.abs(s).toFixed(2)}`).join(", ");
  return `${said || "no steering"} · block ${block} · ${prompt}`;
}

/** Replies side by side, a token list and meters each. */
function columns(emotions, colour, kind) {
  const node = element("div", { class: `emokit-columns emokit-of-${kind}` });
  const parts = [];
  const show = (given) => {
    given.forEach((column, c) => {
      parts[c] ??= (() => {
        const head = element("h4");
        const list = tokenList(`${kind} ${c + 1}`, { idle: "" });
        const bars = meters("the four highest on average");
        const cell = element("section", { class: "emokit-column" }, head, list.node, ...(kind === "reply" ? [bars.node] : []));
        node.append(cell);
        return { head, list, bars, cell };
      })();
      const { head, list, bars } = parts[c];
      const scores = unpack(column.scores);
      const known = Math.floor(scores.length / emotions.length);
      const row = (i) => (i < known ? scores.subarray(i * emotions.length, (i + 1) * emotions.length) : null);
      head.textContent = column.name;
      list.list.setAttribute("aria-label", `${column.name}: ${column.text}`);
      list.show({ tokens: column.tokens, row, emotions, emotion: emotions.indexOf(colour()), readout: -1 });
      if (kind === "reply") {
        const mean = means(scores, emotions.length);
        bars.show(known ? largest(mean, 4).map((e) => [emotions[e], mean[e]]) : []);
      }
    });
    for (const { cell } of parts.splice(given.length)) cell.remove();
  };
  return { node, show };
}

export default board("Steering console", (ui) => {
  const { emotions, sliders, blocks, best } = ui.get("about");
  const prompt = field("prompt", { rows: 2, change: (value) => ui.set("prompt", value) });
  const system = field("system", { rows: 1, placeholder: "nothing", change: (value) => ui.set("system", value) });
  const push = sliders.map((emotion) =>
    slider({
      label: emotion, min: -1, max: 1, step: 0.05,
      change: (value) => ui.set("strengths", { ...ui.get("strengths"), [emotion]: value }),
      write: (value) => (value > 0 ? "+" : value < 0 ? "−" : "") + Math.abs(value).toFixed(2),
    }),
  );
  const block = slider({
    label: "block", min: 0, max: blocks - 1, step: 1, change: (value) => ui.set("block", value),
    write: (value) => `${value}${value === best ? " (best)" : ""}`,
  });
  const zero = button("all to 0", () => ui.set("strengths", Object.fromEntries(sliders.map((e) => [e, 0]))));
  const tokens = number("tokens", { min: 1, max: 1000 }, (value) => ui.set("max_new_tokens", value));
  const heat = number("temperature", { min: 0, max: 10, step: 0.1 }, (value) => ui.set("temperature", value));
  const seed = number("seed", { min: 0, step: 1 }, (value) => ui.set("seed", value));
  const control = checkbox("random direction of the same size", (on) => ui.set("control", on));
  const asked = checkbox("just prompting", (on) => ui.set("asked", on));
  const run = button("run", () => ui.ask("run"), { title: "Generate all replies" });
  const stop = button("stop", () => ui.ask("stop"), { title: "Stop at the next token" });
  const colour = choice("colour by", emotions.map((e) => [e, e]), (value) => ui.set("colour", value));
  const swept = choice("five strengths of", emotions.map((e) => [e, e]), (value) => ui.set("swept", value));
  const sweep = button("sweep", () => ui.ask("sweep"), { title: "Five strengths of this emotion from one batch" });
  const replies = columns(emotions, () => ui.get("colour"), "reply");
  const strip = columns(emotions, () => ui.get("colour"), "strip");
  const strips = element("div", { hidden: true }, strip.node);
  const runs = element("ol", { class: "emokit-runs" });
  const count = element("summary");
  let asking = false;
  const save = (kind) =>
    button(`save as ${kind === "json" ? "JSON" : "Markdown"}`, () => {
      asking = true; // another view of this board does not save too
      ui.ask(kind);
    });
  const history = element("details", {}, count, element("div", { class: "emokit-row" }, save("json"), save("markdown")), runs);
  ui.onMessage((message) => {
    if (asking && message.name) download(message.name, message.text);
    asking = false;
  });
  const again = ({ prompt, system, strengths, block, temperature, seed, max_new_tokens }) => {
    for (const [name, value] of Object.entries({ prompt, system, block, temperature, seed, max_new_tokens })) ui.set(name, value);
    ui.set("strengths", strengths);
  };

  ui.on("prompt", () => prompt.show(ui.get("prompt")));
  ui.on("system", () => system.show(ui.get("system")));
  ui.on("limits strengths", () => {
    const [low, high] = ui.get("limits");
    push.forEach((one, i) => {
      [one.input.min, one.input.max] = [low, high];
      one.show(ui.get("strengths")[sliders[i]] ?? 0);
    });
  });
  ui.on("block", () => block.show(ui.get("block")));
  ui.on("max_new_tokens", () => (tokens.input.value = ui.get("max_new_tokens")));
  ui.on("temperature", () => (heat.input.value = ui.get("temperature")));
  ui.on("seed", () => (seed.input.value = ui.get("seed")));
  ui.on("control", () => (control.box.checked = ui.get("control")));
  ui.on("asked", () => (asked.box.checked = ui.get("asked")));
  ui.on("colour", () => (colour.select.value = ui.get("colour")));
  ui.on("swept", () => (swept.select.value = ui.get("swept")));
  ui.on("busy", () => (stop.disabled = !ui.get("busy")));
  ui.on("view colour", () => {
    const view = ui.get("view");
    replies.show(view.columns ?? []);
    strip.show(view.sweep ?? []);
    strips.hidden = !view.sweep?.length;
  });
  ui.on("history", () => {
    const known = ui.get("history");
    count.textContent = `history: ${known.length} ${known.length === 1 ? "run" : "runs"}`;
    runs.replaceChildren(
      ...known.map((one) => element("li", {}, button("again", () => again(one)), ` ${title(one)}`, element("p", {}, one.replies.steered))),
    );
  });
  return [
    prompt.node,
    system.node,
    element("div", { class: "emokit-grid" }, ...push.map((one) => one.node)),
    element("div", { class: "emokit-row" }, block.node, zero, tokens.node, heat.node, seed.node),
    element("div", { class: "emokit-row" }, run, stop, control.node, asked.node, colour.node),
    replies.node,
    element("p", { class: "emokit-note" }, `Read at block ${best} as the model stands: what the steering adds there is part of the colours. Bars: the four highest on average. Point at a token, or move with the arrow keys, for its numbers.`),
    element("div", { class: "emokit-row" }, swept.node, sweep),
    strips,
    history,
  ];
});
