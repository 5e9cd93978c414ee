import { api } from "./api.js";
import "./chosen.js";
import { folderForm, noRoots } from "./folderform.js";
import { keepingFocus, libraryRow } from "./itemrow.js";
import { asked, listingOf, pagesIn, searchOf, spanOf } from "./listing.js";
import { tellProblem, toTop } from "./note.js";
import { pager } from "./pager.js";
import { running } from "./running.js";
import { element, find } from "./switcher/elements.js";
import { counted, dotted, number } from "./wording.js";

const USUAL = { q: "", kind: "", sort: "path", order: "ascending", missing: "" };
const TYPING = 200; // milliseconds
const CHANGING = 5000;

const [browse, welcome, items, filter, shown] = ["#browse", "#welcome", "#items", "#filter", "#shown"].map((name) => find(name));
let listing = listingOf(location.search, USUAL);
let asking = null;
let before = "";
let seen = Date.now();

const turned = pager(find("#pages"), (page) => go({ page }, true));
const start = running(find("#running"), (ended) => {
  if (!ended && Date.now() - seen < CHANGING) return;
  seen = Date.now();
  refresh().catch(tellProblem);
  if (ended) countFailures();
});
const form = folderForm(find("#adding"), find("#add"), start);

// Another part of the library: `changes` of the listing, which is a new place to come back to if it `turns` the page.
function go(changes, turns = false) {
  listing = { ...listing, page: 1, ...changes };
  history[turns ? "pushState" : "replaceState"](null, "", location.pathname + searchOf(listing, USUAL));
  return list()
    .then(() => turns && toTop())
    .catch(tellProblem);
}

async function list() {
  asking?.abort();
  asking = new AbortController();
  const page = await api(`/v1/items?${asked(listing)}`, { signal: asking.signal });
  const pages = pagesIn(page.total);
  if (!page.items.length && listing.page > pages) return go({ page: pages });
  const [first, last] = spanOf(listing.page, page.items.length);
  const text = page.total ? `${number(first)} to ${number(last)} of ${number(page.total)}` : "Nothing in the library is like that.";
  if (shown.textContent !== text) shown.textContent = text;
  turned(listing.page, page.total);
  const told = JSON.stringify(page.items);
  if (told === before) return;
  before = told;
  items.hidden = !page.items.length;
  keepingFocus(items, () => items.replaceChildren(...page.items.map(libraryRow)));
}

// What the library holds may have changed.
async function refresh() {
  const [status] = await Promise.all([api("/v1/status"), list()]);
  render(status);
}

async function countFailures() {
  try {
    const { failed, damage } = await api("/v1/failures");
    const link = find("#failed");
    link.hidden = !(failed.length + damage.length);
    link.textContent = failed.length ? `${number(failed.length)} failed` : "Damaged";
  } catch (error) {
    tellProblem(error);
  }
}

function render({ recordings, scores, works, roots }) {
  const empty = !(recordings + scores);
  find("#holds").textContent = empty
    ? ""
    : dotted(recordings && counted(recordings, "recording"), scores && counted(scores, "score"), works && counted(works, "work"));
  browse.hidden = empty;
  welcome.hidden = !empty;
  if (empty && !welcome.children.length) {
    welcome.replaceChildren(...greeting(roots));
    if (roots.length) form.show();
  }
  form.offer(roots);
}

function greeting(roots) {
  const steps = roots.length
    ? [element("p", {}, "Name a folder below: every recording and every score in it is read once, and what is played is kept in the library. Your files stay where they are, and as they are.")]
    : noRoots();
  return [
    element("h2", { id: "greeting" }, "The library is empty"),
    ...steps,
    element("p", { class: "about" }, "Then you can find out what a clip is, which performances play the same work, and hear them side by side."),
  ];
}

function typed() {
  const { q, kind, sort, descending, missing } = filter.elements;
  return { q: q.value.trim(), kind: kind.value, sort: sort.value, order: descending.checked ? "descending" : "ascending", missing: missing.checked ? "true" : "" };
}

function fill() {
  const { q, kind, sort, descending, missing } = filter.elements;
  [q.value, kind.value, sort.value] = [listing.q, listing.kind, listing.sort];
  [descending.checked, missing.checked] = [listing.order === "descending", listing.missing === "true"];
}

let waiting;
filter.addEventListener("input", (event) => {
  clearTimeout(waiting);
  waiting = setTimeout(() => go(typed()), event.target.name === "q" ? TYPING : 0);
});
filter.addEventListener("submit", (event) => {
  event.preventDefault();
  go(typed());
});
addEventListener("popstate", () => {
  listing = listingOf(location.search, USUAL);
  fill();
  list().catch(tellProblem);
});

fill();
await refresh().catch(tellProblem);
countFailures();
