// Short messages, for those who listen to the page, and shown for some seconds.

import { find } from "./elements.js";

// Shown, too, unless it is seen anyway.
export function tell(text, shown = true) {
  const note = find("#note");
  note.textContent = "";
  note.textContent = text;
  note.classList.remove("shown");
  void note.offsetWidth; // so that the animation starts anew
  note.classList.toggle("shown", shown);
}
