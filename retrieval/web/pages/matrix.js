// The picture of a similarity matrix: one recording to the right, the other upwards.

import { roundClock } from "./switcher/state.js";
import { decodeBytes } from "./switcher/view.js";

const LEFT = 46;
const BELOW = 40;
const EDGE = 6;
const STEPS = [1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600];
const TICK_WIDTH = 64;
const FLATTEST = 0.45;
const TALLEST = 1.1;
const PART_OF_WINDOW = 0.5;

export class Matrix {
  // `matrix` as the API gives it, drawn into `canvas`; `here` is moved to what is heard.
  constructor(canvas, matrix, durations, names, here) {
    Object.assign(this, { canvas, matrix, durations, names, here });
    this.values = decodeBytes(matrix.values);
    new ResizeObserver(() => this.draw()).observe(canvas.parentElement);
    matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => this.draw());
  }

  draw() {
    const scale = window.devicePixelRatio || 1;
    const width = this.canvas.parentElement.clientWidth;
    const inner = width - LEFT - EDGE;
    if (inner <= 0) return;
    const [one, other] = this.durations;
    const tallest = Math.min(TALLEST * inner, Math.max(PART_OF_WINDOW * window.innerHeight, FLATTEST * inner));
    const tall = Math.round(Math.min(Math.max((other / one) * inner, FLATTEST * inner), tallest));
    this.box = { left: LEFT, top: EDGE, width: inner, height: tall };
    const height = tall + BELOW + EDGE;
    this.canvas.style.height = `${height}px`;
    this.canvas.width = Math.round(width * scale);
    this.canvas.height = Math.round(height * scale);
    const context = this.canvas.getContext("2d");
    context.scale(scale, scale);
    const style = getComputedStyle(this.canvas);
    const colour = (name) => style.getPropertyValue(name).trim();
    this.drawValues(context, rgb(colour("--raised")), rgb(colour("--ink")));
    this.drawPaths(context, colour("--head"));
    this.drawAxes(context, colour("--quiet"), colour("--grid"), style.fontFamily);
    this.mark(this.marked);
  }

  // Seconds of both at a click; null beside the picture.
  placeAt({ clientX, clientY }) {
    const frame = this.canvas.getBoundingClientRect();
    const { left, top, width, height } = this.box;
    const [x, y] = [(clientX - frame.left - left) / width, 1 - (clientY - frame.top - top) / height];
    return x < 0 || x > 1 || y < 0 || y > 1 ? null : [x * this.durations[0], y * this.durations[1]];
  }

  // Show a place, seconds of both; none where null.
  mark(place) {
    this.marked = place ?? null;
    const inside = place && place.every((seconds, side) => seconds >= 0 && seconds <= this.durations[side]);
    this.here.hidden = !(inside && this.box);
    if (this.here.hidden) return;
    this.here.style.left = `${this.x(place[0])}px`;
    this.here.style.top = `${this.y(place[1])}px`;
  }

  x(seconds) {
    return this.box.left + (seconds / this.durations[0]) * this.box.width;
  }

  y(seconds) {
    return this.box.top + (1 - seconds / this.durations[1]) * this.box.height;
  }

  drawValues(context, ground, ink) {
    const { rows, columns, spans } = this.matrix;
    const { left, top, width, height } = this.box;
    context.fillStyle = `rgb(${ground.join(" ")})`;
    context.fillRect(left, top, width, height);
    if (!rows || !columns) return;
    const image = new ImageData(rows, columns);
    for (let row = 0; row < rows; row += 1) {
      for (let column = 0; column < columns; column += 1) {
        const part = this.values[row * columns + column] / 255;
        const at = 4 * ((columns - 1 - column) * rows + row);
        for (let channel = 0; channel < 3; channel += 1) image.data[at + channel] = ground[channel] + part ** 1.5 * (ink[channel] - ground[channel]);
        image.data[at + 3] = 255;
      }
    }
    const small = new OffscreenCanvas(rows, columns);
    small.getContext("2d").putImageData(image, 0, 0);
    const [[start, end], [from, to]] = spans;
    context.save();
    context.beginPath();
    context.rect(left, top, width, height);
    context.clip();
    context.drawImage(small, this.x(start), this.y(to), this.x(end) - this.x(start), this.y(from) - this.y(to));
    context.restore();
  }

  drawPaths(context, colour) {
    context.strokeStyle = colour;
    context.lineWidth = 1.75;
    context.lineJoin = "round";
    for (const path of this.matrix.paths) {
      context.beginPath();
      for (const [one, other] of path) context.lineTo(this.x(one), this.y(other));
      context.stroke();
    }
  }

  drawAxes(context, colour, line, font) {
    const { left, top, width, height } = this.box;
    context.strokeStyle = line;
    context.lineWidth = 1;
    context.strokeRect(left + 0.5, top + 0.5, width - 1, height - 1);
    context.fillStyle = colour;
    context.font = `12px ${font}`;
    const [one, other] = this.durations;
    context.textAlign = "center";
    for (const seconds of ticks(one, width)) context.fillText(roundClock(seconds), this.x(seconds), top + height + 15);
    context.fillText(`${fitting(context, this.names[0], width - 20)} →`, left + width / 2, top + height + 33);
    context.textAlign = "right";
    for (const seconds of ticks(other, height)) context.fillText(roundClock(seconds), left - 6, Math.max(this.y(seconds) + 4, 10));
    context.save();
    context.translate(11, top + height / 2);
    context.rotate(-Math.PI / 2);
    context.textAlign = "center";
    context.fillText(`${fitting(context, this.names[1], height - 20)} →`, 0, 0);
    context.restore();
  }
}

function ticks(duration, pixels) {
  const step = STEPS.find((seconds) => (seconds / duration) * pixels >= TICK_WIDTH) ?? duration;
  return Array.from({ length: Math.floor(duration / step) + 1 }, (_, index) => index * step);
}

function fitting(context, text, width) {
  let shown = text;
  while (shown.length > 1 && context.measureText(`${shown}…`).width > width) shown = shown.slice(0, -1);
  return shown === text ? text : `${shown}…`;
}

// Of "#rrggbb".
function rgb(colour) {
  return [1, 3, 5].map((at) => parseInt(colour.slice(at, at + 2), 16));
}
