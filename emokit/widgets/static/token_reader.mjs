// TokenReader: a text coloured by emotion, and a strip of all emotions over it.

import {
  amount, board, button, checkbox, choice, copy, element, field, largest, mix, signed, slider, tokenList, tsv, unpack,
} from "./common.mjs";

/** The table that is copied: token, readout, a column per emotion. */
export function table({ tokens, scores, readout }, emotions) {
  const rows = tokens.map((token, i) => {
    const row = Array.from(scores.subarray(i * emotions.length, (i + 1) * emotions.length));
    return [token, i === readout ? 1 : 0, ...row.map((s) => (s / 100).toFixed(2))];
  });
  return [["token", "readout", ...emotions], ...rows];
}

/** The emotions' places ordered by mean score over the tokens behind the first, highest first. */
export function byMean(scores, tokens, emotions) {
  const sums = new Array(emotions).fill(0);
  for (let i = Math.min(1, tokens - 1); i < tokens; i++)
    for (let e = 0; e < emotions; e++) sums[e] += scores[i * emotions + e];
  return largest(sums, emotions);
}

/** All emotions over the text: a row each, a column a token. A click on a column chooses the token, on a name the emotion. */
function strip({ chooseToken, chooseEmotion }) {
  const high = 14;
  const names = element("div", { class: "emokit-names" });
  const canvas = element("canvas", { role: "img" });
  const mark = element("div", { class: "emokit-mark", hidden: true });
  const area = element("div", { class: "emokit-canvas" }, canvas, mark);
  const node = element("div", { class: "emokit-strip" }, names, area);
  let wide = 1;
  let tokens = 0;
  const show = ({ tokens: given, scores, readout }, emotions, chosen, root) => {
    tokens = given.length;
    const order = byMean(scores, tokens, emotions.length);
    names.replaceChildren(
      ...order.map((e) =>
        element("button", { type: "button", tabindex: "-1", class: e === chosen ? "emokit-on" : "", click: () => chooseEmotion(e) }, emotions[e]),
      ),
    );
    wide = Math.max(2, Math.min(24, Math.floor((area.clientWidth || 600) / Math.max(1, tokens))));
    canvas.width = wide * tokens;
    canvas.height = high * order.length;
    canvas.setAttribute("aria-label", `Scores of ${emotions.length} emotions over ${tokens} tokens; the list above tells the numbers.`);
    const style = getComputedStyle(root);
    const [base, up, down, ink] = ["base", "up", "down", "ink"].map((n) => style.getPropertyValue(`--emokit-${n}`).trim());
    const shades = Array.from({ length: 201 }, (_, i) => mix(base, i < 100 ? down : up, amount(i - 100)));
    const draw = canvas.getContext("2d");
    order.forEach((e, row) => {
      for (let i = 0; i < tokens; i++) {
        draw.fillStyle = shades[scores[i * emotions.length + e] + 100];
        draw.fillRect(i * wide, row * high, wide, high - 1);
      }
    });
    draw.fillStyle = ink;
    draw.fillRect(readout * wide + wide / 2 - 1, 0, 2, canvas.height);
  };
  const at = (event) => Math.floor(event.offsetX / wide);
  canvas.addEventListener("pointermove", (event) => at(event) < tokens && chooseToken(at(event)));
  canvas.addEventListener("click", (event) => at(event) < tokens && chooseToken(at(event)));
  const point = (i) => {
    mark.hidden = i < 0;
    mark.style.cssText = `left:${i * wide}px;width:${wide}px;height:${canvas.height}px`;
  };
  return { node, show, point };
}

export default board("Token reader", (ui) => {
  const { emotions, blocks, best } = ui.get("about");
  const text = field("text", { rows: 3, pause: 500, change: (value) => ui.set("text", value) });
  const chat = checkbox("as a chat (lines that begin with User:, Assistant: or System:)", (on) => ui.set("chat", on));
  const block = slider({
    label: "block", min: 0, max: blocks - 1, step: 1, change: (value) => ui.set("block", value),
    write: (value) => `${value}${value === best ? " (best)" : ""}`,
  });
  const emotion = choice("colour by", [["", "the three highest per token"], ...emotions.map((e) => [e, e])], (value) =>
    ui.set("emotion", value),
  );
  const list = tokenList("tokens", { chosen: (i) => all.point(i) });
  const all = strip({
    chooseToken: (i) => {
      list.choose(i, false);
      all.point(i);
    },
    chooseEmotion: (e) => ui.set("emotion", emotions[e]),
  });
  const seen = () => {
    const { tokens = [], readout = -1, scores } = ui.get("view");
    return { tokens, readout, scores: unpack(scores) };
  };
  const copied = button("copy as table", async () => {
    const view = seen();
    const done = await copy(tsv(table(view, emotions)));
    ui.say(done ? `copied: ${view.tokens.length} rows, tab-separated` : "The browser allows no copying here; use board.reading.to_frame() in a cell.");
  });
  const show = () => {
    const view = seen();
    const { tokens, scores, readout } = view;
    const row = (i) => scores.subarray(i * emotions.length, (i + 1) * emotions.length);
    const chosen = emotions.indexOf(ui.get("emotion"));
    list.show({ tokens, row, emotions, emotion: chosen, readout });
    all.show(view, emotions, chosen, ui.root);
    all.point(-1);
  };
  ui.on("text", () => text.show(ui.get("text")));
  ui.on("chat", () => (chat.box.checked = ui.get("chat")));
  ui.on("block", () => block.show(ui.get("block")));
  ui.on("emotion", () => (emotion.select.value = ui.get("emotion")));
  ui.on("view emotion", show);
  ui.onTheme(show);
  let wide = 0;
  const resized = new ResizeObserver(() => {
    if (ui.root.clientWidth !== wide) show();
    wide = ui.root.clientWidth;
  });
  resized.observe(ui.root);
  ui.atEnd(() => resized.disconnect());
  return [
    text.node,
    element("div", { class: "emokit-row" }, chat.node),
    element("div", { class: "emokit-row" }, block.node, emotion.node, copied),
    list.node,
    element("p", { class: "emokit-note" }, "Score: cosine with the emotion's direction. Orange and an underline: towards it; purple and dots: away. Framed: the readout."),
    all.node,
  ];
});
