// Corresponding seconds of two recordings, as points [one, other] of which neither ever falls.

// The other's seconds at seconds of the one; beyond the ends as fast as between them.
export function carried(points, seconds) {
  const [first, last] = [points[0], points.at(-1)];
  if (seconds <= first[0]) return first[1] + (seconds - first[0]) * slope(points);
  if (seconds >= last[0]) return last[1] + (seconds - last[0]) * slope(points);
  const after = points.findIndex(([one]) => one > seconds);
  const [[one, other], [nextOne, nextOther]] = [points[after - 1], points[after]];
  return other + ((seconds - one) / (nextOne - one)) * (nextOther - other);
}

export function turned(points) {
  return points.map(([one, other]) => [other, one]);
}

// A line of that slope through a point.
export function through([one, other], rise = 1) {
  return [[one, other], [one + 1, other + rise]];
}

// What steps from cell to cell of a matrix, without its steps: the mean of the points in every so many seconds.
export function smoothed(points, seconds) {
  const groups = new Map();
  for (const point of points) {
    const group = Math.floor((point[0] + point[1]) / (2 * seconds));
    groups.set(group, [...(groups.get(group) ?? []), point]);
  }
  const means = [...groups.values()].map((group) => [0, 1].map((side) => group.reduce((sum, point) => sum + point[side], 0) / group.length));
  return means.length > 1 ? means : [points[0], points.at(-1)];
}

// The line nearest to a point and how far it is from it, in seconds of the other; null where none reaches there.
export function nearest(lines, [one, other]) {
  const away = lines
    .filter((line) => line[0][0] <= one && one <= line.at(-1)[0])
    .map((line) => ({ line, distance: Math.abs(carried(line, one) - other) }));
  return away.sort((a, b) => a.distance - b.distance)[0] ?? null;
}

function slope(points) {
  const [first, last] = [points[0], points.at(-1)];
  return last[0] > first[0] ? (last[1] - first[1]) / (last[0] - first[0]) : 1;
}
