// Addresses of the pages, with what they are to show.

const MOST_PLAYED = 9; // as many as the player has keys

export function itemAddress(id) {
  return address("/item", { id });
}

export function workAddress(id) {
  return address("/works", { id });
}

export function searchAddress(id) {
  return address("/", { item: id });
}

// Where two are compared, each by its word; see source.js.
export function compareAddress(a, b) {
  return address("/compare", { a, b });
}

// Where the switcher plays these, each {item}, {upload} or {score}: the first recording is the timeline.
export function switchAddress(played) {
  return address("/switch", played.flatMap((one) => Object.entries(one)));
}

// An item as the switcher plays it.
export function played({ id, kind }) {
  return kind === "score" ? { score: id } : { item: id };
}

// The recordings of a work as the switcher plays them, as many as it can, and a score.
export function playedTogether(recordings, scores) {
  return [...recordings.slice(0, MOST_PLAYED).map(({ id }) => ({ item: id })), ...scores.slice(0, 1).map(({ id }) => ({ score: id }))];
}

function address(path, parts) {
  return `${path}?${new URLSearchParams(parts)}`;
}
