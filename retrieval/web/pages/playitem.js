// A button that plays a recording from its beginning, or goes on, or pauses.

import { icon } from "./icon.js";
import { listen, onListening, pause } from "./listen.js";
import { tellProblem } from "./note.js";
import { element } from "./switcher/elements.js";

let buttons = [];
let heard = { source: null, seconds: 0, playing: false };

export function playItem({ id, title }) {
  const source = `/v1/items/${encodeURIComponent(id)}/audio`;
  const button = element("button", { type: "button", class: "play", onclick: press });
  const made = { button, title, source, shown: null };
  buttons.push(made);
  render(made);
  return button;

  function press() {
    if (heard.source === source && heard.playing) return pause();
    return listen({ item: id, title }, heard.source === source ? heard.seconds : 0).catch(tellProblem);
  }
}

function render(made) {
  const playing = heard.source === made.source && heard.playing;
  if (playing === made.shown) return;
  made.shown = playing;
  made.button.replaceChildren(icon(playing ? "pause" : "play"));
  made.button.setAttribute("aria-label", `${playing ? "Pause" : "Play"} ${made.title}`);
}

onListening((now) => {
  const changed = now.source !== heard.source || now.playing !== heard.playing;
  heard = now;
  if (!changed) return;
  buttons = buttons.filter(({ button }) => button.isConnected);
  buttons.forEach(render);
});
