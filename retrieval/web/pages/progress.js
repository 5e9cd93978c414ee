// A line that tells how a job goes, with a button to stop it.

import { element } from "./switcher/elements.js";
import { dotted } from "./wording.js";

// Shows it in `place`; gives {tell(status), signal, stop(), remove()}. Each stage is read out once, its counts are not.
export function progressLine(place, label) {
  const controller = new AbortController();
  const text = element("span", { "aria-hidden": "true" }, label);
  const stage = element("span", { class: "unseen", role: "status" }, label);
  const bar = element("progress", { "aria-label": label, max: "1" });
  const stop = element("button", { type: "button", class: "quiet", onclick: () => controller.abort() }, "Stop");
  const line = element("div", { class: "progress" }, bar, text, stage, stop);
  place.replaceChildren(line);
  return {
    signal: controller.signal,
    tell({ stage: now, done, total, unit = "" }) {
      if (total) bar.value = done / total;
      else bar.removeAttribute("value");
      const told = dotted(now || label, total && `${done} of ${total}${unit}`);
      if (text.textContent !== told) text.textContent = told;
      if (stage.textContent !== (now || label)) stage.textContent = now || label;
    },
    stop: () => controller.abort(),
    remove: () => line.remove(),
  };
}
