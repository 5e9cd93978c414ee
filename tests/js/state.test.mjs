import assert from "node:assert/strict";
import { test } from "node:test";

import { speedBeside, SPEEDS } from "../../alignment/switcher/speed.js";
import { clock, createModel, fragment, initialState, loopIn, parseFragment, placeOf, reduce, roundClock } from "../../alignment/switcher/state.js";

// Of 60 s; the second has them at half speed, the third leaves out 20 to 30 s and all from 50 s on.
const model = createModel({
  tracks: [
    { name: "one", duration: 60, segments: [] },
    { name: "two", duration: 120, segments: [{ kind: "match", ref: [0, 60], other: [0, 120], warping_path: [[0, 0], [60, 120]] }] },
    {
      name: "three",
      duration: 46,
      segments: [
        { kind: "match", ref: [0, 20], other: [0, 20], warping_path: [[0, 0], [20, 20]] },
        { kind: "only_ref", ref: [20, 30], other: null, warping_path: [] },
        { kind: "only_other", ref: null, other: [20, 26], warping_path: [] },
        { kind: "match", ref: [30, 50], other: [26, 46], warping_path: [[30, 26], [50, 46]] },
        { kind: "only_ref", ref: [50, 60], other: null, warping_path: [] },
      ],
    },
  ],
});

const after = (...given) => given.reduce((state, action) => reduce(state, action, model), initialState());

test("a switch keeps the musical place, there and back", () => {
  const state = after({ type: "seek", ref: 12 }, { type: "switch", track: 1 });
  assert.equal(state.own, 24);
  assert.equal(placeOf(state, model).ref, 12);
  assert.equal(reduce(state, { type: "switch", track: 0 }, model).own, 12);
});

test("where a performance leaves something out it goes on in its next section, and says so", () => {
  const state = after({ type: "seek", ref: 25 }, { type: "switch", track: 2 });
  assert.equal(state.own, 26);
  assert.equal(state.note, "three leaves out 0:25.0 to 0:30.0: on at 0:30.0");
});

test("a performance that has nothing more is not switched to", () => {
  const state = after({ type: "seek", ref: 55 }, { type: "switch", track: 2 });
  assert.equal(state.track, 0);
  assert.match(state.note, /three has nothing from 0:55.0 on/);
});

test("playing on over a cut is told", () => {
  const before = after({ type: "own", track: 2, own: 25.9 }, { type: "play" });
  const state = reduce(before, { type: "place", track: 2, own: 26.1 }, model);
  assert.equal(state.note, "three leaves out 0:20.0 to 0:30.0");
  assert.equal(state.jump, before.jump);
});

test("what only one performance has is played, and stands at the cut", () => {
  const state = after({ type: "own", track: 2, own: 23 });
  assert.deepEqual(placeOf(state, model), { ref: 20, shared: false });
});

test("a loop is the same music in every performance", () => {
  const state = after({ type: "loopA", ref: 5 }, { type: "loopB", ref: 15 });
  assert.deepEqual([0, 1, 2].map((track) => loopIn(state, model, track)), [[5, 15], [10, 30], [5, 15]]);
  assert.equal(state.own, 5);
});

test("a loop over what is left out takes what there is", () => {
  const state = after({ type: "loopA", ref: 15 }, { type: "loopB", ref: 25 });
  assert.deepEqual(loopIn(state, model, 2), [15, 20]);
  assert.equal(loopIn(after({ type: "loopA", ref: 21 }, { type: "loopB", ref: 29 }), model, 2), null);
});

test("a loop's end before its start begins a new loop from the beginning", () => {
  const state = after({ type: "loopA", ref: 30 }, { type: "loopB", ref: 10 });
  assert.deepEqual(state.loop, { a: 0, b: 10, on: true });
});

test("what happens while it plays starts the sound anew only where it must", () => {
  const state = after({ type: "play" });
  for (const action of [{ type: "mark" }, { type: "view", view: "own" }, { type: "place", track: 0, own: 3 }, { type: "loopA", ref: 1 }]) {
    assert.equal(reduce(state, action, model).jump, state.jump);
  }
  for (const action of [{ type: "seek", ref: 4 }, { type: "switch", track: 1 }, { type: "pause" }, { type: "step", seconds: 5 }]) {
    assert.ok(reduce(state, action, model).jump > state.jump);
  }
});

test("a place that comes late from a performance left is of no account", () => {
  const state = after({ type: "play" }, { type: "switch", track: 1 });
  assert.equal(reduce(state, { type: "place", track: 0, own: 40 }, model), state);
});

test("markers are in the order of the music, kept as they were, and what is none is left out", () => {
  const state = after({ type: "mark", ref: 30, text: "coda" }, { type: "mark", ref: 10 });
  assert.deepEqual(state.markers.map((marker) => marker.t), [10, 30]);
  const kept = JSON.parse(JSON.stringify(state.markers));
  const again = after({ type: "markers", markers: [...kept, { t: "x" }, null, { id: 9, t: 99 }] });
  assert.deepEqual(again.markers, state.markers);
  assert.deepEqual(after({ type: "markers", markers: "?" }).markers, []);
});

test("a link leads back to where it was made", () => {
  const state = after({ type: "seek", ref: 12.3 }, { type: "switch", track: 1 });
  assert.equal(fragment(state, model), "#t=12.3&track=2");
  assert.deepEqual(parseFragment("#t=12.3&track=2", model), { ref: 12.3, track: 1 });
  for (const wrong of ["", "#t=", "#t=-1", "#t=61", "#t=1&track=4", "#t=1&track=0", "#t=x"]) {
    assert.equal(parseFragment(wrong, model), null, wrong);
  }
});

test("no action goes beyond the ends", () => {
  assert.equal(after({ type: "step", seconds: -5 }).own, 0);
  assert.ok(after({ type: "seek", ref: 999 }).own < 60);
});

test("another speed keeps the place, and what plays begins anew at it", () => {
  const paused = after({ type: "seek", ref: 12 });
  const slow = reduce(paused, { type: "speed", speed: 0.75 }, model);
  assert.deepEqual([slow.own, slow.jump, slow.speed], [paused.own, paused.jump, 0.75]);
  const playing = reduce(slow, { type: "play" }, model);
  const fast = reduce(playing, { type: "speed", speed: 9 }, model);
  assert.deepEqual([fast.own, fast.jump, fast.speed], [playing.own, playing.jump + 1, 2]);
  assert.equal(reduce(fast, { type: "speed", speed: 2 }, model), fast);
});

test("speeds go up and down step by step, through 1, to the ends", () => {
  const up = [0.5];
  while (speedBeside(up.at(-1), 1) !== up.at(-1)) up.push(speedBeside(up.at(-1), 1));
  assert.deepEqual(up, SPEEDS);
  assert.deepEqual(up.slice(1).map((speed) => speedBeside(speed, -1)), SPEEDS.slice(0, -1));
  assert.ok(SPEEDS.includes(1) && SPEEDS.at(-1) === 2);
});

test("clock", () => {
  assert.deepEqual([0, 59.96, 61.24, 3600].map(clock), ["0:00.0", "1:00.0", "1:01.2", "1:00:00.0"]);
});

test("lengths are told in whole seconds, and carry into minutes and hours", () => {
  assert.deepEqual([0, 0.4, 59.6, 61.2, 3599.7, 36000].map(roundClock), ["0:00", "0:00", "1:00", "1:01", "1:00:00", "10:00:00"]);
});
