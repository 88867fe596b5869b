import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import test from "node:test";

import { amount, largest, mix, paused, signed, tsv, unpack, visible } from "../../emokit/widgets/static/common.mjs";

const css = readFileSync(new URL("../../emokit/widgets/static/boards.css", import.meta.url), "utf8");

/** The colours of a theme: those of the first rule, or those with the second's put over them. */
function colours(dark) {
  const rules = css.split("}").map((rule) => Object.fromEntries([...rule.matchAll(/--emokit-(\w+): (#\w{6})/g)].map((m) => [m[1], m[2]])));
  const [light, other] = rules.filter((rule) => rule.base);
  return dark ? { ...light, ...other } : light;
}

/** Contrast of two colours by WCAG 2. */
function contrast(a, b) {
  const luminance = (colour) => {
    const [r, g, b] = [1, 3, 5].map((i) => {
      const c = parseInt(colour.slice(i, i + 2), 16) / 255;
      return c <= 0.04045 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4;
    });
    return 0.2126 * r + 0.7152 * g + 0.0722 * b;
  };
  const [high, low] = [luminance(a), luminance(b)].sort((x, y) => y - x);
  return (high + 0.05) / (low + 0.05);
}

for (const dark of [false, true]) {
  test(`contrast in the ${dark ? "dark" : "light"} theme`, () => {
    const { base, ink, up, down, error, dim, line, focus } = colours(dark);
    for (const end of [up, down])
      for (let share = 0; share <= 1; share += 0.1) assert.ok(contrast(ink, mix(base, end, share)) >= 4.5, `${end} ${share}`);
    for (const text of [ink, error, dim]) assert.ok(contrast(text, base) >= 4.5, text);
    for (const edge of [line, focus]) assert.ok(contrast(edge, base) >= 3, edge); // WCAG 1.4.11
    assert.ok(contrast(mix(base, up, 1), mix(base, down, 1)) < 3); // so the two differ by hue, and by a line below
  });
}

test("scores come from bytes that lie anywhere in a buffer", () => {
  const whole = new Int8Array([9, 9, 12, -5, 0]);
  assert.deepEqual([...unpack(new DataView(whole.buffer, 2, 3))], [12, -5, 0]);
  assert.deepEqual([...unpack(whole.buffer)], [9, 9, 12, -5, 0]);
  assert.equal(unpack(undefined).length, 0);
});

test("numbers carry their sign", () => assert.deepEqual([12, -5, 0, 100].map(signed), ["+0.12", "−0.05", "0.00", "+1.00"]));

test("the largest come first, equal ones in order", () => {
  assert.deepEqual(largest([1, 5, 5, -2], 3), [1, 2, 0]);
  assert.deepEqual(largest(new Int8Array([-1, -2]), 5), [0, 1]);
});

test("colours end at 0.30", () => assert.deepEqual([0, 15, -30, 90].map(amount), [0, 0.5, 1, 1]));

test("tokens can be seen", () => assert.deepEqual(["\n", " ", " dog", "a\nb"].map(visible), ["↵", "␣", " dog", "a↵b"]));

test("mixing ends at its ends", () => {
  assert.equal(mix("#000000", "#ffffff", 0), "#000000");
  assert.equal(mix("#000000", "#ffffff", 1), "#ffffff");
  assert.equal(mix("#102030", "#304050", 0.5), "#203040");
});

test("a table keeps its rows and columns, whatever is in the cells", () => {
  const text = tsv([["token", "x"], ["a\tb\nc\\", 1]]);
  assert.equal(text, "token\tx\na\\tb\\nc\\\\\t1\n");
  assert.deepEqual(text.trimEnd().split("\n").map((row) => row.split("\t").length), [2, 2]);
});

test("a pause is waited for, and the last call counts", async () => {
  const calls = [];
  const act = paused((x) => calls.push(x), 20);
  [1, 2, 3].forEach(act);
  await new Promise((done) => setTimeout(done, 60));
  assert.deepEqual(calls, [3]);
});
