// How things are said on the pages: names of items and works, lengths, counts.

import { clock } from "./switcher/state.js";

export function fileName(path) {
  return path.slice(path.lastIndexOf("/") + 1) || path;
}

export function folderOf(path) {
  return path.slice(0, path.lastIndexOf("/")) || "/";
}

// A file's suffix with its dot, in lower case; empty where it has none.
export function suffixOf(path) {
  return (/[^.](\.[^.]+)$/.exec(fileName(path))?.[1] ?? "").toLowerCase();
}

// The title of an item, or its file's name without its suffix where it has none.
export function itemName({ title, path }) {
  const name = fileName(path);
  return title || name.slice(0, name.length - suffixOf(path).length);
}

// A work's name; for one that has none, what most of its items are called, or the first.
export function workName({ name, recordings, scores }) {
  if (name) return name;
  const items = [...recordings, ...scores];
  const titled = items.filter(({ title }) => title);
  const times = new Map();
  for (const title of (titled.length ? titled : items).map(itemName)) times.set(title, (times.get(title) ?? 0) + 1);
  return [...times].sort((a, b) => b[1] - a[1])[0][0];
}

// Who plays or wrote it; where that is not known, its file with the folder that it lies in.
export function itemCredit({ artist, path }) {
  return artist || `${fileName(folderOf(path))}/${fileName(path)}`;
}

// Minutes and whole seconds.
export function length(seconds) {
  return clock(Math.round(seconds)).slice(0, -2);
}

export function number(count) {
  return count.toLocaleString("en");
}

// "1 score", "2,000 scores".
export function counted(count, one, several = `${one}s`) {
  return `${number(count)} ${count === 1 ? one : several}`;
}

// Those that are true or have something to say, with dots between.
export function dotted(...parts) {
  return parts.filter(Boolean).join(" · ");
}

// What came of taking files in, in a line.
export function indexSummary({ added, updated, unchanged, moved, missing, skipped, failed }) {
  const parts = [
    [added, "added"],
    [updated, "updated"],
    [unchanged, "unchanged"],
    [moved, "moved"],
    [missing, "gone"],
    [skipped, "passed over"],
    [failed.length, "failed"],
  ];
  const told = parts.filter(([count]) => count).map(([count, word]) => `${number(count)} ${word}`);
  return told.join(", ") || "Nothing to take in";
}
