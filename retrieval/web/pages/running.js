// Work on the library that goes on: shown with its progress wherever a page is opened, and what came of it.

import { api, follow } from "./api.js";
import { failureList } from "./failurelist.js";
import { tell, tellProblem } from "./note.js";
import { progressLine } from "./progress.js";
import { element, find } from "./switcher/elements.js";
import { roundClock } from "./switcher/state.js";
import { counted, dotted, indexSummary } from "./wording.js";

const LABELS = { index: "Taking files in", group: "Grouping into works" };

// Shows in `place` all that goes on now; gives start(request, label), which begins something. `changed` is called now
// and then while the library changes, and at the end.
export function running(place, changed) {
  const shown = new Set();

  async function show(started, label = LABELS[started.kind]) {
    if (shown.has(started.id)) return; // begun here, and told by the list, too
    shown.add(started.id);
    const card = element("section", { class: "card running", "aria-label": label });
    const [line, failed] = [element("div"), failureList([])];
    const title = element("h2", { tabindex: "-1" }, label);
    card.append(title, line, failed.place);
    place.append(card);
    const progress = progressLine(line, "Waiting");
    let last = started;
    const told = (status) => {
      last = status;
      progress.tell(status);
      failed.show(status.failed);
      changed(false);
    };
    try {
      const result = await follow(started, told, progress.signal);
      end(dotted(...summary(started.kind, result)));
    } catch (error) {
      end(error.name === "AbortError" ? "Stopped. What was taken in before stays." : error.message);
    }

    function end(text) {
      const focused = card.contains(document.activeElement);
      const done = element("button", { type: "button", class: "quiet", onclick: close }, "Close");
      line.replaceChildren(element("p", { class: "row" }, element("span", { class: "ended" }, text), element("span", { class: "space" }), done));
      if (last.messages.length) line.append(messages(last.messages));
      if (focused) title.focus();
      tell(text);
      changed(true);
    }

    function close() {
      card.remove();
      find("#main").focus({ preventScroll: true });
    }
  }

  api("/v1/jobs")
    .then(({ jobs }) => {
      const now = jobs.filter(({ kind, state }) => kind in LABELS && ["waiting", "running"].includes(state));
      for (const started of now.reverse()) show(started);
    })
    .catch(tellProblem);

  return async (request, label) => {
    show(await api("/v1/jobs", { method: "POST", json: request }), label);
  };
}

function summary(kind, result) {
  if (kind === "group") return [result.moved ? `${counted(result.moved, "recording")} came to another work` : "Every recording stays where it was"];
  return [indexSummary(result), result.audio_seconds && `${roundClock(result.audio_seconds)} of music in ${roundClock(result.seconds)}`];
}

function messages(texts) {
  const list = element("ul", { class: "messages", "aria-label": "Remarks", tabindex: "0" }, ...texts.map((text) => element("li", {}, text)));
  return element("details", {}, element("summary", {}, counted(texts.length, "remark")), list);
}
