// What pages tell of what happens.

import { find } from "./switcher/elements.js";
import { tell } from "./switcher/note.js";

export { tell };

// After another page of a list: to its beginning, also for those who go by keys.
export function toTop() {
  scrollTo(0, 0);
  find("#main").focus({ preventScroll: true });
}

// For `.catch`: what went wrong, unless the user stopped it.
export function tellProblem(error) {
  if (error.name !== "AbortError") tell(error.message);
}
