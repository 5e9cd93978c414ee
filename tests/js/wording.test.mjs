import assert from "node:assert/strict";
import { test } from "node:test";

import { served } from "./served.mjs";

const { counted, fileName, folderOf, indexSummary, itemCredit, itemName, length, suffixOf, workName } = await served("wording.js");

test("an item is called by its title, else by its file", () => {
  assert.equal(itemName({ title: "Waltz", path: "/music/a.flac" }), "Waltz");
  assert.equal(itemName({ title: null, path: "/music/a.b.flac" }), "a.b");
  assert.equal(itemName({ title: null, path: "/music/.flac" }), ".flac");
  assert.equal(itemCredit({ artist: "Clara", path: "/music/live/a.flac" }), "Clara");
  assert.equal(itemCredit({ artist: null, path: "/music/live/a.flac" }), "live/a.flac");
});

test("the parts of a path", () => {
  const cases = [["/a/b.tar.GZ", "b.tar.GZ", "/a", ".gz"], ["/top", "top", "/", ""], ["/a/.hidden", ".hidden", "/a", ""]];
  for (const [path, name, folder, suffix] of cases) assert.deepEqual([fileName(path), folderOf(path), suffixOf(path)], [name, folder, suffix]);
});

test("a work without a name is called as most of its items are", () => {
  const items = (...titles) => titles.map((title, number) => ({ title, path: `/${number}.flac` }));
  assert.equal(workName({ name: "Moonlight", recordings: items("Sonata"), scores: [] }), "Moonlight");
  assert.equal(workName({ name: null, recordings: items("track 1", "Sonata"), scores: items("Sonata") }), "Sonata");
  assert.equal(workName({ name: null, recordings: items(null, null), scores: [] }), "0");
  assert.equal(workName({ name: null, recordings: items(null, "Sonata"), scores: [] }), "Sonata");
});

test("lengths are told in whole seconds, and carry into minutes and hours", () => {
  assert.deepEqual([0, 0.4, 59.6, 61.2, 3599.7, 36000].map(length), ["0:00", "0:00", "1:00", "1:01", "1:00:00", "10:00:00"]);
});

test("counts", () => {
  assert.equal(counted(1, "score"), "1 score");
  assert.equal(counted(1234567, "score"), "1,234,567 scores");
  const none = { added: 0, updated: 0, unchanged: 0, moved: 0, missing: 0, skipped: 0, failed: [] };
  assert.equal(indexSummary(none), "Nothing to take in");
  assert.equal(indexSummary({ ...none, added: 2, failed: [{}] }), "2 added, 1 failed");
});
