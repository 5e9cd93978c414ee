import { api, fileOf } from "./api.js";
import { played, playedTogether, searchAddress, switchAddress, workAddress } from "./addresses.js";
import { chooser } from "./chosen.js";
import { icon } from "./icon.js";
import { aboutItem, itemRow } from "./itemrow.js";
import { fileName, itemName, suffixOf, workName } from "./names.js";
import { playItem } from "./playbutton.js";
import { element, find } from "./switcher/elements.js";
import { number } from "./wording.js";

const MOST_ASKED = 50;

const place = find("#item");

async function load(id) {
  const item = await api(`/v1/items/${encodeURIComponent(id)}`);
  const work = item.work_id && (await api(`/v1/works/${encodeURIComponent(item.work_id)}`));
  const corresponding = await known(item.scores ?? item.recordings, work);
  const address = item.kind === "score" ? await fileOf(id) : null;
  document.title = `${itemName(item)} · Incipit`;
  place.replaceChildren(...head(item, address), ...(work ? workSection(item, work) : []), ...followed(item, corresponding), ...details(item));
}

// The items of these ids; the members of the work are known already.
async function known(ids, work) {
  const members = new Map([...(work?.recordings ?? []), ...(work?.scores ?? [])].map((member) => [member.id, member]));
  const found = ids.slice(0, MOST_ASKED).map((id) => members.get(id) ?? api(`/v1/items/${encodeURIComponent(id)}`).catch(() => null));
  return (await Promise.all(found)).filter(Boolean);
}

function head(item, address) {
  const { id, kind } = item;
  const title = itemName(item);
  const gone = item.flags.includes("missing");
  return [
    element("h1", { tabindex: "-1" }, title),
    element("p", { class: "lead" }, aboutItem(item)),
    ...(gone ? [element("p", { class: "problem" }, "Its file is gone: it can be found, but not heard.")] : []),
    element(
      "div",
      { class: "row actions" },
      ...(kind === "recording" && !gone ? [playItem({ id, title }, "round")] : []),
      element("a", { class: "button quiet", href: searchAddress(id) }, icon("search"), "Search with this"),
      ...(address && !gone ? [element("a", { class: "button quiet", href: address, download: fileName(item.path) }, `Download the score (${suffixOf(item.path).slice(1)})`)] : []),
      element("label", {}, labelled(chooser({ id, kind, title })), "Choose, to hear it beside others"),
    ),
  ];
}

// A box that the text beside it names.
function labelled(box) {
  box.removeAttribute("aria-label");
  return box;
}

function workSection(item, work) {
  const recordings = work.recordings.filter(({ id }) => id !== item.id);
  const scores = work.scores.filter(({ id }) => id !== item.id);
  const all = item.kind === "score" ? playedTogether(recordings, [item]) : playedTogether([item, ...recordings], scores);
  const beside = ({ id }, kind) =>
    item.kind === "recording" || kind === "recording"
      ? [element("a", { class: "button quiet", href: switchAddress([item, { id, kind }].map(played)) }, "Side by side")]
      : [];
  const rows = [
    ...recordings.map((other) => itemRow(other, { kind: "recording", more: beside(other, "recording") })),
    ...scores.map((other) => itemRow(other, { kind: "score", more: beside(other, "score") })),
  ];
  return [
    element(
      "div",
      { class: "row head" },
      element("h2", {}, "Work: ", element("a", { href: workAddress(work.id) }, workName(work))),
      element("span", { class: "about" }, work.confirmed ? "confirmed" : "found by its sound"),
      element("span", { class: "space" }),
      ...(all.length > 2 ? [element("a", { class: "button", href: switchAddress(all) }, "Play all side by side")] : []),
    ),
    ...(rows.length ? [element("ul", { class: "list", "aria-label": "Others of the work" }, ...rows)] : [element("p", { class: "lead" }, "Nothing else of this work is in the library.")]),
  ];
}

// What was found to play a score, or the scores that a recording plays.
function followed(item, others) {
  if (!others.length) return [];
  const [kind, heading] = item.kind === "score" ? ["recording", "Recordings that play it"] : ["score", "Scores of it"];
  const link = (other) => element("a", { class: "button quiet", href: switchAddress([item, { id: other.id, kind }].map(played)) }, "Follow the score");
  return [element("h2", {}, heading), element("ul", { class: "list", "aria-label": heading }, ...others.map((other) => itemRow(other, { kind, more: [link(other)] })))];
}

function details(item) {
  const rows = [
    ["Id", item.id],
    item.notes !== undefined && item.notes !== null && ["Notes", number(item.notes)],
    item.measures && ["Measures", item.measures.join(" to ")],
    item.flags.length && ["Marks", item.flags.join(", ")],
    ["Vectors", number(item.vectors)],
    ["Content", item.content_hash],
  ].filter(Boolean);
  const files = item.paths.map(({ path, missing }) =>
    element("li", {}, element("span", { class: "path" }, path), ...(missing ? [element("span", { class: "mark-flag" }, "file missing")] : [])),
  );
  return [
    element("h2", {}, item.paths.length > 1 ? "Files" : "File"),
    element("ul", { class: "list", "aria-label": "Files" }, ...files),
    element("h2", {}, "Details"),
    element("dl", { class: "details" }, ...rows.map(([name, value]) => element("div", {}, element("dt", {}, name), element("dd", {}, value)))),
  ];
}

try {
  await load(new URLSearchParams(location.search).get("id") ?? "");
} catch (error) {
  const title = error.status === 404 ? "Not in the library" : "This cannot be shown";
  place.replaceChildren(element("h1", {}, title), element("p", { class: "lead", role: "alert" }, error.message));
}
