import assert from "node:assert/strict";
import { test } from "node:test";

import { served } from "./served.mjs";

const { carried, nearest, smoothed, through, turned } = await served("line.js");

test("a line carries there and back, and goes on beyond its ends", () => {
  const line = [[10, 5], [20, 25], [30, 25], [40, 35]];
  assert.equal(carried(line, 15), 15);
  assert.equal(carried(line, 25), 25);
  assert.equal(carried(line, 0), -5);
  assert.equal(carried(line, 43), 38);
  for (const seconds of [0, 11, 19, 33, 50]) assert.ok(Math.abs(carried(turned(line), carried(line, seconds)) - seconds) < 1e-9);
  assert.equal(carried(through([3, 4], 0.5), 7), 6);
});

test("the nearest line is one that reaches there", () => {
  const lines = [[[0, 0], [10, 10]], [[5, 20], [15, 30]]];
  assert.deepEqual(nearest(lines, [6, 7]), { line: lines[0], distance: 1 });
  assert.equal(nearest(lines, [6, 18]).line, lines[1]);
  assert.equal(nearest(lines, [12, 12]).line, lines[1]);
  assert.equal(nearest(lines, [20, 20]), null);
});

test("steps of a path are smoothed and it never falls", () => {
  const stairs = Array.from({ length: 60 }, (_, index) => [Math.floor(index / 2), Math.ceil(index / 2)]);
  const line = smoothed(stairs, 6);
  for (let index = 1; index < line.length; index += 1) assert.ok(line[index][0] > line[index - 1][0] && line[index][1] >= line[index - 1][1]);
  for (const seconds of [2, 13.3, 25]) assert.ok(Math.abs(carried(line, seconds) - seconds - 0.5) < 0.5);
});
