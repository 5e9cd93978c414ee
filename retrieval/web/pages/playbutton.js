// Buttons that play something, and pause it while it plays.

import { icon } from "./icon.js";
import { listen, onListening, pause } from "./listen.js";
import { tellProblem } from "./note.js";
import { element } from "./switcher/elements.js";

let buttons = [];
let heard = { name: null, seconds: 0, playing: false };

// `name` is what `start` tells the player that is heard; `start` is given the seconds at which that was left, or 0.
// `text` is shown in place of the sign.
export function playButton({ name, label, start, look = "round", text = "", disabled = false }) {
  const button = element("button", { type: "button", class: look, onclick: press });
  button.disabled = disabled;
  const made = { button, name, label, text, shown: null };
  buttons.push(made);
  dress(made);
  return button;

  function press() {
    if (heard.name === name && heard.playing) return pause();
    return start(heard.name === name ? heard.seconds : 0).catch(tellProblem);
  }
}

// Plays an item from its beginning, or goes on.
export function playItem({ id, title }, look = "play") {
  const name = `item ${id}`;
  return playButton({ name, label: title, look, start: (seconds) => listen({ item: id, title }, seconds, name) });
}

function dress(made) {
  const { button, name, label, text } = made;
  const playing = heard.name === name && heard.playing;
  if (playing === made.shown) return;
  made.shown = playing;
  button.toggleAttribute("data-playing", playing);
  button.replaceChildren(text || icon(playing ? "pause" : "play"));
  button.setAttribute("aria-label", `${playing ? "Pause" : "Play"} ${label}`);
}

onListening((now) => {
  const changed = now.name !== heard.name || now.playing !== heard.playing;
  heard = now;
  if (!changed) return;
  buttons = buttons.filter(({ button }) => button.isConnected);
  buttons.forEach(dress);
});
