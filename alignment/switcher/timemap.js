// Which time of one performance is which time of another: the segments of an alignment, read in both directions.
//
// Between the points of a match the map is linear. The rules at the edges are those of `carry_times` in
// alignment/carrying.py: up to SLIVER seconds beyond a match its end still counts, unless that is known to stand
// alone; where one match ends and the next begins at the same time, the next is taken.

const SLIVER = 0.1;
const ROUNDING = 1e-6;

export class TimeMap {
  // segments: as in the JSON of `incipit align`; lengths of both sides in seconds.
  constructor(segments, refDuration, otherDuration) {
    const matches = segments
      .filter((segment) => segment.kind === "match" && segment.warping_path.length > 0)
      .map((segment) => ({
        ref: Float64Array.from(segment.warping_path, (point) => point[0]),
        other: Float64Array.from(segment.warping_path, (point) => point[1]),
      }));
    this.refDuration = refDuration;
    this.otherDuration = otherDuration;
    // [start, end] in seconds of the reference that the other leaves out, and the other way round.
    this.lacking = spans(segments, "only_ref", "ref");
    this.extra = spans(segments, "only_other", "other");
    this.byRef = [...matches].sort((a, b) => a.ref[0] - b.ref[0]);
    this.byOther = [...matches].sort((a, b) => a.other[0] - b.other[0]);
  }

  static identity(duration) {
    const path = [[0, 0], [duration, duration]];
    return new TimeMap([{ kind: "match", warping_path: path }], duration, duration);
  }

  // Seconds of the other at seconds of the reference; null where it has nothing.
  toOther(seconds) {
    return carried(seconds, this.byRef, "ref", "other", this.lacking);
  }

  // Seconds of the reference at seconds of the other; null where it has nothing.
  toRef(seconds) {
    return carried(seconds, this.byOther, "other", "ref", this.extra);
  }

  // The first place at or after these seconds of the reference that the other has; null where there is none.
  next(seconds) {
    const other = this.toOther(seconds);
    if (other !== null) return { ref: seconds, other };
    const match = this.byRef.find((path) => path.ref[0] >= seconds);
    return match ? { ref: match.ref[0], other: match.other[0] } : null;
  }

  // The last place at or before these seconds of the reference that the other has; null where there is none.
  previous(seconds) {
    const other = this.toOther(seconds);
    if (other !== null) return { ref: seconds, other };
    const match = this.byRef.findLast((path) => path.ref.at(-1) <= seconds);
    return match ? { ref: match.ref.at(-1), other: match.other.at(-1) } : null;
  }

  // The place on the reference's timeline at seconds of the other. In what only the other has it is where the
  // match before it ends (`shared` is then false).
  place(seconds) {
    const ref = this.toRef(seconds);
    if (ref !== null) return { ref, shared: true };
    const before = this.byOther.findLast((path) => path.other.at(-1) <= seconds + SLIVER);
    return { ref: before ? before.ref.at(-1) : this.byOther.length ? this.byOther[0].ref[0] : 0, shared: false };
  }

  // What of the reference is passed over while the other goes on from one of its seconds to a later one: [start, end].
  passedOver(from, to) {
    for (let number = 1; number < this.byOther.length; number += 1) {
      const [before, after] = [this.byOther[number - 1], this.byOther[number]];
      if (after.other[0] > from && after.other[0] <= to) {
        const gap = [before.ref.at(-1), after.ref[0]];
        if (this.lacking.some((span) => span[0] < gap[1] - SLIVER && span[1] > gap[0] + SLIVER)) return gap;
      }
    }
    return null;
  }
}

function spans(segments, kind, side) {
  return segments.filter((segment) => segment.kind === kind).map((segment) => [...segment[side]]).sort((a, b) => a[0] - b[0]);
}

function carried(seconds, paths, from, to, alone) {
  let near = null;
  let inside = null;
  const stands = alone.some((span) => seconds > span[0] && seconds < span[1]);
  for (const path of paths) {
    const [first, last] = [path[from][0], path[from].at(-1)];
    if (seconds >= first - ROUNDING && seconds <= last + ROUNDING) inside = path;
    else if (!stands && seconds >= first - SLIVER && seconds <= last + SLIVER) near = path;
  }
  const path = inside ?? near;
  return path && interpolated(seconds, path[from], path[to]);
}

// Linear interpolation, constant beyond the ends.
function interpolated(at, x, y) {
  if (at <= x[0]) return y[0];
  if (at >= x.at(-1)) return y.at(-1);
  let [low, high] = [0, x.length - 1];
  while (high - low > 1) {
    const middle = (low + high) >> 1;
    if (x[middle] <= at) low = middle;
    else high = middle;
  }
  return y[low] + ((at - x[low]) / (x[high] - x[low])) * (y[high] - y[low]);
}
