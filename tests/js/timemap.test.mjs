import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";

import { TimeMap } from "../../alignment/switcher/timemap.js";

const match = (...points) => ({ kind: "match", ref: [points[0][0], points.at(-1)[0]], warping_path: points });
const onlyRef = (start, end) => ({ kind: "only_ref", ref: [start, end], other: null, warping_path: [] });
const onlyOther = (start, end) => ({ kind: "only_other", ref: null, other: [start, end], warping_path: [] });

// 20 s the same, 10 s left out, 20 s the same, 5 s more, 10 s at half speed.
const CUT = [
  match([0, 1], [20, 21]),
  onlyRef(20, 30),
  match([30, 21], [50, 41]),
  onlyOther(41, 46),
  match([50, 46], [60, 66]),
];
const cut = new TimeMap(CUT, 60, 66);
const swapped = new TimeMap([match([0, 30], [20, 50]), match([20, 0], [50, 30])], 50, 50);

test("between points the map is linear", () => {
  assert.equal(cut.toOther(10), 11);
  assert.equal(cut.toOther(55), 56);
  assert.equal(cut.toRef(56), 55);
});

test("what one side leaves out is nowhere on it", () => {
  assert.equal(cut.toOther(25), null);
  assert.equal(cut.toRef(43), null);
  assert.deepEqual(cut.lacking, [[20, 30]]);
  assert.deepEqual(cut.extra, [[41, 46]]);
});

test("the map is the inverse of itself inside every match", () => {
  for (const map of [cut, swapped]) {
    for (let ref = 0.05; ref < map.refDuration; ref += 0.371) {
      const other = map.toOther(ref);
      if (other !== null) assert.ok(Math.abs(map.toRef(other) - ref) < 1e-9, `${ref} -> ${other} -> ${map.toRef(other)}`);
    }
  }
});

test("the map rises inside every match", () => {
  let last = -1;
  for (let ref = 50; ref <= 60; ref += 0.01) {
    const other = cut.toOther(ref);
    assert.ok(other > last);
    last = other;
  }
});

test("from what is left out one comes to the next section, or the one before", () => {
  assert.deepEqual(cut.next(25), { ref: 30, other: 21 });
  assert.deepEqual(cut.previous(25), { ref: 20, other: 21 });
  assert.equal(new TimeMap([match([0, 0], [5, 5]), onlyRef(5, 9)], 9, 5).next(6), null);
});

test("what only the other has stands where the reference was left", () => {
  assert.deepEqual(cut.place(43), { ref: 50, shared: false });
  assert.deepEqual(cut.place(10), { ref: 9, shared: true });
});

test("playing over a cut tells what is passed over", () => {
  assert.deepEqual(cut.passedOver(20.9, 21.1), [20, 30]);
  assert.equal(cut.passedOver(10, 11), null);
  assert.equal(cut.passedOver(45, 47), null);
});

test("sections in another order are found in both directions", () => {
  assert.equal(swapped.toOther(10), 40);
  assert.equal(swapped.toOther(30), 10);
  assert.equal(swapped.toRef(40), 10);
});

test("the reference is on its own timeline", () => {
  assert.equal(TimeMap.identity(12).toOther(3.25), 3.25);
});

// Alignments made at random, with the times that Python carries over: see tests/test_switcher.py.
test("the map is that of carry_times", { skip: !process.env.INCIPIT_CASES }, () => {
  for (const { segments, ref, other, ref_times, carried, other_times, back } of JSON.parse(readFileSync(process.env.INCIPIT_CASES))) {
    const map = new TimeMap(segments, ref, other);
    const pairs = [
      ...ref_times.map((seconds, k) => [map.toOther(seconds), carried[k]]),
      ...other_times.map((seconds, k) => [map.toRef(seconds), back[k]]),
    ];
    for (const [got, wanted] of pairs) {
      if (wanted === null) assert.equal(got, null);
      else assert.ok(got !== null && Math.abs(got - wanted) < 1e-9, `${got} instead of ${wanted}`);
    }
  }
});
