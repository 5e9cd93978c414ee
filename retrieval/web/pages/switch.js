// The switcher on items of the library and on uploads, which the address names in the order in which they are shown:
// /switch?item=ID&item=ID&upload=ID&score=ID.

import { answered, job } from "./api.js";
import { find } from "./switcher/elements.js";
import { open } from "./switcher/main.js";
import { sentence } from "./wording.js";

const source = {
  model() {
    const { sources, score } = asked(new URLSearchParams(location.search));
    if (!sources.length) throw new Error("The address names nothing to play: choose recordings in the library.");
    const [ref, ...others] = sources;
    return job({ kind: "switch", ref, others, ...(score && { score }) }, tell);
  },

  // The bytes of a piece of a performance, by its number from 0.
  async piece(file, number) {
    return (await answered(`/v1/${file}/pieces/${number + 1}`)).arrayBuffer();
  },

  // The text of a page of the score.
  async page(name) {
    return (await answered(`/v1/${name}`)).text();
  },

  // The address of the module that changes the speed of sound.
  async worklet() {
    return "/assets/switcher/vendor/SignalsmithStretch.mjs";
  },
};

function asked(parts) {
  const [sources, scores] = [[], []];
  for (const [kind, id] of parts) {
    if (kind === "item" || kind === "upload") sources.push({ [kind]: id });
    else if (kind === "score") scores.push({ item: id });
  }
  return { sources, score: scores[0] };
}

function tell({ state, stage, done, total }) {
  if (state !== "running" && state !== "waiting") return;
  find("#summary").textContent = `${sentence(stage || "waiting")} … ${total > 1 ? `${done + 1} of ${total}` : ""}`;
}

open(source).catch((error) => {
  find("#summary").textContent = `This cannot be played: ${error.message}`;
});
