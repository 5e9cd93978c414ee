// What to search for: a file that is dropped or chosen, what the microphone hears, or a path.

import { upload } from "./api.js";
import { canRecord, record } from "./microphone.js";
import { tell } from "./note.js";
import { progressLine } from "./progress.js";
import { about, described, describedUpload } from "./source.js";
import { element, find } from "./switcher/elements.js";
import { clock } from "./switcher/state.js";
import { sentence } from "./wording.js";

const LONGEST_RECORDING = 30;
const MEGABYTE = 2 ** 20;

const sending = find("#sending");
const file = find("#file");
const fault = find("#fault");

let most = Infinity;
let busy = false;

// `given` is called with what was given, as `described` tells it.
export function readInput(status, given) {
  most = status.most_upload_bytes;
  find("#limit").textContent = `up to ${Math.round(most / MEGABYTE)} MB`;
  const take = (files) => files.length && attempt(() => send(files[0], files[0].name), given);
  find("#choose").disabled = false;
  find("#choose").addEventListener("click", () => file.click());
  file.addEventListener("change", () => {
    take(file.files);
    file.value = "";
  });
  letDrop(take);
  const button = find("#record");
  button.disabled = !canRecord;
  if (!canRecord) button.title = "Browsers let pages record only on this machine’s own address, or over TLS.";
  button.addEventListener("click", () => attempt(recorded, given));
  find("#by-path").hidden = !status.roots.length;
  find("#path").placeholder = `${status.roots[0] ?? ""}/…`;
  find("#by-path").addEventListener("submit", (event) => {
    event.preventDefault();
    attempt(() => described({ path: find("#path").value.trim() }), given);
  });
}

// Tell what went wrong where it stays to be read.
export function showFault(text) {
  fault.textContent = sentence(text);
  fault.hidden = !text;
}

// One at a time: what is being recorded or sent can be stopped where it is shown.
async function attempt(taken, given) {
  if (busy) {
    tell("Something is being taken already: stop it first.");
    return;
  }
  busy = true;
  showFault("");
  try {
    const clip = await taken();
    if (clip) given(clip);
  } catch (error) {
    if (error.name !== "AbortError") showFault(error.message);
  } finally {
    busy = false;
  }
}

async function send(body, name) {
  if (body.size > most) throw new Error(`“${name}” is larger than the ${Math.round(most / MEGABYTE)} MB that an upload may have.`);
  const line = progressLine(sending, `sending ${name}`);
  try {
    const total = Math.ceil(body.size / MEGABYTE);
    const part = (done) => line.tell(done < 1 ? { stage: `sending ${name}`, done: Math.round(done * total), total, unit: " MB" } : { stage: `reading ${name}` });
    return describedUpload(await upload(body, name, part, line.signal));
  } catch (error) {
    throw about(name, error);
  } finally {
    line.remove();
  }
}

async function recorded() {
  const meter = element("meter", { min: "0", max: "1", low: "0.02", high: "0.98", optimum: "0.5", "aria-label": "Level" });
  const time = element("span", { class: "clock" }, clock(0));
  const stop = element("button", { type: "button", class: "button" }, "Stop and search");
  const discard = element("button", { type: "button", class: "button quiet" }, "Discard");
  const wanted = new Promise((resolve) => {
    stop.addEventListener("click", () => resolve(true));
    discard.addEventListener("click", () => resolve(false));
  });
  try {
    let full;
    const whole = new Promise((resolve) => (full = resolve));
    const end = await record((level, seconds) => {
      meter.value = Math.sqrt(level);
      time.textContent = `${clock(seconds)} of ${clock(LONGEST_RECORDING)}`;
      if (seconds >= LONGEST_RECORDING) full(true);
    });
    sending.replaceChildren(element("p", { class: "row" }, element("span", { role: "status" }, "Listening"), meter, time, stop, discard));
    stop.focus();
    const search = await Promise.race([wanted, whole]);
    const sound = await end();
    if (!search) return null;
    if (!sound) throw new Error("Nothing was heard. Is the microphone muted?");
    const at = new Date();
    const two = (number) => String(number).padStart(2, "0");
    return await send(sound, `Microphone ${two(at.getHours())}.${two(at.getMinutes())}.wav`);
  } finally {
    sending.replaceChildren();
  }
}

// Anywhere on the page.
function letDrop(take) {
  let inside = 0;
  const shown = (yes) => document.body.classList.toggle("dropping", yes);
  const holdsFiles = (event) => [...(event.dataTransfer?.types ?? [])].includes("Files");
  addEventListener("dragenter", (event) => {
    if (holdsFiles(event)) shown(Boolean((inside += 1)));
  });
  addEventListener("dragleave", (event) => {
    if (holdsFiles(event)) shown(Boolean((inside = Math.max(inside - 1, 0))));
  });
  addEventListener("dragover", (event) => holdsFiles(event) && event.preventDefault());
  addEventListener("drop", (event) => {
    if (!holdsFiles(event)) return;
    event.preventDefault();
    shown(Boolean((inside = 0)));
    const [first, ...more] = event.dataTransfer.files;
    if (more.length) tell("Only the first of these files is searched for.");
    if (first) take([first]);
  });
}
