// What is found, in words.

import { itemName } from "./wording.js";

const SAME_TEMPO = 0.002;

// How sure an answer is: a word and a number.
export function sureness({ score, accepted }) {
  if (!accepted) return ["only a guess", percent(score)];
  if (score >= 0.99) return ["almost certain", percent(score)];
  return [score >= 0.9 ? "very likely" : score >= 0.5 ? "likely" : "possible", percent(score)];
}

export function percent(part) {
  if (part > 0.99) return "over 99 %";
  if (part < 0.01) return "under 1 %";
  return `${Math.round(100 * part)} %`;
}

// How what was found differs from the query: in key, by the semitones that would make it sound like the query, and
// in tempo, by its seconds for each of the query's. A score is what is written, so there the query differs from it.
export function differences({ transposition, tempo_ratio: ratio }, kind = "recording") {
  const written = kind === "score";
  const told = [pitch(written ? transposition : -transposition), speed(written ? ratio : 1 / ratio)].filter(Boolean);
  return written ? told.map((text) => `played ${text} than written`) : told;
}

function pitch(semitones) {
  if (!semitones) return "";
  const size = Math.abs(semitones);
  const named = { 1: "a semitone", 12: "an octave", 24: "two octaves" }[size] ?? `${size} semitones`;
  return `${named} ${semitones > 0 ? "higher" : "lower"}`;
}

function speed(times) {
  if (!Number.isFinite(times) || times <= 0 || Math.abs(times - 1) <= SAME_TEMPO) return "";
  if (times >= 2 || times <= 0.5) return `${Math.max(times, 1 / times).toFixed(1)} times ${times > 1 ? "faster" : "slower"}`;
  const change = 100 * Math.abs(times - 1);
  return `${change.toFixed(change < 1.95 ? 1 : 0)} % ${times > 1 ? "faster" : "slower"}`;
}

// What a work is called; nothing where it has only an id.
export function workLabel(work) {
  return /^w[0-9a-f]{12}$/.test(work ?? "") ? "" : (work ?? "");
}

// The name of its file, where its title is another.
export function fileBeside(title, file) {
  return itemName({ path: file }) === title ? "" : file;
}

// Hits, with one for each recording or score: its best, with the places of the others.
export function gathered(hits) {
  const found = new Map();
  for (const hit of hits) {
    const best = found.get(hit.id);
    found.set(hit.id, best ? { ...best, places: [...best.places, ...hit.places] } : hit);
  }
  return [...found.values()];
}

// What several are called so that they can be told apart: by their titles, or by their files where titles are alike.
export function apart(several) {
  const alike = new Set(several.map(({ title }) => title)).size < several.length;
  return several.map((one) => ({ ...one, title: alike ? one.file : one.title }));
}

// With a capital.
export function sentence(text) {
  return text.charAt(0).toUpperCase() + text.slice(1);
}
