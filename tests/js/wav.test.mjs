import assert from "node:assert/strict";
import { test } from "node:test";

import { served } from "./served.mjs";

const { wavFile } = await served("wav.js");

test("a recording is a WAV file of its samples", () => {
  const view = new DataView(wavFile([Float32Array.of(0, 1), Float32Array.of(-0.5, 2)], 48000));
  const text = (at) => String.fromCharCode(...new Uint8Array(view.buffer, at, 4));
  assert.deepEqual([text(0), text(8), text(12), text(36)], ["RIFF", "WAVE", "fmt ", "data"]);
  assert.equal(view.getUint32(4, true), view.byteLength - 8);
  assert.equal(view.getUint32(24, true), 48000);
  assert.equal(view.getUint32(40, true), 8);
  assert.deepEqual([0, 1, 2, 3].map((index) => view.getInt16(44 + 2 * index, true)), [0, 32767, -16383, 32767]);
});
