// What was found: accepted hits first, guesses apart; each can be heard at its place, in turn with the query.

import { compareAddress, itemAddress, switchAddress } from "./addresses.js";
import { chooser } from "./chosen.js";
import { gathered } from "./gathered.js";
import { listenToPair } from "./listen.js";
import { apart, fileBeside, fileName, itemName, workLabel } from "./names.js";
import { playButton } from "./playbutton.js";
import { sourceWord } from "./source.js";
import { element } from "./switcher/elements.js";
import { clock } from "./switcher/state.js";
import { counted, differences, dotted, sureness } from "./wording.js";

const PLACES = 6;

// Elements for the hits of a task on a clip.
export function hitList(clip, task, hits) {
  const accepted = gathered(hits.filter((hit) => hit.accepted));
  const guesses = gathered(hits.filter((hit) => !hit.accepted));
  const list = (some, label) => element("ol", { class: "list hits", "aria-label": label }, ...some.map((hit) => hitLine(clip, task, hit)));
  const shown = [];
  if (accepted.length) shown.push(list(accepted, "Found"));
  if (guesses.length) {
    const details = element("details", { class: "guesses" }, element("summary", {}, `${counted(guesses.length, "guess", "guesses")}, too unlike to be relied on`), list(guesses, "Guesses"));
    shown.push(details);
  }
  return shown;
}

function hitLine(clip, task, hit) {
  const item = { id: hit.id, kind: hit.kind, title: itemName(hit), file: fileName(hit.path) };
  const [word, number] = sureness(hit);
  const about = dotted(hit.artist, workLabel(hit.work), fileBeside(item.title, item.file));
  const [first] = hit.places;
  return element(
    "li",
    { class: hit.accepted ? "hit" : "hit guess" },
    hitButton(clip, task, item, hit.places, 0),
    element(
      "div",
      { class: "what" },
      element("a", { class: "name", href: itemAddress(hit.id) }, item.title),
      element("div", { class: "about" }, about),
      element("div", { class: "facts" }, ...facts(hit, first).map((text) => element("span", {}, text))),
      ...(hit.places.length > 1 ? [placeList(clip, task, item, hit.places)] : []),
    ),
    element("span", { class: "sure" }, element("strong", {}, word), element("span", { class: "about" }, number)),
    element("span", { class: "deeds" }, ...links(clip, item), chooser(item)),
  );
}

function facts(hit, [start, end, from, to]) {
  const where = hit.measure ? [`measure ${hit.measure}${hit.beat === null ? "" : `, beat ${Number(hit.beat.toFixed(1))}`}`] : [];
  const span = hit.kind === "score" ? `heard ${clock(from)} – ${clock(to)}` : `${clock(start)} – ${clock(end)}`;
  return [...where, span, ...differences(hit, hit.kind)];
}

function placeList(clip, task, item, places) {
  const shown = places.slice(1, PLACES);
  const more = places.length - 1 - shown.length;
  return element(
    "div",
    { class: "places", role: "group", "aria-label": "Other places" },
    element("span", { class: "about" }, "also at"),
    ...shown.map((_, index) => hitButton(clip, task, item, places, index + 1)),
    ...(more > 0 ? [element("span", { class: "about" }, `and ${more} more`)] : []),
  );
}

function links(clip, { id, kind }) {
  if (clip.kind === "score") return [];
  if (kind === "recording") return [link(compareAddress(sourceWord(clip.source), id), "Compare")];
  if (clip.source.path) return [];
  return [link(switchAddress([clip.source, { score: id }]), "Show in the score")];
}

function link(href, text) {
  return element("a", { class: "button quiet", href }, text);
}

// What sounds: a recording that was found, and the query where it is one.
function hitButton(clip, task, item, places, index) {
  const [start, end, from, to] = places[index];
  const sides = apart([{ ...item, item: item.id }, clip]).filter(({ kind }) => kind === "recording");
  const name = [task, item.id, ...places[index]].join(" ");
  const at = item.kind === "recording" ? start : from;
  const points = to > from && end > start ? [[start, from], [end, to]] : [[start, from], [start + 1, from + 1]];
  return playButton({
    name,
    label: `${item.title} at ${clock(start)}`,
    start: () => listenToPair(sides, { at, points, name }),
    ...(index && { look: "place clock", text: clock(start) }),
    disabled: !sides.length,
  });
}
