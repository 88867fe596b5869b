import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import test from "node:test";

import { change, lines, parseValues, reach, ticks, told, writeValues } from "../../emokit/widgets/static/dose_lab.mjs";

test("values are numbers where they read the same, else texts", () => {
  assert.deepEqual(parseValues("500, 1000,2.5 , -3"), [500, 1000, 2.5, -3]);
  assert.deepEqual(parseValues("2.50, 1e3, 007, -0, Infinity, NaN, two"), ["2.50", "1e3", "007", "-0", "Infinity", "NaN", "two"]);
  assert.deepEqual(parseValues("1, , 2,\n"), [1, 2]);
  assert.deepEqual(parseValues("1,000; 2,000"), ["1,000", "2,000"]);
  assert.deepEqual(parseValues("a, b\nc"), ["a, b", "c"]);
  assert.deepEqual(parseValues(" "), []);
});

test("written values are read back", () => {
  for (const values of [[1, 2.5, "two"], ["1,000", "2,000", 3], ["a; b", "c"].slice(1).concat("d")]) assert.deepEqual(parseValues(writeValues(values)), values);
});

test("empty lines are no rungs", () => assert.deepEqual(lines(" a \n\n b.\n"), ["a", "b."]));

test("changes have three digits and a sign", () => assert.deepEqual([0.0124, -0.0006, -0.0001, 0].map(change), ["+0.012", "−0.001", "0.000", "0.000"]));

const one = { name: "the numbers", labels: ["1", "20"], sentences: ["I saw 1.", "I saw 20."], low: [0, -0.02], high: [0, 0.03], curves: { sad: [0, 0.01], calm: [0, -0.05] } };

test("one scale for curves and bands of all charts", () => {
  assert.ok(Math.abs(reach([one]) - 0.055) < 1e-12);
  assert.ok(Math.abs(reach([one, { ...one, high: [0, 0.1] }]) - 0.11) < 1e-12);
  assert.ok(reach([]) > 0);
});

test("ticks are round and lie on the scale", () => {
  for (const limit of [1e-6, 0.0021, 0.0099, 0.01, 0.03, 0.055, 0.11, 0.9, 1, 1.9, 7]) {
    const found = ticks(limit);
    assert.ok(found.length >= 3 && found.length <= 5, `${limit}`);
    for (const [value, text] of found) {
      assert.ok(Math.abs(value) <= limit);
      assert.ok(Math.abs(Number(text.replace("−", "-")) - value) < 1e-9, `${limit} ${text}`);
    }
  }
  assert.deepEqual(ticks(0.055).map(([, text]) => text), ["−0.05", "0", "+0.05"]);
});

test("a chart tells its value, its sentence and the band", () =>
  assert.equal(told(one, 1), "the numbers, 20: “I saw 20.” · sad +0.010 · calm −0.050 · random directions −0.020 to +0.030"));

test("the lines' colours have 3:1 in both themes", () => {
  const css = readFileSync(new URL("../../emokit/widgets/static/boards.css", import.meta.url), "utf8");
  const luminance = (colour) => {
    const [r, g, b] = [1, 3, 5].map((i) => {
      const c = parseInt(colour.slice(i, i + 2), 16) / 255;
      return c <= 0.04045 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4;
    });
    return 0.2126 * r + 0.7152 * g + 0.0722 * b;
  };
  const bands = ["#d8d8d8", "#404040"]; // 17 % of the ink on the base, light and dark
  const themes = css.split("}").filter((rule) => rule.includes("--emokit-base:"));
  assert.equal(themes.length, 2);
  themes.forEach((rule, i) => {
    const hues = [...rule.matchAll(/--emokit-hue\d: (#\w{6})/g)].map((m) => m[1]);
    const base = rule.match(/--emokit-base: (#\w{6})/)[1];
    assert.equal(new Set(hues).size, 6);
    for (const hue of hues)
      for (const under of [base, bands[i]]) {
        const [high, low] = [luminance(hue), luminance(under)].sort((a, b) => b - a);
        assert.ok((high + 0.05) / (low + 0.05) >= 3, `${hue} on ${under}`);
      }
  });
});
