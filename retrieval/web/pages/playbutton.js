// Buttons that play something, and pause it while it plays.

import { icon } from "./icon.js";
import { onListening, pause } from "./listen.js";
import { tellProblem } from "./note.js";
import { element } from "./switcher/elements.js";

let buttons = [];

// `name` is what `start` tells the player that is heard; `text` is shown in place of the sign.
export function playButton({ name, label, start, text = "", disabled = false }) {
  const button = element("button", { type: "button", class: text ? "place clock" : "round", onclick: () => (one.playing ? pause() : start().catch(tellProblem)) });
  const one = { button, name, label, text, playing: false };
  button.disabled = disabled;
  buttons.push(one);
  dress(one);
  return button;
}

function dress({ button, label, text, playing }) {
  button.toggleAttribute("data-playing", playing);
  button.replaceChildren(text || icon(playing ? "pause" : "play"));
  button.setAttribute("aria-label", `${playing ? "Pause" : "Play"} ${label}`);
}

onListening(({ name, playing }) => {
  buttons = buttons.filter(({ button }) => button.isConnected);
  for (const one of buttons) {
    const now = playing && name === one.name;
    if (now === one.playing) continue;
    one.playing = now;
    dress(one);
  }
});
