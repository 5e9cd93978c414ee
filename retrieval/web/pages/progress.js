// A line that tells how a job goes, with a button to stop it.

import { element } from "./switcher/elements.js";

// Shows it in `place`; gives {tell(status), signal, stop(), remove()}.
export function progressLine(place, label) {
  const controller = new AbortController();
  const text = element("span", { role: "status" }, label);
  const bar = element("progress", { "aria-label": label, max: "1" });
  const stop = element("button", { type: "button", class: "quiet", onclick: () => controller.abort() }, "Stop");
  const line = element("p", { class: "progress" }, bar, text, stop);
  place.replaceChildren(line);
  return {
    signal: controller.signal,
    tell({ stage, done, total, unit = "" }) {
      if (total) bar.value = done / total;
      else bar.removeAttribute("value");
      const told = [stage || label, total ? `${done} of ${total}${unit}` : ""].filter(Boolean).join(" · ");
      if (text.textContent !== told) text.textContent = told;
    },
    stop: () => controller.abort(),
    remove: () => line.remove(),
  };
}
