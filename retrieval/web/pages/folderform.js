// Names a folder of the server's machine that is to be taken in.

import { fileName } from "./names.js";
import { tellProblem } from "./note.js";
import { element } from "./switcher/elements.js";

// What is said where the server may read no folder.
export function noRoots() {
  return [
    element("p", {}, "This server was started without a folder that it may read. Start it again with the folder of your music:"),
    element("pre", { tabindex: "0" }, "incipit serve --root ~/Music"),
  ];
}

// Fills `form`, which `button` opens and closes; `start` begins the job. Gives {offer(roots), show()}.
export function folderForm(form, button, start) {
  const path = element("input", { type: "text", id: "folder", name: "path", required: "", maxlength: "4096", autocomplete: "off", spellcheck: "false", "aria-describedby": "roots" });
  const prune = element("input", { type: "checkbox", name: "prune" });
  const roots = element("p", { id: "roots", class: "row about" });
  const fields = element(
    "div",
    {},
    element("label", { for: "folder" }, "Folder or file on the server's machine"),
    element("div", { class: "row" }, path, element("button", { class: "button" }, "Add")),
    roots,
    element("label", { class: "about" }, prune, "Also forget files below it that are gone"),
  );
  const none = element("div", { hidden: "" }, ...noRoots());
  form.append(fields, none);

  function show(yes) {
    form.hidden = !yes;
    button.setAttribute("aria-expanded", yes);
  }

  function open(yes) {
    show(yes);
    if (yes && !fields.hidden) path.focus();
    if (!yes) button.focus();
  }

  button.addEventListener("click", () => open(form.hidden));
  form.addEventListener("keydown", (event) => event.key === "Escape" && open(false));
  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    const named = path.value.trim();
    try {
      await start({ kind: "index", path: named, prune: prune.checked }, `Taking in ${fileName(named)}`);
      open(false);
    } catch (error) {
      tellProblem(error);
      path.focus();
    }
  });

  return {
    show: () => show(true),
    offer(folders) {
      if (roots.children.length) return; // they stay the same as long as the server runs
      fields.hidden = !folders.length;
      none.hidden = !fields.hidden;
      path.value = folders[0] ?? "";
      const fill = (folder) => () => {
        path.value = folder;
        path.focus();
      };
      const choices = folders.map((folder) => element("button", { type: "button", class: "quiet", onclick: fill(folder) }, folder));
      roots.replaceChildren("Anything below", ...choices);
    },
  };
}
