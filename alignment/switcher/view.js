// What is drawn: waveforms with tempo curves along the common timeline, or each along its own time.

import { clock } from "./state.js";

const TEMPO_HEIGHT = 0.27; // of the strip
const TICKS = [1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 1800, 3600];
const TICK_PIXELS = 80;

// Seconds to a part of the strip's width, for one view of one track.
export class Axis {
  constructor(model, view, track) {
    this.map = model.tracks[track].map;
    this.aligned = view === "aligned";
    this.length = this.aligned ? model.duration : Math.max(...model.tracks.map((entry) => entry.duration));
    this.own = model.tracks[track].duration;
  }

  // Part of the width of own seconds of the track.
  ofOwn(own) {
    return (this.aligned ? this.map.place(own).ref : own) / this.length;
  }

  // Part of the width of a place of the common timeline; null where the track has nothing.
  ofRef(ref) {
    if (this.aligned) return ref / this.length;
    const own = this.map.toOther(ref);
    return own === null ? null : own / this.length;
  }

  // Own seconds at a part of the width; null where there is nothing.
  toOwn(part) {
    const seconds = part * this.length;
    if (this.aligned) return this.map.toOther(seconds);
    return seconds <= this.own ? seconds : null;
  }

  // [start, end] parts of the width where this track stands alone: what it lacks, or what only it has.
  get alone() {
    return (this.aligned ? this.map.lacking : this.map.extra).map((span) => span.map((seconds) => seconds / this.length));
  }
}

export function decodeBytes(base64) {
  return Uint8Array.from(atob(base64), (letter) => letter.charCodeAt(0));
}

function fitted(canvas) {
  const scale = window.devicePixelRatio || 1;
  const { width, height } = canvas.getBoundingClientRect();
  canvas.width = Math.round(width * scale);
  canvas.height = Math.round(height * scale);
  const context = canvas.getContext("2d");
  context.scale(scale, scale);
  context.clearRect(0, 0, width, height);
  return { context, width, height };
}

function colours(element) {
  const style = getComputedStyle(element);
  return (name) => style.getPropertyValue(name).trim();
}

// Draw the strip of a track: envelope and loudness (both 0 to 255), hatching, tempo curve.
export function drawStrip(canvas, track, axis, tempo) {
  const { context, width, height } = fitted(canvas);
  if (!width) return;
  const colour = colours(canvas);
  const wave = height * (1 - TEMPO_HEIGHT);
  hatch(context, axis.alone, width, height, colour(axis.aligned ? "--hatch" : "--extra"));
  const columns = Math.ceil(width);
  for (const [values, paint] of [[track.envelope, colour("--wave")], [track.body, colour("--wave-body")]]) {
    context.fillStyle = paint;
    for (let x = 0; x < columns; x += 1) {
      const tall = (louder(values, axis, x / width, (x + 1) / width, track) / 255) * (wave / 2 - 2);
      if (tall > 0) context.fillRect(x, wave / 2 - Math.max(tall, 0.5), 1, 2 * Math.max(tall, 0.5));
    }
  }
  drawTempo(context, track, axis, tempo, wave, width, height, colour);
}

// The greatest value between two parts of the width; 0 where there is nothing.
function louder(values, axis, from, to, track) {
  const [start, end] = [axis.toOwn(from), axis.toOwn(to)];
  if (start === null && end === null) return 0;
  const bins = [start ?? end, end ?? start].map((own) => Math.floor((own / track.duration) * values.length));
  let [low, high] = [Math.max(Math.min(...bins), 0), Math.max(...bins)];
  if (high - low > values.length / 20) high = low; // the two sides of a cut
  let most = 0;
  for (let bin = low; bin <= high && bin < values.length; bin += 1) most = Math.max(most, values[bin]);
  return most;
}

function hatch(context, spans, width, height, colour) {
  for (const [start, end] of spans) {
    const [left, right] = [start * width, end * width];
    context.save();
    context.beginPath();
    context.rect(left, 0, Math.max(right - left, 1), height);
    context.clip();
    context.strokeStyle = colour;
    context.lineWidth = 1.5;
    context.beginPath();
    for (let x = left - height; x < right; x += 7) {
      context.moveTo(x, height);
      context.lineTo(x + height, 0);
    }
    context.stroke();
    context.restore();
  }
}

// Speed against the mean of all that play here, up is faster; the line in the middle is the mean.
function drawTempo(context, track, axis, { step, range }, top, width, height, colour) {
  const middle = (top + height) / 2 + 1;
  const reach = (height - top) / 2 - 3;
  context.strokeStyle = colour("--grid");
  context.lineWidth = 1;
  context.beginPath();
  context.moveTo(0, middle);
  context.lineTo(width, middle);
  context.stroke();
  context.strokeStyle = colour("--tempo");
  context.lineWidth = 1.5;
  context.lineJoin = "round";
  context.beginPath();
  let drawing = false;
  track.tempo.forEach((speed, index) => {
    const part = speed === null ? null : axis.ofRef(index * step);
    if (part === null) {
      drawing = false;
      return;
    }
    const y = middle - Math.max(-1, Math.min(1, Math.log2(speed) / range)) * reach;
    if (drawing) context.lineTo(part * width, y);
    else context.moveTo(part * width, y);
    drawing = true;
  });
  context.stroke();
}

// How far from the mean the tempo curves are drawn, as a logarithm to base 2: what nine tenths of them need, and half.
export function tempoRange(tracks) {
  const speeds = tracks.flatMap((track) => track.tempo.filter((speed) => speed !== null));
  const sizes = speeds.map((speed) => Math.abs(Math.log2(speed))).sort((a, b) => a - b);
  const most = 1.5 * (sizes[Math.floor(sizes.length * 0.9)] ?? 0);
  return Math.min(Math.max(most, Math.log2(1.1)), 1);
}

export function drawRuler(canvas, length) {
  const { context, width, height } = fitted(canvas);
  if (!width) return;
  const colour = colours(canvas);
  const step = TICKS.find((seconds) => (seconds / length) * width >= TICK_PIXELS) ?? TICKS.at(-1);
  context.fillStyle = colour("--quiet");
  context.strokeStyle = colour("--grid");
  context.font = `11px ${getComputedStyle(canvas).fontFamily}`;
  context.textBaseline = "middle";
  context.beginPath();
  for (let seconds = 0; seconds <= length; seconds += step) {
    const x = Math.round((seconds / length) * width) + 0.5;
    context.moveTo(x, height - 7);
    context.lineTo(x, height);
    const text = clock(seconds).replace(/\.0$/, "");
    const wide = context.measureText(text).width;
    if (x + wide + 4 < width) context.fillText(text, x + 4, height / 2);
  }
  context.stroke();
}
