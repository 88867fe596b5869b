import assert from "node:assert/strict";
import test from "node:test";

import { lately } from "../../emokit/widgets/static/live_monitor.mjs";
import { means, title } from "../../emokit/widgets/static/steering_console.mjs";
import { byMean, table } from "../../emokit/widgets/static/token_reader.mjs";

const scores = new Int8Array([90, -90, 10, 20, 30, 0]); // three tokens, two emotions

test("the copied table has a row per token, the readout marked", () => {
  assert.deepEqual(table({ tokens: ["a", " b", "c"], scores, readout: 2 }, ["happy", "sad"]), [
    ["token", "readout", "happy", "sad"],
    ["a", 0, "0.90", "-0.90"],
    [" b", 0, "0.10", "0.20"],
    ["c", 1, "0.30", "0.00"],
  ]);
});

test("emotions are ordered by their mean behind the first token", () => {
  assert.deepEqual(byMean(new Int8Array([90, -90, 10, 20, 10, 30]), 3, 2), [1, 0]);
  assert.deepEqual(byMean(new Int8Array([90, -90]), 1, 2), [0, 1]);
});

test("meters are means, of the last tokens or of all", () => {
  assert.deepEqual(lately(scores, 2, 2), [20, 10]);
  assert.deepEqual(lately(scores, 2, 10), means(scores, 2));
  assert.deepEqual(means(scores, 2), [43, -23]);
  assert.deepEqual(means(new Int8Array(0), 2), [0, 0]);
});

test("a run of the history is called by what was pushed", () => {
  assert.equal(title({ strengths: { happy: 0.3, sad: -0.1, calm: 0 }, block: 18, prompt: "Hi" }), "happy +0.30, sad −0.10 · block 18 · Hi");
  assert.equal(title({ strengths: { happy: 0 }, block: 1, prompt: "Hi" }), "no steering · block 1 · Hi");
});
