// Goes from page to page of a long list.

import { pagesIn } from "./listing.js";
import { element } from "./switcher/elements.js";
import { number } from "./wording.js";

// Shown in `place`; gives render(page, total). `turn` is told the page that is wanted.
export function pager(place, turn) {
  let page = 1;
  let pages = 1;
  const before = element("button", { type: "button", class: "quiet", onclick: () => turn(page - 1) }, "‹ Previous");
  const after = element("button", { type: "button", class: "quiet", onclick: () => turn(page + 1) }, "Next ›");
  const field = element("input", { type: "text", inputmode: "numeric", size: "4", "aria-label": "Page", onchange: jump });
  const count = element("span", { class: "about" });
  place.setAttribute("aria-label", "Pages of the list");
  place.append(before, element("span", { class: "row" }, field, count), after);

  function jump() {
    const wanted = Number.parseInt(field.value, 10);
    if (wanted > 0) turn(Math.min(wanted, pages));
    else field.value = page;
  }

  return (now, total) => {
    [page, pages] = [now, pagesIn(total)];
    place.hidden = pages < 2;
    before.disabled = page <= 1;
    after.disabled = page >= pages;
    field.value = page;
    count.textContent = `of ${number(pages)}`;
  };
}
