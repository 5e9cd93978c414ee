// Files that could not be taken in, each with its cause.

import { fileName, folderOf } from "./names.js";
import { element } from "./switcher/elements.js";
import { counted } from "./wording.js";

// {place, show(failures)}: what was shown before stays as it is, since failures only come.
export function failureList(failures) {
  const heading = element("h3", {});
  const list = element("ul", { class: "list failures", "aria-label": "Files that failed", tabindex: "0" });
  const place = element("div", { hidden: "" }, heading, list);
  const show = (failed) => {
    place.hidden = !failed.length;
    if (failed.length === list.children.length) return;
    heading.textContent = `${counted(failed.length, "file")} failed`;
    list.append(...failed.slice(list.children.length).map((failure) => failureRow(failure)));
  };
  show(failures);
  return { place, show };
}

export function failureRow({ path, error }, more = []) {
  return element(
    "li",
    {},
    element(
      "div",
      { class: "what" },
      element("span", { class: "name" }, fileName(path)),
      element("span", { class: "about folder" }, folderOf(path)),
      element("span", { class: "cause" }, error),
    ),
    ...more,
  );
}
