// Hits, with one for each recording or score: its best, with the places of the others.
export function gathered(hits) {
  const found = new Map();
  for (const hit of hits) {
    const best = found.get(hit.id);
    found.set(hit.id, best ? { ...best, places: [...best.places, ...hit.places] } : hit);
  }
  return [...found.values()];
}
