// A work with what is in it, and what can be said of it: its name, that it is right, what does not belong to it.

import { api } from "./api.js";
import { playedTogether, switchAddress } from "./addresses.js";
import { onChosen } from "./chosen.js";
import { itemRow } from "./itemrow.js";
import { workName } from "./names.js";
import { tell, tellProblem } from "./note.js";
import { element, find } from "./switcher/elements.js";
import { dotted } from "./wording.js";

const MOST_SHOWN = 12;

// `mark`: whether it is marked, which `marked` is told when it changes; `changed(works, text)` is told what is there in
// its place now.
export function workCard(work, { mark, marked, changed }) {
  const address = `/v1/works/${encodeURIComponent(work.id)}`;
  const title = workName(work);
  const members = [...work.recordings.map((item) => ({ ...item, kind: "recording" })), ...work.scores.map((item) => ({ ...item, kind: "score" }))];
  const box = element("input", { type: "checkbox", "aria-label": `Mark the work ${title}`, onchange: () => marked(box.checked) });
  box.checked = mark;
  const name = element("h2", { tabindex: "-1" }, title);
  const rename = element("button", { type: "button", class: "quiet rename", "aria-label": `Rename ${title}`, onclick: edit }, "Rename");
  const confirm = element("button", { type: "button", class: "quiet", "aria-label": `Confirm ${title}`, onclick: () => change(api(`${address}/confirm`, { method: "POST" }), "Confirmed: it stays like this") }, "Confirm");
  const split = element("button", { type: "button", class: "quiet", hidden: "", onclick: () => change(api(`${address}/split`, { method: "POST", json: { items: chosenHere } }), "Split off: both stay like this") }, "Split off the chosen");
  const head = element(
    "div",
    { class: "row head" },
    element("label", { class: "box" }, box),
    name,
    element("span", { class: "about" }, dotted(!work.name && "unnamed", work.confirmed ? "✓ confirmed" : "found by its sound")),
    element("span", { class: "space" }),
    split,
    ...(work.confirmed ? [] : [confirm]),
    rename,
    ...playing(work),
  );
  const card = element("section", { class: "card work", "data-id": work.id, "aria-label": title }, head, ...list(members, work));
  let chosenHere = [];
  let shown = false;
  onChosen((chosen) => {
    if (shown && !card.isConnected) return false;
    shown = card.isConnected;
    chosenHere = members.filter(({ id }) => chosen.some((item) => item.id === id)).map(({ id }) => id);
    split.hidden = !chosenHere.length || chosenHere.length === members.length;
    return true;
  });
  return card;

  function change(answer, text) {
    return answer.then((now) => changed([now].flat(), text)).catch(tellProblem);
  }

  function edit() {
    const field = element("input", { type: "text", maxlength: "500", "aria-label": `Name of ${title}`, autocomplete: "off", onkeydown: (event) => event.key === "Escape" && close() });
    field.value = title;
    const save = (event) => {
      event.preventDefault();
      change(api(`${address}/name`, { method: "PUT", json: { name: field.value } }), field.value.trim() ? `Named ${field.value.trim()}, and confirmed` : "Its name is taken away");
    };
    const form = element("form", { class: "row naming", onsubmit: save }, field, element("button", { class: "button" }, "Save"), element("button", { type: "button", class: "quiet", onclick: close }, "Cancel"));
    name.replaceWith(form);
    rename.hidden = true;
    field.select();

    function close() {
      form.replaceWith(name);
      rename.hidden = false;
      rename.focus();
    }
  }
}

function playing({ recordings, scores }) {
  const all = playedTogether(recordings, scores);
  return recordings.length && all.length > 1 ? [element("a", { class: "button quiet main", href: switchAddress(all) }, "Play side by side")] : [];
}

function list(members, work) {
  const some = members.some(({ confirmed }) => confirmed) && !work.confirmed;
  const row = (item) => itemRow(item, { more: some && !item.confirmed ? [element("span", { class: "mark-flag" }, "new")] : [] });
  const made = element("ul", { class: "list", "aria-label": `What is in ${workName(work)}` }, ...members.slice(0, MOST_SHOWN).map(row));
  if (members.length <= MOST_SHOWN) return [made];
  const all = () => {
    const rest = members.slice(MOST_SHOWN).map(row);
    made.append(...rest);
    find("a", rest[0]).focus();
    more.remove();
    tell(`All ${members.length} are shown`);
  };
  const more = element("button", { type: "button", class: "quiet", onclick: all }, `Show all ${members.length}`);
  return [made, more];
}
