// What the page shows and plays, without any of the page: a reducer over plain objects.
//
// The truth of the place is the track that sounds and its own seconds; where that is on the common timeline (the
// reference's) is computed by the time maps. `jump` counts the changes after which sound has to be started anew.

import { TimeMap } from "./timemap.js";

const STEP_END = 0.25; // seconds from its end at which a track can still be started
const SHORTEST_LOOP = 0.1;
const [SLOWEST, FASTEST] = [0.5, 2];

// What never changes: the tracks with their maps. `data` is the document that the page holds.
export function createModel(data) {
  const duration = data.tracks[0].duration;
  const tracks = data.tracks.map((track, number) => ({
    ...track,
    map: number ? new TimeMap(track.segments, duration, track.duration) : TimeMap.identity(duration),
  }));
  return { ...data, duration, tracks };
}

export function initialState() {
  return {
    track: 0,
    own: 0,
    playing: false,
    speed: 1,
    jump: 0,
    loop: { a: null, b: null, on: false },
    markers: [],
    view: "aligned",
    follow: true, // whether the pages of a score turn with the music
    note: "",
    notes: 0, // counts what was told, so that the same text twice is told twice
  };
}

// Seconds on the common timeline, and whether the reference has what sounds.
export function placeOf(state, model) {
  return model.tracks[state.track].map.place(state.own);
}

// Start and end of the loop in own seconds of a track; null where there is none in it.
export function loopIn(state, model, track = state.track) {
  const { a, b, on } = state.loop;
  if (!on || a === null || b === null) return null;
  const map = model.tracks[track].map;
  const [start, end] = [map.next(a), map.previous(b)];
  if (!start || !end || start.ref >= b) return null;
  if (end.other - start.other >= SHORTEST_LOOP) return [start.other, end.other];
  const match = map.byRef.find((path) => start.ref >= path.ref[0] && start.ref <= path.ref.at(-1));
  return match && match.other.at(-1) - start.other >= SHORTEST_LOOP ? [start.other, match.other.at(-1)] : null;
}

const actions = {
  play: (state) => (state.playing ? state : jumped({ ...state, playing: true })),
  pause: (state) => (state.playing ? jumped({ ...state, playing: false }) : state),
  toggle: (state, action, model) => actions[state.playing ? "pause" : "play"](state, action, model),
  ended: (state) => jumped({ ...state, playing: false, own: 0 }),

  // What the player tells while it plays: {track, own}.
  place(state, { track, own }, model) {
    if (track !== state.track || own === state.own) return state;
    const next = { ...state, own };
    if (own <= state.own || own - state.own > 2 * state.speed) return next;
    const passed = model.tracks[track].map.passedOver(state.own, own);
    return passed ? told(next, `${model.tracks[track].name} leaves out ${spanText(passed)}`) : next;
  },

  // To a place on the common timeline: {ref}.
  seek(state, { ref }, model) {
    const wanted = clamped(ref, 0, model.duration);
    const found = landing(model.tracks[state.track], wanted);
    if (!found) return told(state, `${model.tracks[state.track].name} has nothing from ${clock(wanted)} on`);
    const next = jumped({ ...state, own: found.other });
    return found.ref - wanted > SHORTEST_LOOP ? told(next, leftOut(model.tracks[state.track], wanted, found.ref)) : next;
  },

  // To seconds of one track, which then sounds: {track, own}.
  own(state, { track, own }, model) {
    return jumped({ ...state, track, own: clamped(own, 0, model.tracks[track].duration - STEP_END) });
  },

  step(state, { seconds }, model) {
    return actions.own(state, { track: state.track, own: state.own + seconds }, model);
  },

  // How fast it plays: {speed}. The place stays.
  speed(state, { speed }) {
    const wanted = clamped(speed, SLOWEST, FASTEST);
    if (wanted === state.speed) return state;
    const next = told({ ...state, speed: wanted }, `Speed ${wanted}`);
    return state.playing ? jumped(next) : next;
  },

  // The same musical place in another track: {track}.
  switch(state, { track }, model) {
    if (track === state.track || track < 0 || track >= model.tracks.length) return state;
    const { ref } = placeOf(state, model);
    const found = landing(model.tracks[track], ref);
    if (!found) return told(state, `${model.tracks[track].name} has nothing from ${clock(ref)} on`);
    const next = jumped({ ...state, track, own: found.other });
    return found.ref - ref > SHORTEST_LOOP ? told(next, leftOut(model.tracks[track], ref, found.ref)) : next;
  },

  loopA(state, action, model) {
    const a = action.ref ?? placeOf(state, model).ref;
    const b = state.loop.b !== null && state.loop.b - a >= SHORTEST_LOOP ? state.loop.b : null;
    return looped(state, { a, b, on: b !== null && state.loop.on }, `Loop starts at ${clock(a)}`);
  },

  // With an end set, the loop is on, and goes back to its start; without a start it starts at the beginning.
  loopB(state, action, model) {
    const b = action.ref ?? placeOf(state, model).ref;
    const a = state.loop.a !== null && b - state.loop.a >= SHORTEST_LOOP ? state.loop.a : 0;
    if (b - a < SHORTEST_LOOP) return state;
    return intoLoop(looped(state, { a, b, on: true }, `Loop ${spanText([a, b])}`), model);
  },

  loop(state, action, model) {
    const { a, b, on } = state.loop;
    if (a === null || b === null) return told(state, "Set the loop's start with A and its end with B");
    if (on) return looped(state, { a, b, on: false }, "Loop off");
    return intoLoop(looped(state, { a, b, on: true }, `Loop ${spanText([a, b])}`), model);
  },

  loopClear: (state) => looped(state, { a: null, b: null, on: false }, "Loop removed"),

  mark(state, action, model) {
    const t = action.ref ?? placeOf(state, model).ref;
    const id = 1 + Math.max(0, ...state.markers.map((marker) => marker.id));
    return told({ ...state, markers: inOrder([...state.markers, { id, t, text: action.text ?? "" }]) }, `Marker at ${clock(t)}`);
  },

  note(state, { id, text }) {
    return { ...state, markers: state.markers.map((marker) => (marker.id === id ? { ...marker, text } : marker)) };
  },

  unmark: (state, { id }) => told({ ...state, markers: state.markers.filter((marker) => marker.id !== id) }, "Marker removed"),

  // Markers as they were kept; what is not one is left out.
  markers(state, { markers }, model) {
    const known = (Array.isArray(markers) ? markers : []).filter(
      (marker) => Number.isFinite(marker?.t) && marker.t >= 0 && marker.t <= model.duration && Number.isInteger(marker.id),
    );
    return { ...state, markers: inOrder(known.map(({ id, t, text }) => ({ id, t, text: String(text ?? "") }))) };
  },

  view: (state, { view }) => ({ ...state, view }),
  follow: (state, { follow }) => ({ ...state, follow }),
  tell: (state, { text }) => told(state, text),
};

export function reduce(state, action, model) {
  return actions[action.type](state, action, model);
}

// A place as in a link, "t=12.3&track=2" (tracks count from 1); null where it is none.
export function parseFragment(text, model) {
  const given = new URLSearchParams(text.replace(/^#/, ""));
  const t = given.get("t") ? Number(given.get("t")) : NaN;
  const track = Number(given.get("track") ?? 1) - 1;
  if (!Number.isFinite(t) || t < 0 || t > model.duration || !(track in model.tracks)) return null;
  return { ref: t, track };
}

export function fragment(state, model) {
  return `#t=${placeOf(state, model).ref.toFixed(1)}&track=${state.track + 1}`;
}

export function clock(seconds) {
  const tenths = Math.max(0, Math.round(seconds * 10));
  const [hours, minutes, rest] = [Math.floor(tenths / 36000), Math.floor(tenths / 600) % 60, (tenths % 600) / 10];
  const tail = rest.toFixed(1).padStart(4, "0");
  return hours ? `${hours}:${String(minutes).padStart(2, "0")}:${tail}` : `${minutes}:${tail}`;
}

// Likewise, in whole seconds.
export function roundClock(seconds) {
  return clock(Math.round(seconds)).slice(0, -2);
}

function landing(track, ref) {
  const found = track.map.next(ref);
  return found && { ...found, other: clamped(found.other, 0, track.duration - STEP_END) };
}

function leftOut(track, from, to) {
  return `${track.name} leaves out ${spanText([from, to])}: on at ${clock(to)}`;
}

// What sounds is not interrupted: the player asks for the loop when it plans ahead.
function looped(state, loop, text) {
  return told({ ...state, loop }, text);
}

// To the start of the loop, unless already inside.
function intoLoop(state, model) {
  const span = loopIn(state, model);
  const inside = span && state.own >= span[0] && state.own < span[1] - SHORTEST_LOOP;
  return !span || inside ? state : jumped({ ...state, own: span[0] });
}

function jumped(state) {
  return { ...state, jump: state.jump + 1 };
}

function told(state, note) {
  return { ...state, note, notes: state.notes + 1 };
}

function inOrder(markers) {
  return [...markers].sort((a, b) => a.t - b.t || a.id - b.id);
}

function spanText([start, end]) {
  return end > start ? `${clock(start)} to ${clock(end)}` : `from ${clock(start)}`;
}

function clamped(value, low, high) {
  return Math.min(Math.max(value, low), Math.max(low, high));
}
