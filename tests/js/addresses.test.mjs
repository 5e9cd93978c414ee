import assert from "node:assert/strict";
import { test } from "node:test";

import { served } from "./served.mjs";

const { compareAddress, itemAddress, played, playedTogether, switchAddress } = await served("addresses.js");

test("what is played side by side keeps its order, and an address holds any name", () => {
  assert.equal(switchAddress([{ id: "s1", kind: "score" }, { id: "r1", kind: "recording" }].map(played)), "/switch?score=s1&item=r1");
  assert.equal(new URLSearchParams(compareAddress("path:/a b/ä&c.flac", "r1").split("?")[1]).get("a"), "path:/a b/ä&c.flac");
  assert.equal(itemAddress("r&1"), "/item?id=r%261");
});

test("of a large work as many recordings are played as there are keys, and one score", () => {
  const some = (count) => Array.from({ length: count }, (_, id) => ({ id }));
  const all = playedTogether(some(20), some(3));
  assert.equal(all.filter((one) => "item" in one).length, 9);
  assert.equal(all.filter((one) => "score" in one).length, 1);
  assert.deepEqual(playedTogether([], some(1)), [{ score: 0 }]);
});
