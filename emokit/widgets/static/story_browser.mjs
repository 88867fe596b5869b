// StoryBrowser: filters, a list of stories, and the one that is read, with what lint finds and fields to edit it.

import {
  board, button, choice, download, element, field, freshId, labelled,
} from "./common.mjs";

/** The edits with one story's parts put in; a story that is as it was given has no edit. */
export function withEdit(edits, place, parts, given) {
  const { [place]: _, ...others } = edits;
  const changed = Object.entries(parts).filter(([name, value]) => value !== given[name]);
  return changed.length ? { ...others, [place]: Object.fromEntries(changed) } : others;
}

/** What is said of a row of the list: its labels, its beginning, and its marks in words. */
export function rowText([, emotion, topic, text, findings, edited]) {
  const marks = [findings ? `${findings} ${findings === 1 ? "finding" : "findings"}` : "", edited ? "edited" : ""];
  return { labels: `${emotion} · ${topic}`, text, marks: marks.filter(Boolean).join(", ") };
}

/** The place in `places` that a key leads to from `at`; undefined for other keys. */
export function stepTo(key, places, at) {
  const i = places.indexOf(at);
  const last = places.length - 1;
  const to = { ArrowDown: i + 1, ArrowUp: i - 1, PageDown: i + 10, PageUp: i - 10, Home: 0, End: last }[key];
  return to === undefined || last < 0 ? undefined : places[Math.max(0, Math.min(last, to))];
}

/** The stories found, one stop for the Tab key; arrows and the mouse choose one. */
function storyList(choose) {
  const node = element("div", { class: "emokit-stories", role: "listbox", tabindex: "0", "aria-label": "stories found" });
  let places = [];
  let options = [];
  let at = -1;
  const mark = () => {
    options.forEach((option, i) => option.setAttribute("aria-selected", String(places[i] === at)));
    const chosen = options[places.indexOf(at)];
    if (chosen) {
      node.setAttribute("aria-activedescendant", chosen.id);
      const [top, bottom] = [chosen.offsetTop, chosen.offsetTop + chosen.offsetHeight];
      if (top < node.scrollTop) node.scrollTop = top;
      if (bottom > node.scrollTop + node.clientHeight) node.scrollTop = bottom - node.clientHeight;
    } else node.removeAttribute("aria-activedescendant");
  };
  const show = (rows, chosen) => {
    at = chosen;
    places = rows.map((row) => row[0]);
    rows.forEach((row, i) => {
      const { labels, text, marks } = rowText(row);
      options[i] ??= node.appendChild(element("div", { role: "option", id: freshId(), class: "emokit-story" }));
      const told = `${labels}|${text}|${marks}`;
      if (options[i].told === told) return;
      options[i].told = told;
      options[i].replaceChildren(element("b", {}, labels), " ", element("i", {}, marks), " ", element("span", {}, text));
    });
    for (const option of options.splice(rows.length)) option.remove();
    mark();
  };
  const go = (place) => {
    at = place;
    mark();
    choose(place);
  };
  node.addEventListener("click", (event) => {
    const i = options.indexOf(event.target.closest?.(".emokit-story"));
    if (i >= 0) go(places[i]);
  });
  node.addEventListener("keydown", (event) => {
    const to = stepTo(event.key, places, at);
    if (to === undefined) return;
    event.preventDefault();
    go(to);
  });
  return { node, show };
}

/** A line of text with proposals. */
function line(label, options, change) {
  const proposals = element("datalist", { id: freshId() }, ...options.map((value) => element("option", { value })));
  const input = element("input", { type: "text", list: proposals.id, change: () => change(input.value), spellcheck: "false" });
  return { node: labelled(label, input, proposals), input };
}

export default board("Story browser", (ui) => {
  const { emotions, topics, listed } = ui.get("about");
  const any = (values) => [["", "any"], ...values.map((v) => [v, v])];
  const filters = {
    emotion: choice("emotion", any(emotions), (value) => ui.set("emotion", value)),
    topic: choice("topic", any(topics), (value) => ui.set("topic", value)),
    person: choice("told in", [["", "any person"], ["first", "the first person"], ["third", "the third person"]], (value) => ui.set("person", value)),
    only: choice("show", [["", "all"], ["with findings", "with findings of lint"], ["edited", "edited ones"]], (value) => ui.set("only", value)),
  };
  const words = element("input", { type: "search", placeholder: "any words", input: () => ui.set("words", words.value) });
  const list = storyList((place) => ui.set("at", place));
  const more = element("p", { class: "emokit-note", hidden: true });

  // the story that is read: what is typed belongs to the one that is shown, whichever has been chosen since
  let shown = null;
  const parts = () => ({ emotion: emotion.input.value, topic: topic.input.value, text: text.area.value });
  const keep = () => shown && ui.set("edits", withEdit(ui.get("edits"), shown.place, parts(), shown.given));
  const head = element("h4");
  const text = field("text", { rows: 7, pause: 600, change: keep });
  const emotion = line("emotion", emotions, keep);
  const topic = line("topic", topics, keep);
  const undo = button("as it was", () => {
    const { [shown.place]: _, ...others } = ui.get("edits");
    ui.set("edits", others);
    text.area.value = shown.given.text;
  });
  const findings = element("ul", { class: "emokit-findings" });
  const whole = element("ul", { class: "emokit-findings" });
  const wholeCount = element("summary");
  const wholeNode = element("details", { hidden: true }, wholeCount, whole);
  const items = (values) => values.map((value) => element("li", {}, value));

  let asking = false;
  const save = (kind, name) =>
    button(`save the copy as ${name}`, () => {
      asking = true; // another view of this board does not save too
      ui.ask(kind);
    });
  ui.onMessage((message) => {
    if (asking && message.name) download(message.name, message.text);
    asking = false;
  });

  for (const [name, { select }] of Object.entries(filters)) ui.on(name, () => (select.value = ui.get(name)));
  ui.on("words", () => {
    if (document.activeElement !== words) words.value = ui.get("words");
  });
  ui.on("view", () => {
    const { rows = [], found = 0, story, whole: onTheWhole = [] } = ui.get("view");
    list.show(rows, ui.get("at"));
    more.hidden = found <= listed;
    more.textContent = `The first ${listed} of ${found} are listed; filter for the others.`;
    wholeNode.hidden = !onTheWhole.length;
    wholeCount.textContent = `lint on the whole set: ${onTheWhole.length}`;
    whole.replaceChildren(...items(onTheWhole.slice(0, 200)));
    if (!story) return;
    const other = shown?.place !== story.place;
    shown = story;
    const count = story.text.split(/\s+/).filter(Boolean).length;
    head.textContent = `Story ${story.place}${story.source ? `, ${story.source}` : ""} · ${story.person} person · ${count} words${story.edited ? " · edited" : ""}`;
    if (other) text.area.value = story.text;
    else text.show(story.text);
    for (const [one, value] of [[emotion, story.emotion], [topic, story.topic]])
      if (other || document.activeElement !== one.input) one.input.value = value;
    undo.disabled = !(story.place in ui.get("edits"));
    findings.replaceChildren(...items(story.findings.length ? story.findings : [story.lint]));
  });
  ui.on("edits at", () => shown && (undo.disabled = !(shown.place in ui.get("edits"))));

  return [
    element("div", { class: "emokit-row" }, ...Object.values(filters).map((f) => f.node), labelled("with the words", words)),
    element(
      "div",
      { class: "emokit-halves" },
      element("div", {}, list.node, more),
      element(
        "section",
        { "aria-label": "the story" },
        head,
        text.node,
        element("div", { class: "emokit-row" }, emotion.node, topic.node, undo),
        findings,
      ),
    ),
    wholeNode,
    element("div", { class: "emokit-row" }, save("jsonl", "JSON lines"), save("csv", "CSV")),
    element("p", { class: "emokit-note" }, "What you type goes into a copy (board.edited); the stories you gave, and every file, stay as they are."),
  ];
});
