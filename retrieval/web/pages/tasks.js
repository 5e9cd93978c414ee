// What can be asked of a clip, and the words for it.

import { counted } from "./wording.js";

const IN_ANY_KEY = ["any_key", "also in other keys"];
const IN_ANY_RHYTHM = ["any_rhythm", "also in other rhythms"];

export const TASKS = {
  identify: {
    of: ["recording"],
    title: ({ source }) => (source.item ? "Same sound" : "What is it?"),
    about: "The very recording, by its sound.",
    lacking: "recordings",
    found: (number, { source }) => (source.item ? `${counted(number, "other")} of the same sound.` : number === 1 ? "It is this recording." : `It is one of ${number} recordings.`),
    none: ({ source }) => (source.item ? "No other recording of the library has the same sound." : "It is none of the recordings of the library."),
    ways: () => [],
  },
  match: {
    of: ["recording", "score"],
    title: ({ kind }) => (kind === "score" ? "Where is it played?" : "Where else?"),
    about: "Every place at which this passage is played, in any performance.",
    lacking: "recordings",
    found: (number, clip) => `The passage is played in ${counted(number, `${other(clip)}recording`)}.`,
    none: (clip) => `The passage is played in no ${other(clip)}recording of the library.`,
    ways: () => [IN_ANY_KEY],
  },
  versions: {
    of: ["recording", "score"],
    title: () => "Versions",
    about: "Other performances and arrangements of the work, in any key.",
    lacking: "recordings",
    found: (number) => `${counted(number, "recording is", "recordings are")} of the same work.`,
    none: () => "No other recording of the library is known to be of the same work.",
    ways: () => [],
  },
  scores: {
    of: ["recording", "score"],
    title: ({ kind }) => (kind === "score" ? "In scores" : "Score"),
    about: "Scores that have this music, with measure and beat.",
    lacking: "scores",
    found: (number) => (number === 1 ? "It is in this score." : `It is in ${number} scores.`),
    none: () => "It is in no score of the library.",
    ways: ({ kind }) => (kind === "score" ? [IN_ANY_KEY, IN_ANY_RHYTHM] : [IN_ANY_KEY]),
  },
};

function other({ source, kind }) {
  return source.item && kind === "recording" ? "other " : "";
}

export function tasksOf(kind) {
  return Object.keys(TASKS).filter((name) => TASKS[name].of.includes(kind));
}
