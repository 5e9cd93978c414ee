// Items that the user has put aside to hear side by side or to compare; they last as long as the tab.

import { compareAddress, played, switchAddress } from "./addresses.js";
import { element, find } from "./switcher/elements.js";

const KEPT = "incipit-chosen";
const place = find("#chosen");
let chosen = kept();
let boxes = [];
let listeners = [];

// A box that puts {id, kind, title} aside or takes it back.
export function chooser(item) {
  const box = element("input", { type: "checkbox", "aria-label": `Choose ${item.title}`, title: "Choose, to hear side by side or to compare", onchange: () => choose(item, box.checked) });
  box.checked = chosen.some(({ id }) => id === item.id);
  boxes.push({ box, id: item.id });
  return box;
}

// `told` is called with all that are chosen, now and whenever they change, until it gives false.
export function onChosen(told) {
  if (told(chosen) !== false) listeners.push(told);
}

function choose({ id, kind, title }, yes) {
  chosen = chosen.filter((other) => other.id !== id);
  if (yes) chosen.push({ id, kind, title });
  render();
}

function clear() {
  chosen = [];
  render();
}

function kept() {
  try {
    return JSON.parse(sessionStorage.getItem(KEPT) ?? "[]");
  } catch {
    return [];
  }
}

function render() {
  try {
    sessionStorage.setItem(KEPT, JSON.stringify(chosen));
  } catch {
    // Without storage they last as long as the page.
  }
  boxes = boxes.filter(({ box }) => box.isConnected);
  for (const { box, id } of boxes) box.checked = chosen.some((item) => item.id === id);
  listeners = listeners.filter((told) => told(chosen) !== false);
  place.hidden = !chosen.length;
  const recordings = chosen.filter(({ kind }) => kind === "recording");
  const scores = chosen.length - recordings.length;
  const focused = [...place.querySelectorAll("button")].indexOf(document.activeElement);
  place.replaceChildren(
    element(
      "ul",
      { "aria-label": "Chosen" },
      ...chosen.map((item) =>
        element(
          "li",
          {},
          element("span", { class: "name" }, item.title),
          element("button", { type: "button", class: "quiet", "aria-label": `Put back ${item.title}`, onclick: () => choose(item, false) }, "×"),
        ),
      ),
    ),
    element("span", { class: "space" }),
    ...(recordings.length && recordings.length + scores > 1 && scores < 2
      ? [element("a", { class: "button", href: switchAddress(chosen.map(played)) }, "Play side by side")]
      : []),
    ...(recordings.length === 2 ? [element("a", { class: "button quiet", href: compareAddress(...recordings.map(({ id }) => id)) }, "Compare")] : []),
    element("button", { type: "button", class: "quiet", onclick: clear }, "Clear"),
  );
  if (focused >= 0) (place.querySelectorAll("button")[place.hidden ? -1 : focused] ?? find("#main")).focus();
}

render();
