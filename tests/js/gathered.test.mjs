import assert from "node:assert/strict";
import { test } from "node:test";

import { served } from "./served.mjs";

const { gathered } = await served("gathered.js");

test("places of one recording are told together, with the best hit", () => {
  const hits = [["r1", 5], ["r2", 1], ["r1", 9]].map(([id, start], index) => ({ id, rank: index + 1, places: [[start, start + 1, 0, 1]] }));
  const found = gathered(hits);
  assert.deepEqual(found.map(({ id, rank }) => [id, rank]), [["r1", 1], ["r2", 2]]);
  assert.deepEqual(found[0].places.map(([start]) => start), [5, 9]);
  assert.equal(hits[0].places.length, 1);
});
