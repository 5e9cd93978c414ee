// What two recordings are to each other, why, and where they correspond.

import { switchAddress } from "./addresses.js";
import { job } from "./api.js";
import { carried, nearest, smoothed, through } from "./line.js";
import { listen, listenToPair, onListening } from "./listen.js";
import { Matrix } from "./matrix.js";
import { apart } from "./names.js";
import { tellProblem } from "./note.js";
import { playButton } from "./playbutton.js";
import { progressLine } from "./progress.js";
import { beside, described, sourceOfWord, sourceWord } from "./source.js";
import { element, find } from "./switcher/elements.js";
import { clock } from "./switcher/state.js";
import { differences, percent, sentence } from "./wording.js";

const VERDICTS = {
  "same recording": "The same recording",
  "same recording, another mix": "The same recording in another mix",
  "same work": "Two performances of the same work",
  neither: "Nothing that they have in common was found",
};
const NEAR = 0.03; // of the picture's height: a click so near a line means the line
const SMOOTHING = 6; // seconds
const TOLD = 12;

async function start() {
  const parts = new URLSearchParams(location.search);
  const words = ["a", "b"].map((name) => parts.get(name));
  if (!words.every(Boolean)) {
    find("#none").hidden = false;
    return;
  }
  const sides = apart(await Promise.all(words.map((word) => described(sourceOfWord(word)))));
  document.title = `${sides[0].title} and ${sides[1].title} · Incipit`;
  find("#sides").replaceChildren(...sides.map(sideCard));
  const score = sides.find(({ kind }) => kind === "score");
  if (score) throw new Error(`Only recordings can be compared, and ${score.title} is a score.`);
  const line = progressLine(find("#comparing"), "comparing");
  try {
    const [a, b] = sides.map(({ source }) => source);
    const wanted = { kind: "compare", a, b, matrix: true };
    show(sides, await job(wanted, ({ state }) => line.tell({ stage: state === "waiting" ? "waiting for its turn" : "comparing" }), line.signal));
  } finally {
    line.remove();
  }
}

function sideCard(side) {
  const { source, title, kind } = side;
  const name = sourceWord(source);
  const play = playButton({ name, label: title, start: () => listen({ source, title }, 0, name), disabled: kind !== "recording" });
  return element("div", { class: "card" }, play, element("div", { class: "what" }, element("div", { class: "name" }, title), element("div", { class: "about" }, beside(side))));
}

function show(sides, found) {
  find("#found").hidden = false;
  find("#verdict").textContent = VERDICTS[found.verdict];
  const changes = found.verdict === "neither" ? [] : differences(found);
  find("#difference").textContent = changes.length ? `The second is ${changes.join(" and ")}.` : "";
  find("#evidence").replaceChildren(...evidence(found).flatMap(([name, text]) => [element("dt", {}, name), element("dd", {}, text)]));
  const lines = linesOf(found);
  const hear = ([one, other], line, name = "picture") => {
    const points = line ?? through([one, other], found.tempo_ratio ?? 1);
    return listenToPair(sides, { at: one, points, name });
  };
  const deeds = found.verdict !== "neither" && sides.every(({ source }) => !source.path) ? [sideBySide(sides)] : [];
  find("#deeds").replaceChildren(...deeds);
  showStretches(found.segments, hear);
  if (found.matrix) showMatrix(sides, found, lines, hear);
}

// Where a moment of one is in the other: along straight lines where it is one recording, along the paths otherwise.
function linesOf({ verdict, segments, matrix }) {
  if (verdict === "same work") return (matrix?.paths ?? []).filter((path) => path.length > 1).map((path) => smoothed(path, SMOOTHING));
  return segments.map(([start, end, from, to]) => [[start, from], [end, to]]);
}

function evidence({ score, sound, timing, work }) {
  const told = [["Same work or closer", percent(score)]];
  const alike = sound.found ? `, alike by ${sound.alike.toFixed(2)}` : "";
  told.push(["Sound", sound.pieces ? `${sound.found} of ${sound.pieces} pieces of the shorter are in the longer${alike}` : "too short to tell"]);
  if (timing) {
    const [half, most] = [timing.median_deviation, timing.deviation_80].map((seconds) => Math.round(1000 * seconds));
    told.push(["Timing", `half of ${Math.round(timing.seconds)} s within ${half} ms of a straight line, four fifths within ${most} ms`]);
  }
  if (work) told.push(["Music", `versions of one work: ${percent(work.probability)}`]);
  return told;
}

function sideBySide(sides) {
  return element("a", { class: "button", href: switchAddress(sides.map(({ source }) => source)) }, "Play side by side");
}

function showStretches(segments, hear) {
  if (!segments.length) return;
  const lines = segments.slice(0, TOLD).map(([start, end, from, to], index) => {
    const name = `stretch ${index}`;
    const play = () => hear([start, from], end > start ? [[start, from], [end, to]] : null, name);
    return element("li", {}, playButton({ name, label: `both from ${clock(start)}`, start: play }), `${clock(start)} – ${clock(end)}`, element("span", { class: "about" }, "is"), `${clock(from)} – ${clock(to)}`);
  });
  const more = segments.length > TOLD ? [element("p", { class: "about" }, `and ${segments.length - TOLD} more`)] : [];
  find("#corresponding").replaceChildren(element("h2", {}, "What corresponds"), element("ol", { class: "list stretches" }, ...lines), ...more);
}

function showMatrix(sides, found, lines, hear) {
  const figure = find("#matrix");
  figure.hidden = false;
  find("#line").textContent = found.verdict === "neither" ? "The line is the best there is, and too weak." : "The line is what corresponds.";
  const canvas = find("canvas", figure);
  const names = sides.map(({ title }) => title);
  canvas.setAttribute("aria-label", `Similarity of ${names[0]}, to the right, and ${names[1]}, upwards`);
  const matrix = new Matrix(canvas, found.matrix, found.durations, names, find(".here", figure));
  canvas.addEventListener("click", (event) => {
    const place = matrix.placeAt(event);
    if (!place) return;
    const close = nearest(lines, place);
    const line = close && close.distance < NEAR * found.durations[1] ? close.line : null;
    hear(line ? [place[0], carried(line, place[0])] : place, line).catch(tellProblem);
  });
  onListening(({ side, seconds, others }) => matrix.mark(others !== null ? (side ? [others, seconds] : [seconds, others]) : null));
}

start().catch((error) => {
  if (error.name === "AbortError") return;
  find("#fault").textContent = sentence(error.message);
  find("#fault").hidden = false;
});
