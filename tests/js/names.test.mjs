import assert from "node:assert/strict";
import { test } from "node:test";

import { served } from "./served.mjs";

const { apart, fileBeside, fileName, folderOf, itemCredit, itemName, suffixOf, workLabel, workName } = await served("names.js");

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

test("a work of which nothing is left has a name, too", () => {
  assert.equal(workName({ name: null, recordings: [], scores: [] }), "Empty work");
});
