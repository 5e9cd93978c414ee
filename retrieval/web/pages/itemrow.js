// A recording or a score as a row of a list.

import { itemAddress, searchAddress, workAddress } from "./addresses.js";
import { chooser } from "./chosen.js";
import { icon } from "./icon.js";
import { itemCredit, itemName, workLabel } from "./names.js";
import { playItem } from "./playbutton.js";
import { element } from "./switcher/elements.js";
import { roundClock } from "./switcher/state.js";
import { dotted } from "./wording.js";

const FLAGS = { missing: "file missing", damaged: "damaged", short: "too short", silent: "silent" };

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
    element("span", { class: "clock" }, roundClock(item.duration)),
  );
}

// A row with what lists of the whole library tell besides.
export function libraryRow(item) {
  const { id, work, work_id: workId } = item;
  const marks = item.flags.map((flag) => element("span", { class: "mark-flag" }, FLAGS[flag] ?? flag));
  const title = itemName(item);
  const more = [...marks, element("span", { class: "of-work" }, ...(workId ? [element("a", { href: workAddress(workId) }, workLabel(work) || "unnamed work")] : []))];
  const row = itemRow(item, { more });
  row.append(element("a", { class: "play", href: searchAddress(id), "aria-label": `Search with ${title}`, title: "Search with this" }, icon("search")));
  return row;
}

// Renders the rows of a list anew; what had the focus in one of them has it in the row of the same item.
export function keepingFocus(list, render) {
  const parts = (row) => [...row.querySelectorAll("a, button, input")];
  const row = [...list.children].find((one) => one.contains(document.activeElement));
  const [id, part] = row ? [row.dataset.id, parts(row).indexOf(document.activeElement)] : [];
  render();
  const same = row && [...list.children].find((other) => other.dataset.id === id);
  if (same) parts(same)[part]?.focus({ preventScroll: true });
}

export function scoreMark() {
  return element("span", { class: "play score", role: "img", "aria-label": "Score", title: "Score" }, icon("score"));
}

export function aboutItem({ artist, kind, duration }) {
  return dotted(artist, kind === "score" ? "score" : "recording", roundClock(duration));
}
