import { api } from "./api.js";
import "./chosen.js";
import { failureRow } from "./failurelist.js";
import { pagesIn, PER_PAGE } from "./listing.js";
import { fileName } from "./names.js";
import { tellProblem, toTop } from "./note.js";
import { pager } from "./pager.js";
import { running } from "./running.js";
import { element, find } from "./switcher/elements.js";
import { counted } from "./wording.js";

const field = find("#filter").elements.q;
let failed = [];
let page = 1;

const turned = pager(find("#pages"), (wanted) => {
  page = wanted;
  render();
  toTop();
});
const start = running(find("#running"), (ended) => ended && load());

async function load() {
  try {
    const told = await api("/v1/failures");
    const focused = find("#failed").contains(document.activeElement);
    failed = told.failed;
    find("#none").hidden = failed.length + told.damage.length > 0;
    find("#damage").hidden = !told.damage.length;
    find("#damaged").replaceChildren(...told.damage.map((text) => element("li", {}, text)));
    find("#files").hidden = !failed.length;
    find("#count").textContent = `${counted(failed.length, "file")} could not be taken in`;
    render();
    if (focused) find("#main").focus();
  } catch (error) {
    tellProblem(error);
  }
}

function render() {
  const wanted = field.value.trim().toLowerCase();
  const found = failed.filter(({ path, error }) => `${path} ${error}`.toLowerCase().includes(wanted));
  page = Math.min(page, pagesIn(found.length));
  const first = (page - 1) * PER_PAGE;
  find("#shown").textContent = wanted ? counted(found.length, "file") : "";
  find("#failed").hidden = !found.length;
  find("#failed").replaceChildren(...found.slice(first, first + PER_PAGE).map((failure) => failureRow(failure, [again(failure)])));
  turned(page, found.length);
}

function again({ path }) {
  const name = fileName(path);
  const retry = () => start({ kind: "index", path, works: false }, `Trying ${name} again`).catch(tellProblem);
  return element("button", { type: "button", class: "quiet", "aria-label": `Try ${name} again`, onclick: retry }, "Try again");
}

field.addEventListener("input", () => {
  page = 1;
  render();
});
find("#filter").addEventListener("submit", (event) => event.preventDefault());
await load();
