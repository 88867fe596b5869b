// LiveMonitor: a reply coloured as it is written, and meters of the highest emotions.

import { board, button, choice, element, field, largest, meters, number, tokenList, unpack } from "./common.mjs";

/** The mean score of each emotion over the last `count` tokens. */
export function lately(scores, emotions, count) {
  const tokens = Math.floor(scores.length / emotions);
  const first = Math.max(0, tokens - count);
  return Array.from({ length: emotions }, (_, e) => {
    let sum = 0;
    for (let i = first; i < tokens; i++) sum += scores[i * emotions + e];
    return tokens ? Math.round(sum / (tokens - first)) : 0;
  });
}

export default board("Live monitor", (ui) => {
  const { emotions, block } = ui.get("about");
  const prompt = field("prompt", { rows: 2, change: (value) => ui.set("prompt", value) });
  const run = button("run", () => ui.ask("run"), { title: "Generate a reply to this prompt" });
  const tokens = number("tokens", { min: 1, max: 1000 }, (value) => ui.set("max_new_tokens", value));
  const heat = number("temperature", { min: 0, max: 10, step: 0.1 }, (value) => ui.set("temperature", value));
  const seed = number("seed", { min: 0, step: 1 }, (value) => ui.set("seed", value));
  const stop = button("stop", () => ui.ask("stop"), { title: "Stop at the next token" });
  const emotion = choice("colour by", [["", "the highest per token"], ...emotions.map((e) => [e, e])], (value) => ui.set("emotion", value));
  const list = tokenList("reply", { each: 1 });
  const bars = meters("the eight highest of late");
  ui.on("prompt", () => prompt.show(ui.get("prompt")));
  ui.on("max_new_tokens", () => (tokens.input.value = ui.get("max_new_tokens")));
  ui.on("temperature", () => (heat.input.value = ui.get("temperature")));
  ui.on("seed", () => (seed.input.value = ui.get("seed")));
  ui.on("emotion", () => (emotion.select.value = ui.get("emotion")));
  ui.on("busy", () => (stop.disabled = !ui.get("busy")));
  ui.on("view emotion", () => {
    const { tokens = [], scores: bytes } = ui.get("view");
    const scores = unpack(bytes);
    const row = (i) => scores.subarray(i * emotions.length, (i + 1) * emotions.length);
    list.show({ tokens, row, emotions, emotion: emotions.indexOf(ui.get("emotion")), readout: 0 });
    const mean = lately(scores, emotions.length, 10);
    bars.show(tokens.length ? largest(mean, 8).map((e) => [emotions[e], mean[e]]) : []);
  });
  return [
    prompt.node,
    element("div", { class: "emokit-row" }, run, stop, tokens.node, heat.node, seed.node, emotion.node),
    list.node,
    bars.node,
    element("p", { class: "emokit-note" }, `Meters: mean score over the last ten tokens, read at block ${block} as the model stands, steered or not. Framed: the readout, the prompt's last token.`),
  ];
});
