// The player at the foot of the page: one recording from a place on, or two that correspond, of which one is heard.

import { soundOf } from "./api.js";
import { icon } from "./icon.js";
import { carried, turned } from "./line.js";
import { tell } from "./note.js";
import { element, find } from "./switcher/elements.js";
import { clock } from "./switcher/state.js";

const END = 0.05;

const place = find("#listening");
const toggle = element("button", { type: "button", class: "round", onclick: () => (audio().paused ? play() : pause()) });
const names = element("div", { class: "sides", role: "group", "aria-label": "What is heard" });
const now = element("span", { class: "clock" });
const seek = element("input", { type: "range", min: "0", step: "0.1", "aria-label": "Position", oninput: () => (audio().currentTime = seek.value) });
const close = element("button", { type: "button", class: "quiet", "aria-label": "Close the player", onclick: stop }, "×");
place.append(toggle, names, seek, now, close);

const audios = [made(), made()];
let sides = [];
let current = 0;
let line = null;
let key = null;
let listeners = [];

document.addEventListener("keydown", (event) => {
  const number = { 1: 0, 2: 1 }[event.key];
  if (sides.length < 2 || number === undefined || event.ctrlKey || event.metaKey || event.altKey) return;
  if (event.target.closest?.("input:not([type=range], [type=checkbox]), textarea, select")) return;
  turnTo(number);
});

// Play from `at` seconds on: an item's sound, {item, title}, or another's, {source, title}; `name` is told to those who
// watch.
export function listen(one, at = 0, name = null) {
  return listenToPair([one], { at, name });
}

// Play one of two from `at` seconds of its own on, so that the other can take over at the corresponding place:
// `points` are corresponding seconds of the first and the second.
export async function listenToPair(both, { side = 0, at = 0, points = null, name = null } = {}) {
  const found = await Promise.all(both.map(({ item, source }) => soundOf(source ?? { item })));
  audio().pause();
  [sides, current, line, key] = [both, side, points, name];
  audios.forEach((one, number) => load(one, found[number]));
  names.replaceChildren(...(both.length > 1 ? both.map(sideButton) : [element("span", { class: "name" }, both[0].title)]));
  place.hidden = false;
  audio().currentTime = at;
  if (both.length > 1) audios[1 - side].currentTime = other(at); // so that its sound is there when it is wanted
  return play();
}

// Let the other of two be heard at the corresponding place.
export function turnTo(side) {
  if (side === current || !sides[side]) return;
  const [before, after] = [audio(), audios[side]];
  const playing = !before.paused;
  const at = other(before.currentTime);
  if (at < -END || (Number.isFinite(after.duration) && at > after.duration - END)) {
    tell(`${sides[side].title} has nothing there.`);
    return;
  }
  before.pause();
  after.currentTime = Math.max(at, 0);
  current = side;
  if (playing) play();
  render();
}

export function pause() {
  audio().pause();
}

export function stop() {
  for (const one of audios) {
    one.pause();
    one.removeAttribute("src");
  }
  [sides, current, line, key] = [[], 0, null, null];
  place.hidden = true;
  render();
}

// {name, side, seconds, others, playing} at any time: seconds of what is heard, and of the other where there
// are two; `heard` is called with it whenever it changes.
export function onListening(heard) {
  listeners.push(heard);
}

function made() {
  const one = new Audio();
  one.preload = "auto";
  for (const event of ["play", "pause", "timeupdate", "seeked", "durationchange", "ended", "emptied"]) one.addEventListener(event, render);
  one.addEventListener("error", () => {
    if (one.getAttribute("src")) tell("This sound cannot be played: its file is gone, or not any more what it was.");
  });
  return one;
}

function audio() {
  return audios[current];
}

function load(one, url) {
  if (!url) one.removeAttribute("src");
  else if (one.getAttribute("src") !== url) one.src = url;
}

function other(seconds) {
  return carried(current ? turned(line) : line, seconds);
}

function sideButton({ title }, number) {
  return element("button", { type: "button", onclick: () => turnTo(number) }, element("kbd", {}, `${number + 1}`), element("span", { class: "name" }, title));
}

async function play() {
  try {
    await audio().play();
  } catch (error) {
    if (error.name === "NotAllowedError") tell("The browser wants a click before it plays sound.");
  }
}

function render() {
  const { paused, currentTime: seconds } = audio();
  const deed = paused ? "Play" : "Pause";
  if (toggle.getAttribute("aria-label") !== deed) toggle.replaceChildren(icon(deed.toLowerCase()));
  toggle.setAttribute("aria-label", deed);
  for (const [number, button] of [...names.querySelectorAll("button")].entries()) button.setAttribute("aria-pressed", number === current);
  const duration = Number.isFinite(audio().duration) ? audio().duration : 0;
  seek.max = duration;
  if (document.activeElement !== seek || Math.abs(seek.value - seconds) > 1) seek.value = seconds;
  now.textContent = `${clock(seconds)} / ${clock(duration)}`;
  seek.setAttribute("aria-valuetext", now.textContent);
  const heard = { name: key, side: current, seconds, others: line && other(seconds), playing: !paused };
  for (const listener of listeners) listener(heard);
}
