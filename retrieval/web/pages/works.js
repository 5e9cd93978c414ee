import { api } from "./api.js";
import { keepingFocus } from "./itemrow.js";
import { asked, listingOf, pagesIn, searchOf, spanOf } from "./listing.js";
import { workName } from "./names.js";
import { tell, tellProblem, toTop } from "./note.js";
import { pager } from "./pager.js";
import { running } from "./running.js";
import { find } from "./switcher/elements.js";
import { counted, number } from "./wording.js";
import { workCard } from "./workcard.js";

const USUAL = { q: "", id: "" };
const TYPING = 200; // milliseconds

const [place, filter, merge, shown] = ["#works", "#filter", "#merge", "#shown"].map((name) => find(name));
const field = filter.elements.q;
let listing = listingOf(location.search, USUAL);
let asking = null;
let before = "";
let marked = []; // ids of works, in the order in which they were marked

const turned = pager(find("#pages"), (page) => go({ page }, true));
const start = running(find("#running"), (ended) => ended && load().catch(tellProblem));

function go(changes, turns = false) {
  listing = { ...listing, page: 1, ...changes };
  history[turns ? "pushState" : "replaceState"](null, "", location.pathname + searchOf(listing, USUAL));
  return load()
    .then(() => turns && toTop())
    .catch(tellProblem);
}

async function load() {
  asking?.abort();
  asking = new AbortController();
  const { id, ...wanted } = listing;
  const options = { signal: asking.signal };
  const page = id ? { works: [await api(`/v1/works/${encodeURIComponent(id)}`, options)], total: 1 } : await api(`/v1/works?${asked(wanted)}`, options);
  const pages = pagesIn(page.total);
  if (!page.works.length && listing.page > pages) return go({ page: pages });
  const none = !page.total && !listing.q;
  find("#browse").hidden = none;
  find("#none").hidden = !none;
  find("#none").textContent = "No works yet. Recordings that play the same work are put together when a folder is taken in, as soon as there are two of one.";
  find("#all").hidden = !id;
  const [first, last] = spanOf(listing.page, page.works.length);
  shown.textContent = page.total > page.works.length ? `${number(first)} to ${number(last)} of ${counted(page.total, "work")}` : page.total ? counted(page.total, "work") : "No work is like that.";
  turned(listing.page, page.total);
  const told = JSON.stringify(page.works);
  if (told === before) return;
  before = told;
  keepingFocus(place, () => place.replaceChildren(...page.works.map(card)));
}

function card(work) {
  return workCard(work, {
    mark: marked.includes(work.id),
    marked: (yes) => {
      marked = [...marked.filter((id) => id !== work.id), ...(yes ? [work.id] : [])];
      renderMarked();
    },
    changed: (works, text) => replaced(work, works, text),
  });
}

// What stands in a work's place now; the last of it has the focus.
function replaced(work, works, text) {
  before = "";
  const cards = works.map(card);
  find(`[data-id="${work.id}"]`, place).replaceWith(...cards);
  focused(works.at(-1));
  tell(text);
}

function focused({ id }) {
  const name = find(`[data-id="${id}"] h2`, place);
  name?.focus();
  name?.scrollIntoView({ block: "nearest" });
}

function renderMarked() {
  merge.disabled = marked.length < 2;
  merge.textContent = marked.length < 2 ? "Make one work of those marked" : `Make one work of ${marked.length}`;
}

merge.addEventListener("click", async () => {
  try {
    const one = await api("/v1/works/merge", { method: "POST", json: { members: marked } });
    marked = [];
    renderMarked();
    await load();
    focused(one);
    tell(`One work now: ${workName(one)}`);
  } catch (error) {
    tellProblem(error);
  }
});

find("#group").addEventListener("click", () => start({ kind: "group" }).catch(tellProblem));

let waiting;
field.addEventListener("input", () => {
  clearTimeout(waiting);
  waiting = setTimeout(() => go({ q: field.value.trim(), id: "" }), TYPING);
});
filter.addEventListener("submit", (event) => event.preventDefault());
addEventListener("popstate", () => {
  listing = listingOf(location.search, USUAL);
  field.value = listing.q;
  load().catch(tellProblem);
});

field.value = listing.q;
await load().catch((error) => {
  tellProblem(error);
  find("#none").hidden = false;
  find("#none").textContent = error.message;
});
