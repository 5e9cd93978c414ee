import assert from "node:assert/strict";
import { test } from "node:test";

import { longestOf, nearestPlaying, rowsAt } from "../../alignment/switcher/score.js";

// A measure played twice, and one after it; notes that begin together and last unlike.
const measures = [[0, 2, "m1", 1], [2, 4, "m1", 1], [4, 6, "m2", 2]];
const notes = [[0, 5, "bass"], [0, 1, "a"], [1, 2, "b"], [4, 5.5, "c"]];

test("what sounds at a moment is what has begun and not ended", () => {
  const at = (seconds) => rowsAt(notes, seconds, longestOf(notes)).map((row) => row[2]).sort();
  assert.deepEqual([-1, 0, 1.5, 3, 4.9, 5.2, 6].map(at), [[], ["a", "bass"], ["b", "bass"], ["bass"], ["bass", "c"], ["c"], []]);
});

test("a click on a repeated measure goes to the time it is played nearest to the place", () => {
  assert.deepEqual(nearestPlaying(measures, "m1", 5), measures[1]);
  assert.deepEqual(nearestPlaying(measures, "m1", 0.5), measures[0]);
  assert.equal(nearestPlaying(measures, "m9", 5), null);
});
