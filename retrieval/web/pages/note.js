// Short messages, shown for some seconds and read out.

import { find } from "./switcher/elements.js";

export function tell(text) {
  const note = find("#note");
  note.textContent = "";
  note.textContent = text;
  note.classList.remove("shown");
  void note.offsetWidth; // so that the animation starts anew
  note.classList.add("shown");
}

// For `.catch`: what went wrong, unless the user stopped it.
export function tellProblem(error) {
  if (error.name !== "AbortError") tell(error.message);
}
