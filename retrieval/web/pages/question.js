// One question about a clip: asked when it is wanted or its turn has come, answered in its panel.

import { api, job } from "./api.js";
import { gathered } from "./gathered.js";
import { hitList } from "./hits.js";
import { progressLine } from "./progress.js";
import { about } from "./source.js";
import { element } from "./switcher/elements.js";
import { TASKS } from "./tasks.js";
import { sentence } from "./wording.js";

const FIRST = 10;
const MOST = 100;

// `note` is told a short word for the tab. Gives `ask`, which asks once and is over when it is answered.
export function question(clip, task, panel, held, note) {
  const words = TASKS[task];
  const answer = element("div", { class: "answer" });
  const told = element("p", { class: "verdict", role: "status" });
  const boxes = words.ways(clip).map(([name, text]) => ({ name, text, box: element("input", { type: "checkbox", onchange: () => again() }) }));
  const way = element("p", { class: "about row" }, words.about, ...boxes.map(({ box, text }) => element("label", {}, box, text)));
  panel.replaceChildren(way, told, answer);
  let top = FIRST;
  let asked = null;
  let line = null;

  function again(more = FIRST) {
    top = more;
    line?.stop();
    asked = put();
    return asked;
  }

  async function put() {
    if (!held[words.lacking]) {
      told.textContent = `The library holds no ${words.lacking} yet.`;
      note("");
      return;
    }
    told.textContent = "";
    note("…");
    const own = (line = progressLine(answer, "searching"));
    try {
      const ways = boxes.filter(({ box }) => box.checked).map(({ name }) => [name, true]);
      const wanted = { kind: "query", clip: clip.source, task, top, ...Object.fromEntries(ways) };
      const { hits } = await Promise.race([job(wanted, ({ state }) => own.tell({ stage: state === "waiting" ? "waiting for its turn" : "searching" }), own.signal), aborted(own.signal)]);
      const others = hits.filter(({ id }) => id !== clip.source.item);
      const kinds = await Promise.all(others.map(({ id }) => api(`/v1/items/${encodeURIComponent(id)}`).catch(() => null)));
      if (own !== line) return;
      show(others.map((hit, index) => ({ ...hit, kind: kinds[index]?.kind ?? (task === "scores" ? "score" : "recording"), artist: kinds[index]?.artist })));
    } catch (error) {
      if (own !== line) return;
      note("");
      told.textContent = error.name === "AbortError" ? "Stopped." : sentence(about(clip.title, error).message);
      answer.replaceChildren(element("button", { type: "button", class: "button quiet", onclick: () => again() }, "Ask again"));
    }
  }

  function show(hits) {
    const accepted = hits.filter((hit) => hit.accepted);
    const found = gathered(accepted).length;
    note(String(found));
    told.textContent = found ? words.found(found, clip) : words.none(clip);
    answer.replaceChildren(...hitList(clip, task, hits));
    if (accepted.length >= top && top < MOST) {
      answer.append(element("button", { type: "button", class: "button quiet", onclick: () => again(MOST) }, "More"));
    }
  }

  return () => (asked ??= put());
}

function aborted(signal) {
  return new Promise((_, reject) => signal.addEventListener("abort", () => reject(new DOMException("stopped", "AbortError")), { once: true }));
}
