import assert from "node:assert/strict";
import test from "node:test";

import { rowText, stepTo, withEdit } from "../../emokit/widgets/static/story_browser.mjs";

const given = { emotion: "sad", topic: "rain", text: "It rained." };

test("an edit holds what differs from the story as it was given, and goes when nothing does", () => {
  const edits = withEdit({}, 3, { ...given, text: "It snowed." }, given);
  assert.deepEqual(edits, { 3: { text: "It snowed." } });
  assert.deepEqual(withEdit({ ...edits, 5: { topic: "sun" } }, 3, given, given), { 5: { topic: "sun" } });
  assert.deepEqual(withEdit(edits, 4, { ...given, emotion: "happy" }, given), { 3: { text: "It snowed." }, 4: { emotion: "happy" } });
});

test("an edit does not change the edits it was given", () => {
  const edits = Object.freeze({ 3: { text: "x" } });
  withEdit(edits, 3, given, given);
  assert.deepEqual(edits, { 3: { text: "x" } });
});

test("marks of a row are words", () => {
  assert.deepEqual(rowText([0, "sad", "rain", "It", 2, true]), { labels: "sad · rain", text: "It", marks: "2 findings, edited" });
  assert.equal(rowText([0, "sad", "rain", "It", 1, false]).marks, "1 finding");
  assert.equal(rowText([0, "sad", "rain", "It", 0, false]).marks, "");
});

test("keys lead through the list and stop at its ends", () => {
  const places = [4, 7, 9];
  assert.equal(stepTo("ArrowDown", places, 4), 7);
  assert.equal(stepTo("ArrowDown", places, 9), 9);
  assert.equal(stepTo("ArrowUp", places, 4), 4);
  assert.equal(stepTo("PageDown", places, 4), 9);
  assert.equal(stepTo("Home", places, 9), 4);
  assert.equal(stepTo("End", places, 4), 9);
  assert.equal(stepTo("ArrowDown", places, 1), 4); // what is read is not among those found
  assert.equal(stepTo("ArrowDown", [], 4), undefined);
  assert.equal(stepTo("x", places, 4), undefined);
});
