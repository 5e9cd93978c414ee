// The page: state, sound and drawing put together.

import { element, find } from "./elements.js";
import { tell } from "./note.js";
import { Pieces, Player } from "./player.js";
import { nearestPlaying, ScoreView } from "./score.js";
import { speedBeside, StretchedVoice, Stretches } from "./speed.js";
import { clock, createModel, fragment, initialState, loopIn, parseFragment, placeOf, reduce, roundClock } from "./state.js";
import { Axis, decodeBytes, drawRuler, drawStrip, tempoRange } from "./view.js";
import { Voice } from "./voice.js";

const PUMP_MS = 100;
const STEP = 5; // seconds of the arrow keys
const KEYS = 9; // performances that have a key of their own
const TOLD_SECONDS = 3; // silence at an end is often this long

let source; // see `open`
let model;
let tempo;
let kept; // under which name the browser keeps the markers
let player;
let rows; // the parts of each track's row
let score; // its view, or null
let state = initialState();
let fresh = true; // whether nothing has been drawn yet

export function dispatch(action) {
  const heard = player.place();
  if (action.type !== "place" && heard) state = reduce(state, { type: "place", ...heard }, model);
  const before = state;
  state = reduce(state, action, model);
  if (state === before) return;
  if (state.jump !== before.jump) sound(before, action);
  if (state.markers !== before.markers) keepMarkers();
  render(before);
}

function sound(before, action) {
  prepare();
  if (!state.playing) {
    player.stop();
    keepPlace();
    return;
  }
  const after = state;
  player.speed = after.speed;
  const fixed = player.pending || !before.playing;
  player.start(after.track, (own) => {
    if (fixed || own === null || player.voice.track !== before.track) return after.own;
    return reduce({ ...before, own }, action, model).own;
  });
  keepPlace();
}

function prepare() {
  const { ref } = placeOf(state, model);
  const places = model.tracks.map((track, number) =>
    number === state.track ? state.own : (track.map.next(ref)?.other ?? null),
  );
  return player.prepare(state.track, places);
}

function keepPlace() {
  history.replaceState(null, "", fragment(state, model));
}

function keepMarkers() {
  try {
    localStorage.setItem(kept, JSON.stringify(state.markers));
  } catch {
    // Without storage they last as long as the page is open.
  }
}

function keptMarkers() {
  try {
    return JSON.parse(localStorage.getItem(kept) ?? "[]");
  } catch {
    return [];
  }
}

// The page's parts

const seek = find("#seek");
const ruler = find("#ruler");

function trackRow(track, number) {
  const pick = element(
    "button",
    { type: "button", class: "pick", onclick: () => dispatch({ type: "switch", track: number }) },
    element("kbd", { "aria-hidden": "true" }, number < KEYS ? String(number + 1) : ""),
    element("span", { class: "name" }, track.name),
    element("span", { class: "about" }, aboutTrack(track, number)),
  );
  const canvas = element("canvas", { "aria-hidden": "true" });
  const loop = element("i", { class: "loop" });
  const head = element("i", { class: "head" });
  const strip = element("div", { class: "strip" }, loop, canvas, head);
  strip.addEventListener("pointerdown", (event) => scrub(event, number, strip));
  strip.addEventListener("dblclick", () => dispatch({ type: "switch", track: number }));
  const row = element("li", { class: "track" }, pick, strip);
  find("#tracks").append(row);
  return { row, pick, canvas, loop, head, strip };
}

function aboutTrack(track, number) {
  const parts = [roundClock(track.duration)];
  if (number === 0) parts.push("the timeline");
  const { transposition } = track;
  if (transposition) {
    const size = Math.abs(transposition);
    parts.push(`${size} semitone${size > 1 ? "s" : ""} ${transposition < 0 ? "higher" : "lower"}`);
  }
  const lost = track.map.lacking.reduce((sum, [start, end]) => sum + end - start, 0);
  if (lost >= TOLD_SECONDS) parts.push(`leaves out ${roundClock(lost)}`);
  return parts.join(" · ");
}

// Press and drag in a strip: to that place; in what only this track has, by sounding it.
function scrub(event, number, strip) {
  if (event.button) return;
  strip.setPointerCapture(event.pointerId);
  let last = 0;
  const move = (at, final) => {
    if (!final && performance.now() - last < 80) return;
    last = performance.now();
    const { left, width } = strip.getBoundingClientRect();
    goTo(number, Math.min(Math.max((at.clientX - left) / width, 0), 1));
  };
  const drag = (at) => move(at, false);
  move(event, true);
  strip.addEventListener("pointermove", drag);
  strip.addEventListener("lostpointercapture", () => strip.removeEventListener("pointermove", drag), { once: true });
}

function goTo(number, part) {
  const axis = new Axis(model, state.view, number);
  if (axis.aligned) {
    dispatch({ type: "seek", ref: part * axis.length });
    return;
  }
  const own = axis.toOwn(part);
  if (own === null) return;
  const { ref, shared } = model.tracks[number].map.place(own);
  if (number === state.track || !shared) dispatch({ type: "own", track: number, own });
  else dispatch({ type: "seek", ref });
}

function draw() {
  drawRuler(ruler, new Axis(model, state.view, 0).length);
  rows.forEach(({ canvas }, number) => drawStrip(canvas, model.tracks[number], new Axis(model, state.view, number), tempo));
}

function scoreView() {
  find("#score").hidden = false;
  document.body.classList.add("scored");
  find("#page-count").textContent = String(model.score.pages.length);
  const turn = (by) => {
    dispatch({ type: "follow", follow: false });
    view.show(view.page + by);
  };
  find("#page-back").addEventListener("click", () => turn(-1));
  find("#page-on").addEventListener("click", () => turn(1));
  find("#follow").addEventListener("click", () => dispatch({ type: "follow", follow: !state.follow }));
  const view = new ScoreView(find("#sheet"), model.score, {
    read: (name) => source.page(name),
    choose(id) {
      const row = nearestPlaying(model.score.measures, id, placeOf(state, model).ref);
      if (row) dispatch({ type: "seek", ref: row[0] });
      else dispatch({ type: "tell", text: "This measure is not played" });
    },
    turned(page) {
      find("#page-number").textContent = String(page);
      find("#page-back").disabled = page === 1;
      find("#page-on").disabled = page === model.score.pages.length;
    },
    failed: (error) => dispatch({ type: "tell", text: `The score cannot be shown: ${error.message}` }),
  });
  return view;
}

function render(before) {
  const changed = (key) => fresh || state[key] !== before[key];
  if (changed("track")) {
    rows.forEach(({ row, pick }, number) => {
      row.classList.toggle("sounds", number === state.track);
      pick.setAttribute("aria-pressed", String(number === state.track));
    });
    find("#now-name").textContent = model.tracks[state.track].name;
    if (!fresh) tell(model.tracks[state.track].name, false);
  }
  if (changed("track") || changed("view")) draw();
  if (changed("view")) {
    for (const button of document.querySelectorAll("[data-view]")) {
      button.setAttribute("aria-pressed", String(button.dataset.view === state.view));
    }
    document.body.dataset.view = state.view;
  }
  if (changed("playing")) {
    document.body.classList.toggle("playing", state.playing);
    find("#play").setAttribute("aria-label", state.playing ? "Pause" : "Play");
  }
  if (changed("speed")) renderSpeed();
  if (changed("loop") || changed("view")) renderLoop();
  if (changed("markers") || changed("view")) renderMarkers(before);
  if (changed("follow")) find("#follow").setAttribute("aria-pressed", String(state.follow));
  if (changed("notes") && state.note) tell(state.note);
  if (changed("own") || changed("track") || changed("view")) renderPlace();
  if (changed("own") || changed("track") || changed("follow")) renderScore();
  fresh = false;
}

function renderPlace() {
  const { ref, shared } = placeOf(state, model);
  rows.forEach(({ head, strip }, number) => {
    const axis = new Axis(model, state.view, number);
    const part = number === state.track ? axis.ofOwn(state.own) : axis.ofRef(ref);
    head.hidden = part === null;
    if (part !== null) head.style.left = `${part * 100}%`;
    strip.classList.toggle("nothing", number !== state.track && model.tracks[number].map.toOther(ref) === null);
  });
  find("#now").textContent = clock(ref);
  find("#only").hidden = shared;
  const text = `${clock(ref)} of ${clock(model.duration)}, ${model.tracks[state.track].name}`;
  if (document.activeElement !== seek || Math.abs(seek.value - ref) > 0.5) seek.value = ref;
  seek.setAttribute("aria-valuetext", text);
}

// What only one performance has is not in the score, nor what the reference leaves out of it.
function renderScore() {
  const { ref, shared } = placeOf(state, model);
  score?.place(shared ? ref : -1, state.follow);
}

function renderSpeed() {
  find("#speed").textContent = `${state.speed}×`;
  find("#speed").setAttribute("aria-label", `Speed ${state.speed}; back to 1`);
  find("#speed").classList.toggle("set", state.speed !== 1);
  find("#slower").disabled = speedBeside(state.speed, -1) === state.speed;
  find("#faster").disabled = speedBeside(state.speed, 1) === state.speed;
}

function renderLoop() {
  const { a, b, on } = state.loop;
  find("#loop").setAttribute("aria-pressed", String(on));
  find("#loop-a").classList.toggle("set", a !== null);
  find("#loop-b").classList.toggle("set", b !== null);
  find("#loop-clear").hidden = a === null && b === null;
  rows.forEach(({ loop }, number) => {
    const axis = new Axis(model, state.view, number);
    const { map } = model.tracks[number];
    const [start, end] = [a, b ?? a].map((ref, side) => {
      if (ref === null) return null;
      return axis.aligned ? ref / axis.length : axis.ofRef((side ? map.previous(ref) : map.next(ref))?.ref ?? -1);
    });
    loop.hidden = start === null || end === null || end < start;
    if (loop.hidden) return;
    loop.classList.toggle("on", on);
    loop.style.left = `${start * 100}%`;
    loop.style.width = `${(end - start) * 100}%`;
  });
}

function renderMarkers(before) {
  const axis = new Axis(model, state.view, 0);
  find("#flags").replaceChildren(
    ...state.markers.map((marker, index) => {
      const go = () => dispatch({ type: "seek", ref: marker.t });
      const label = `Marker ${index + 1} at ${clock(marker.t)}${marker.text ? `: ${marker.text}` : ""}`;
      const flag = element("button", { type: "button", class: "flag", "aria-label": label, title: label, onclick: go });
      flag.style.left = `${axis.ofRef(marker.t) * 100}%`;
      return flag;
    }),
  );
  find("#markers").hidden = !state.markers.length;
  const same = before && state.markers.length === before.markers.length && state.markers.every((m, k) => m.id === before.markers[k].id);
  if (same && !fresh) return; // only a text has changed, and it is being typed
  find("#marker-list").replaceChildren(...state.markers.map(markerRow));
}

function markerRow(marker) {
  const text = element("input", {
    type: "text",
    placeholder: "Note",
    "aria-label": `Note at ${clock(marker.t)}`,
    oninput: (event) => dispatch({ type: "note", id: marker.id, text: event.target.value }),
  });
  text.value = marker.text;
  return element(
    "li",
    {},
    element("button", { type: "button", class: "time", onclick: () => dispatch({ type: "seek", ref: marker.t }) }, clock(marker.t)),
    text,
    element(
      "button",
      { type: "button", class: "remove", "aria-label": `Remove the marker at ${clock(marker.t)}`, onclick: () => dispatch({ type: "unmark", id: marker.id }) },
      "×",
    ),
  );
}

async function copyLink() {
  keepPlace();
  try {
    await navigator.clipboard.writeText(location.href);
    dispatch({ type: "tell", text: "Link to this place copied" });
  } catch {
    dispatch({ type: "tell", text: "The link to this place is in the address bar" });
  }
}

// What changes the speed is loaded when it is first wanted.
async function setSpeed(speed) {
  try {
    await player.stretches.load();
    dispatch({ type: "speed", speed });
  } catch (error) {
    dispatch({ type: "tell", text: `Another speed cannot be had: ${error.message}` });
  }
}

const slower = () => setSpeed(speedBeside(state.speed, -1));
const faster = () => setSpeed(speedBeside(state.speed, 1));
const usual = () => dispatch({ type: "speed", speed: 1 });

const keys = {
  " ": () => dispatch({ type: "toggle" }),
  ArrowLeft: () => dispatch({ type: "step", seconds: -STEP }),
  ArrowRight: () => dispatch({ type: "step", seconds: STEP }),
  ArrowUp: () => dispatch({ type: "switch", track: (state.track + model.tracks.length - 1) % model.tracks.length }),
  ArrowDown: () => dispatch({ type: "switch", track: (state.track + 1) % model.tracks.length }),
  a: () => dispatch({ type: "loopA" }),
  b: () => dispatch({ type: "loopB" }),
  l: () => dispatch({ type: "loop" }),
  m: () => dispatch({ type: "mark" }),
  "-": slower,
  "+": faster,
  "=": faster,
  0: usual,
  Home: () => dispatch({ type: "seek", ref: 0 }),
};

function onKey(event) {
  if (event.ctrlKey || event.metaKey || event.altKey) return;
  const on = event.target;
  if (on.matches?.("input[type=text]")) return;
  if (on.matches?.("button, summary") && (event.key === " " || event.key === "Enter")) return;
  if (on.matches?.("input[type=range]") && (event.key.startsWith("Arrow") || event.key === "Home")) return;
  const digit = /^[1-9]$/.test(event.key) ? Number(event.key) : 0;
  const act = digit ? () => dispatch({ type: "switch", track: digit - 1 }) : keys[event.key.length > 1 ? event.key : event.key.toLowerCase()];
  if (!act || (event.repeat && !event.key.startsWith("Arrow"))) return;
  event.preventDefault();
  act();
}

function follow(text) {
  const place = parseFragment(text, model);
  if (!place) return;
  dispatch({ type: "switch", track: place.track });
  dispatch({ type: "seek", ref: place.ref });
}

// Show and play what a source has: `model()`, the document that `createModel` reads; `piece(file, number)`, the bytes
// of a piece of sound; `page(name)`, the text of a page of the score; `worklet()`, the address of vendor's module.
export async function open(given) {
  source = given;
  model = createModel(await source.model());
  for (const track of model.tracks) {
    track.envelope = decodeBytes(track.envelope);
    track.body = decodeBytes(track.body);
  }
  tempo = { step: model.tempo_step, range: tempoRange(model.tracks) };
  kept = `incipit-switcher:${model.id}`;
  player = newPlayer();
  // What the console and tests may look at.
  globalThis.incipit = { ...globalThis.incipit, state: () => state, dispatch, model, player, Pieces, Voice, Stretches, StretchedVoice };
  rows = model.tracks.map(trackRow);
  score = model.score && scoreView();
  fillIn();
  listen();
  render(state);
  dispatch({ type: "markers", markers: keptMarkers() });
  if (location.hash) follow(location.hash);
  document.body.classList.add("open");
  draw();
  prepare();
  setInterval(() => {
    player.pump();
    if (state.playing && player.voice) prepare();
  }, PUMP_MS);
  (function frame() {
    const heard = state.playing ? player.place() : null;
    if (heard) dispatch({ type: "place", ...heard });
    requestAnimationFrame(frame);
  })();
}

function newPlayer() {
  const context = new AudioContext({ sampleRate: model.rate, latencyHint: "interactive" });
  return new Player(context, model, source, {
    loop: (track) => loopIn(state, model, track),
    ended: () => dispatch({ type: "ended" }),
    failed: (error) => {
      dispatch({ type: "pause" });
      dispatch({ type: "tell", text: `The sound cannot be played: ${error.message}` });
    },
    waiting: (yes) => document.body.classList.toggle("waiting", yes),
  });
}

function fillIn() {
  const several = model.tracks.length > 1;
  document.title = model.title;
  find("#title").textContent = model.title;
  find("#summary").textContent = several ? `${model.tracks.length} performances on the timeline of ${model.tracks[0].name}` : "";
  find("#left-out").textContent = (model.left_out ?? []).map(({ name, cause }) => `Left out: ${name}: ${cause}`).join("\n");
  find("#length").textContent = clock(model.duration);
  find("#tempo-range").textContent = `${Math.round((2 ** tempo.range - 1) * 100)} %`;
  seek.max = model.duration;
}

const clicks = {
  "#play": { type: "toggle" },
  "#loop-a": { type: "loopA" },
  "#loop-b": { type: "loopB" },
  "#loop": { type: "loop" },
  "#loop-clear": { type: "loopClear" },
  "#mark": { type: "mark" },
  "#back": { type: "step", seconds: -STEP },
  "#forward": { type: "step", seconds: STEP },
};

function listen() {
  for (const [selector, action] of Object.entries(clicks)) find(selector).addEventListener("click", () => dispatch(action));
  find("#link").addEventListener("click", copyLink);
  for (const [id, act] of Object.entries({ slower, faster, speed: usual })) find(`#${id}`).addEventListener("click", act);
  for (const button of document.querySelectorAll("[data-view]")) {
    button.addEventListener("click", () => dispatch({ type: "view", view: button.dataset.view }));
  }
  seek.addEventListener("input", () => dispatch({ type: "seek", ref: Number(seek.value) }));
  ruler.addEventListener("pointerdown", (event) => {
    const { left, width } = ruler.getBoundingClientRect();
    goTo(state.view === "aligned" ? 0 : state.track, (event.clientX - left) / width);
  });
  document.addEventListener("keydown", onKey);
  // A click with the mouse leaves the keyboard to the player, not to the button.
  document.addEventListener("click", (event) => event.detail > 0 && event.target.closest?.("button")?.blur());
  window.addEventListener("hashchange", () => follow(location.hash));
  new ResizeObserver(draw).observe(find("#tracks"));
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", draw);
}
