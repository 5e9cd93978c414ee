// A recording or a score as a row of a list.

import { chooser } from "./chosen.js";
import { icon } from "./icon.js";
import { playItem } from "./playitem.js";
import { element } from "./switcher/elements.js";
import { dotted, itemCredit, itemName, length } from "./wording.js";

const FLAGS = { missing: "file missing", damaged: "damaged", short: "too short", silent: "silent" };

export function itemAddress(id) {
  return `/item?${new URLSearchParams({ id })}`;
}

export function workAddress(id) {
  return `/works?${new URLSearchParams({ id })}`;
}

export function searchAddress(id) {
  return `/?${new URLSearchParams({ item: id })}`;
}

// `kind` is that of the item, which members of a work do not tell; `more` is what else is to stand there.
export function itemRow(item, { kind = item.kind, more = [] } = {}) {
  const title = itemName(item);
  const { id } = item;
  return element(
    "li",
    { class: "item", "data-id": id },
    element("label", { class: "box" }, chooser({ id, kind, title })),
    kind === "score" ? scoreMark() : playItem({ id, title }),
    element(
      "div",
      { class: "what" },
      element("a", { class: "name", href: itemAddress(id) }, title),
      element("span", { class: "about", title: item.path }, itemCredit(item)),
    ),
    element("div", { class: "more" }, ...more),
    element("span", { class: "clock" }, length(item.duration)),
  );
}

// A row with what lists of the whole library tell besides.
export function libraryRow(item) {
  const { id, work, work_id: workId } = item;
  const named = workId && work !== workId ? work : "unnamed work";
  const marks = item.flags.map((flag) => element("span", { class: "mark-flag" }, FLAGS[flag] ?? flag));
  const title = itemName(item);
  const more = [...marks, element("span", { class: "of-work" }, ...(workId ? [element("a", { href: workAddress(workId) }, named)] : []))];
  const row = itemRow(item, { more });
  row.append(element("a", { class: "play", href: searchAddress(id), "aria-label": `Search with ${title}`, title: "Search with this" }, icon("search")));
  return row;
}

// Renders the rows of a list anew; what had the focus in one of them has it in the row of the same item.
export function keepingFocus(list, render) {
  const parts = (row) => [...row.querySelectorAll("a, button, input")];
  const row = list.contains(document.activeElement) && document.activeElement.closest("[data-id]");
  const [id, part] = row ? [row.dataset.id, parts(row).indexOf(document.activeElement)] : [];
  render();
  const same = row && [...list.children].find((other) => other.dataset.id === id);
  if (same) parts(same)[part]?.focus({ preventScroll: true });
}

export function scoreMark() {
  return element("span", { class: "play score", role: "img", "aria-label": "Score", title: "Score" }, icon("score"));
}

export function aboutItem({ artist, kind, duration }) {
  return dotted(artist, kind === "score" ? "score" : "recording", length(duration));
}
