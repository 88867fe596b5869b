import assert from "node:assert/strict";
import test from "node:test";

import { drawn, floats, found, labelPlaces, landed, look, placed, reach, step } from "../../emokit/widgets/static/vector_explorer.mjs";

test("numbers come from bytes that lie anywhere in a buffer", () => {
  const bytes = new Uint8Array(13);
  new Uint8Array(bytes.buffer, 1).set(new Uint8Array(Float32Array.of(1.5, -2, 0.25).buffer));
  assert.deepEqual([...floats(new DataView(bytes.buffer, 1, 12))], [1.5, -2, 0.25]);
  assert.equal(floats(undefined).length, 0);
});

const values = Float32Array.from({ length: 12 }, (_, i) => (i % 2 ? -i : i)); // 2 blocks, 2 emotions, 3 components

test("a block's points on two axes", () => {
  assert.deepEqual(placed(values, 2, 3, 0, [0, 1]), [[0, -1], [-3, 4]]);
  assert.deepEqual(placed(values, 2, 3, 1, [2, 0]), [[8, 6], [-11, -9]]);
});

test("the axes reach as far at every block", () => {
  assert.equal(reach(values, 3, [0, 1]), 10);
  assert.equal(reach(values, 3, [2, 2]), 11);
  assert.ok(reach(new Float32Array(6), 3, [0, 1]) > 0);
});

test("up is up, and the farthest stays within", () => {
  assert.ok(drawn([0, 1], 1)[1] < drawn([0, 0], 1)[1]);
  assert.ok(drawn([1, 0], 1)[0] > drawn([0, 0], 1)[0]);
  for (const v of drawn([1, -1], 1)) assert.ok(v > 0 && v < 620);
  const [a, b] = [drawn([0.1, 0], 1), drawn([0, 0.1], 1)];
  assert.ok(Math.abs(a[0] - 310 - (250 - b[1])) < 1e-9); // one scale for both
});

test("labels keep off points and each other", () => {
  const points = [[300, 250], [330, 250], [300, 262], [304, 254]];
  const names = ["afraid", "calm", "sad", "happy"];
  const boxes = labelPlaces(points, names.map((name, i) => [i, name])).map(([dx, dy], i) => {
    const wide = 6.6 * names[i].length;
    const left = points[i][0] + dx - (dx > 0 ? 0 : dx < 0 ? wide : wide / 2);
    return [left, points[i][1] + dy - 7, left + wide, points[i][1] + dy + 7];
  });
  const over = (a, b) => Math.max(0, Math.min(a[2], b[2]) - Math.max(a[0], b[0])) * Math.max(0, Math.min(a[3], b[3]) - Math.max(a[1], b[1]));
  for (let i = 0; i < 4; i++) for (let k = 0; k < i; k++) assert.equal(over(boxes[i], boxes[k]), 0, `${names[i]} ${names[k]}`);
});

test("labels stay in the drawing", () => {
  assert.ok(labelPlaces([[610, 250]], [[0, "grateful"]])[0][0] < 0);
  assert.deepEqual(labelPlaces([[100, 250]], [[0, "grateful"]])[0], [11, 0]);
});

test("a search finds beginnings first, and nothing for nothing", () => {
  const emotions = ["unhappy", "Happy", "sad", "happiest"];
  assert.deepEqual(found(emotions, " hap "), [1, 3, 0]);
  assert.deepEqual(found(emotions, "x"), []);
  assert.deepEqual(found(emotions, "  "), []);
});

test("arrows reach every point, either way", () => {
  const points = [[3, 1], [1, 2], [2, 3], [2, -4]];
  for (const [key, order] of [["ArrowRight", [1, 2, 3, 0]], ["ArrowLeft", [0, 3, 2, 1]], ["ArrowUp", [3, 0, 1, 2]], ["ArrowDown", [2, 1, 0, 3]]]) {
    let at = -1;
    const seen = order.map(() => (at = step(points, at, key)));
    assert.deepEqual(seen, order, key);
    assert.equal(step(points, at, key), at); // stays at the end
  }
  assert.equal(step(points, 2, "Home"), 1);
  assert.equal(step(points, 2, "End"), 0);
  assert.equal(step(points, 2, "x"), undefined);
  assert.equal(step([], -1, "Home"), undefined);
});

test("shape alone tells clusters, and pleasant from unpleasant from unrated", () => {
  const names = Array.from({ length: 11 }, (_, i) => `c${i}`);
  const looks = names.map((name) => look("cluster", names, name, 1));
  const forms = looks.map(({ d, kind }) => d + kind.includes("hollow"));
  assert.equal(new Set(forms).size, 11);
  const [good, bad, none] = [2, -2, null].map((v) => look("valence", names, "c0", v));
  assert.notEqual(good.d, bad.d);
  assert.ok(none.kind.includes("hollow") && ![good.d, bad.d].includes(none.d));
  assert.ok(look("valence", names, "c0", 3).amount > good.amount);
});

test("a text's place is told with its null", () => {
  const told = { text: "My dog.", words: 2, count: 60, p: [0.02, 0.4, 0.05], reach: [16, 25, 16] };
  const top = [["sad", 21], ["calm", 4]];
  assert.equal(
    landed(told, 0, top),
    "“My dog.” at block 0 lies outside the cloud of 60 neutral pieces of 2 words (p 0.02, all components). Highest: sad +0.21, calm +0.04; more than the +0.16 that 95 % of the pieces stay below.",
  );
  assert.match(landed(told, 1, top), /lies within the cloud of .*: no more than a neutral text's place \(p 0\.40.*; not more than the \+0\.25/);
  assert.match(landed(told, 2, top), /outside/);
  assert.match(landed({ ...told, count: 0 }, 0, top), /being read/);
  assert.match(landed({ ...told, words: 1, text: "x".repeat(99) }, 0, top), /^“x{59}…” .* of 1 word \(/);
});
