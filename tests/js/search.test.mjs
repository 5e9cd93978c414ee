import assert from "node:assert/strict";
import { test } from "node:test";

import { served } from "./served.mjs";

const { carried, nearest, smoothed, through, turned } = await served("line.js");
const { wavFile } = await served("wav.js");
const { apart, differences, fileBeside, gathered, percent, sureness, workLabel } = await served("words.js");

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

test("recordings with one title are told apart by their files, and a work without a name is not named", () => {
  const two = ["a.flac", "b.flac"].map((file) => ({ title: "Prelude", file }));
  assert.deepEqual(apart(two).map(({ title }) => title), ["a.flac", "b.flac"]);
  assert.equal(apart([two[0], { title: "Fugue", file: "b.flac" }])[0].title, "Prelude");
  assert.equal(fileBeside("Prelude", "a.flac"), "a.flac");
  assert.equal(fileBeside("a", "a.flac"), "");
  assert.equal(workLabel("w0123456789ab"), "");
  assert.equal(workLabel("Winterreise"), "Winterreise");
  assert.equal(workLabel(null), "");
});

test("places of one recording are told together, with the best hit", () => {
  const hits = [["r1", 5], ["r2", 1], ["r1", 9]].map(([id, start], index) => ({ id, rank: index + 1, places: [[start, start + 1, 0, 1]] }));
  const found = gathered(hits);
  assert.deepEqual(found.map(({ id, rank }) => [id, rank]), [["r1", 1], ["r2", 2]]);
  assert.deepEqual(found[0].places.map(([start]) => start), [5, 9]);
  assert.equal(hits[0].places.length, 1);
});

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

test("a recording is a WAV file of its samples", () => {
  const view = new DataView(wavFile([Float32Array.of(0, 1), Float32Array.of(-0.5, 2)], 48000));
  const text = (at) => String.fromCharCode(...new Uint8Array(view.buffer, at, 4));
  assert.deepEqual([text(0), text(8), text(12), text(36)], ["RIFF", "WAVE", "fmt ", "data"]);
  assert.equal(view.getUint32(4, true), view.byteLength - 8);
  assert.equal(view.getUint32(24, true), 48000);
  assert.equal(view.getUint32(40, true), 8);
  assert.deepEqual([0, 1, 2, 3].map((index) => view.getInt16(44 + 2 * index, true)), [0, 32767, -16383, 32767]);
});
