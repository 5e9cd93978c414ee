import assert from "node:assert/strict";
import { test } from "node:test";

import { served } from "./served.mjs";

const { counted, differences, indexSummary, percent, sureness } = await served("wording.js");

test("what must be raised to sound like the query is lower, and what takes longer is slower", () => {
  assert.deepEqual(differences({ transposition: 2, tempo_ratio: 1.25 }), ["2 semitones lower", "20 % slower"]);
  assert.deepEqual(differences({ transposition: -1, tempo_ratio: 0.8 }), ["a semitone higher", "25 % faster"]);
  assert.deepEqual(differences({ transposition: 12, tempo_ratio: 2.5 }), ["an octave lower", "2.5 times slower"]);
  assert.deepEqual(differences({ transposition: 0, tempo_ratio: 1.001 }), []);
  assert.deepEqual(differences({ transposition: null, tempo_ratio: null }), []);
  assert.deepEqual(differences({ transposition: 0, tempo_ratio: 1.004 }), ["0.4 % slower"]);
});

test("of a score it is told how it is played", () => {
  assert.deepEqual(differences({ transposition: 2, tempo_ratio: 1.25 }, "score"), [
    "played 2 semitones higher than written",
    "played 25 % faster than written",
  ]);
});

test("how sure something is never sounds surer than it is", () => {
  assert.equal(percent(1), "over 99 %");
  assert.equal(percent(0), "under 1 %");
  assert.equal(percent(0.494), "49 %");
  assert.equal(sureness({ score: 0.97, accepted: false })[0], "only a guess");
  assert.equal(sureness({ score: 0.97, accepted: true })[0], "very likely");
});

test("counts", () => {
  assert.equal(counted(1, "score"), "1 score");
  assert.equal(counted(1234567, "score"), "1,234,567 scores");
  const none = { added: 0, updated: 0, unchanged: 0, moved: 0, missing: 0, skipped: 0, failed: [] };
  assert.equal(indexSummary(none), "Nothing to take in");
  assert.equal(indexSummary({ ...none, added: 2, failed: [{}] }), "2 added, 1 failed");
});
