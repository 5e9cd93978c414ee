// Numbers, lengths and findings in words.

const SAME_TEMPO = 0.002;

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

// With a capital.
export function sentence(text) {
  return text.charAt(0).toUpperCase() + text.slice(1);
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
