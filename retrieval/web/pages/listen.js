// The player at the foot of the page: one recording from a place on.

import { soundOf } from "./api.js";
import { tell } from "./note.js";
import { element, find } from "./switcher/elements.js";
import { clock } from "./switcher/state.js";

const place = find("#listening");
const audio = new Audio();
const toggle = element("button", { type: "button", class: "round", onclick: () => (audio.paused ? play() : audio.pause()) });
const name = element("span", { class: "name" });
const now = element("span", { class: "clock" });
const seek = element("input", { type: "range", min: "0", step: "0.1", "aria-label": "Position", oninput: () => (audio.currentTime = seek.value) });
const close = element("button", { type: "button", class: "quiet", "aria-label": "Close the player", onclick: stop }, "×");
place.append(toggle, name, seek, now, close);

let listeners = [];

for (const event of ["play", "pause", "timeupdate", "durationchange", "ended", "emptied"]) audio.addEventListener(event, render);
audio.addEventListener("error", () => {
  if (!audio.getAttribute("src")) return;
  tell("This sound cannot be played: its file is gone, or not any more what was indexed.");
});

// Play from `at` seconds on: an item's sound, {item, title}, or any, {url, title}.
export async function listen({ item, url, title }, at = 0) {
  const source = url ?? (await soundOf(item));
  if (audio.getAttribute("src") !== source) {
    audio.src = source;
    name.textContent = title;
  }
  place.hidden = false;
  audio.currentTime = at;
  return play();
}

export function pause() {
  audio.pause();
}

export function stop() {
  audio.pause();
  audio.removeAttribute("src");
  place.hidden = true;
  render();
}

// {source, seconds, playing} at any time; `heard` is called with it whenever it changes.
export function onListening(heard) {
  listeners.push(heard);
}

async function play() {
  try {
    await audio.play();
  } catch (error) {
    if (error.name === "NotAllowedError") tell("The browser wants a click before it plays sound.");
  }
}

function render() {
  toggle.textContent = audio.paused ? "▶" : "❚❚";
  toggle.setAttribute("aria-label", audio.paused ? "Play" : "Pause");
  const duration = Number.isFinite(audio.duration) ? audio.duration : 0;
  seek.max = duration;
  if (document.activeElement !== seek || Math.abs(seek.value - audio.currentTime) > 1) seek.value = audio.currentTime;
  now.textContent = `${clock(audio.currentTime)} / ${clock(duration)}`;
  seek.setAttribute("aria-valuetext", now.textContent);
  const heard = { source: audio.getAttribute("src"), seconds: audio.currentTime, playing: !audio.paused };
  for (const listener of listeners) listener(heard);
}
