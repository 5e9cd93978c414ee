import assert from "node:assert/strict";
import { test } from "node:test";

import { served } from "./served.mjs";

const { asked, listingOf, PER_PAGE, pagesIn, searchOf, spanOf } = await served("listing.js");

const USUAL = { q: "", sort: "path" };

test("an address says what a listing is, there and back", () => {
  for (const listing of [{ q: "", sort: "path", page: 1 }, { q: "a&b=c #é+", sort: "title", page: 7 }]) {
    assert.deepEqual(listingOf(searchOf(listing, USUAL), USUAL), listing);
  }
  assert.equal(searchOf({ q: "", sort: "path", page: 1 }, USUAL), "");
});

test("what is no page is the first, and words that are not of the listing are left out", () => {
  for (const page of ["", "0", "-3", "x", "1e99", "99999999999"]) assert.equal(listingOf(`?page=${page}`, USUAL).page, 1, page);
  assert.deepEqual(listingOf("?other=1", USUAL), { q: "", sort: "path", page: 1 });
});

test("pages follow one another without a gap", () => {
  const offsets = [1, 2, 3].map((page) => Number(new URLSearchParams(asked({ q: "", page })).get("offset") ?? 0));
  assert.deepEqual(offsets, [0, PER_PAGE, 2 * PER_PAGE]);
  assert.deepEqual(spanOf(2, 3), [PER_PAGE + 1, PER_PAGE + 3]);
  assert.deepEqual([0, 1, PER_PAGE, PER_PAGE + 1].map(pagesIn), [1, 1, 1, 2]);
  assert.equal(asked({ q: "", kind: "score", page: 1 }), `kind=score&limit=${PER_PAGE}`);
});
