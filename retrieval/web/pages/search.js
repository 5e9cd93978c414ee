// The search page: what to search for, and the questions that are asked of it.

import { api } from "./api.js";
import { chooser } from "./chosen.js";
import { readInput, showFault } from "./input.js";
import { listen } from "./listen.js";
import { tellProblem } from "./note.js";
import { playButton } from "./playbutton.js";
import { question } from "./question.js";
import { beside, described, sourceIn } from "./source.js";
import { element, find } from "./switcher/elements.js";
import { tabs } from "./tabs.js";
import { TASKS, tasksOf } from "./tasks.js";
import { dotted } from "./wording.js";

const place = find("#clip");
const answers = find("#answers");

let held = null;
let shown = null;
let opening = 0; // counted up, so that what comes late from an address that was left is of no account

async function start() {
  held = await api("/v1/status");
  find("#empty").hidden = held.recordings + held.scores > 0;
  readInput(held, (clip) => {
    history.pushState(null, "", `/?${new URLSearchParams(clip.source)}`);
    show(clip);
  });
  addEventListener("popstate", () => open().catch(tellProblem));
  await open();
}

// Show what the address names.
async function open() {
  const source = sourceIn(new URLSearchParams(location.search));
  const turn = (opening += 1);
  showFault("");
  if (!source) return close();
  try {
    const clip = await described(source);
    if (turn === opening) show(clip);
  } catch (error) {
    if (turn !== opening) return;
    close();
    showFault(error.message);
  }
}

function close() {
  shown = null;
  for (const section of [place, answers]) section.hidden = true;
  document.body.classList.remove("asked");
}

function show(clip) {
  opening += 1;
  shown = clip;
  document.body.classList.add("asked");
  for (const section of [place, answers]) section.hidden = false;
  showClip(clip);
  const names = tasksOf(clip.kind);
  const wanted = new URLSearchParams(location.search).get("task");
  const asks = new Map();
  const made = tabs(find("[role=tablist]"), names.map((name) => [name, TASKS[name].title(clip)]), (name) => {
    const parts = new URLSearchParams(location.search);
    parts.set("task", name);
    history.replaceState(null, "", `/?${parts}`);
    asks.get(name)();
  });
  for (const name of names) asks.set(name, question(clip, name, made.panels.get(name), held, (text) => made.note(name, text)));
  answers.replaceChildren(find("[role=tablist]"), ...made.panels.values());
  made.choose(names.includes(wanted) ? wanted : names[0]);
  askInTurn(clip, [...asks.values()]);
}

// One after the other, so that what is looked at, which is asked at once, is answered soon.
async function askInTurn(clip, asks) {
  for (const ask of asks) {
    if (shown !== clip) return;
    await ask();
  }
}

function showClip(clip) {
  const { source, title, kind } = clip;
  place.replaceChildren(
    ...(kind === "recording" ? [playButton({ name: "clip", label: title, start: () => listen({ source, title }, 0, "clip") })] : []),
    element("div", { class: "what" }, element("h2", { class: "name" }, title), element("div", { class: "about" }, dotted(kind, beside(clip)))),
    ...(source.item ? [chooser({ id: source.item, kind, title })] : []),
    element("a", { class: "button quiet", href: "/" }, "New search"),
  );
}

start().catch((error) => showFault(error.message));
