// Sound at another speed, its pitch kept: Signalsmith Stretch (vendor/), which runs in an audio worklet.
//
// A voice at speed 1 has nothing to do with it. At another, the pieces are joined to one stream, which the worklet
// reads at that speed; what it puts out at a moment of the context is the sound at the place that belongs to it.

import { Voice } from "./voice.js";

export const SPEEDS = [0.5, 0.6, 0.7, 0.75, 0.8, 0.9, 1, 1.1, 1.25, 1.5, 1.75, 2];

const PROCESSOR = "signalsmith-stretch";
const CHANNELS = 2;
const SPARE = 2; // one sounds, one begins, and the next round of a loop waits
const LEAD_IN = 0.25; // seconds of sound before its start that the worklet is given, for its first block
const LOOK_AHEAD = 0.15; // seconds of sound that it wants beyond the place; it takes 0.12
const KEPT = 1; // seconds behind the place that it keeps

// The next speed up (by 1) or down (by -1).
export function speedBeside(speed, by) {
  const beside = by > 0 ? SPEEDS.find((other) => other > speed + 1e-6) : SPEEDS.findLast((other) => other < speed - 1e-6);
  return beside ?? speed;
}

// One processor of the worklet, to which methods are called by messages: [number, method, ...arguments], and back
// [number, value].
class Stretch {
  constructor(context) {
    const options = { numberOfInputs: 1, numberOfOutputs: 1, outputChannelCount: [CHANNELS] };
    this.node = new AudioWorkletNode(context, PROCESSOR, options);
    this.asked = 0;
    this.waiting = new Map();
    this.ready = new Promise((resolve, reject) => {
      this.waiting.set("ready", resolve);
      this.node.onprocessorerror = () => reject(new Error("the stretching of sound has failed"));
    });
    this.node.port.onmessage = ({ data: [number, value] }) => {
      this.waiting.get(number)?.(value);
      this.waiting.delete(number);
    };
  }

  // A promise of what it answers.
  ask(method, ...given) {
    const number = (this.asked += 1);
    this.node.port.postMessage([number, method, ...given]);
    return new Promise((resolve) => this.waiting.set(number, resolve));
  }

  // From second `output` of the context on, the sound from second `input` of what it was given, at a rate.
  begin(input, output, rate) {
    this.ask("schedule", { active: true, input, output, rate });
  }

  // Be silent, and forget all.
  clear() {
    this.node.disconnect();
    this.ask("schedule", { active: false });
    this.ask("dropBuffers");
  }
}

// The processors; those that are not used wait for their next voice.
export class Stretches {
  // source: `worklet()` gives the address of the worklet's module.
  constructor(context, source) {
    Object.assign(this, { context, source, spare: [], loading: null });
  }

  // To be awaited before the first voice.
  load() {
    this.loading ??= this.loaded().catch((error) => {
      this.loading = null;
      throw error;
    });
    return this.loading;
  }

  async loaded() {
    if (!this.context.audioWorklet) throw new Error("the browser allows it only with https or on this machine");
    await this.context.audioWorklet.addModule(await this.source.worklet());
    while (this.spare.length < SPARE) await this.add();
  }

  async add() {
    const stretch = new Stretch(this.context);
    await stretch.ready;
    this.spare.push(stretch);
  }

  get any() {
    return this.spare.length > 0;
  }

  // One to use, where there is any; another is made for who wants it next.
  take() {
    const stretch = this.spare.pop();
    if (this.spare.length < SPARE) this.add().catch(() => {});
    return stretch;
  }

  give(stretch) {
    stretch.clear();
    this.spare.push(stretch);
  }
}

export class StretchedVoice extends Voice {
  constructor(context, output, pieces, track, own, start, gain, speed, stretches) {
    super(context, output, pieces, track, own, start, gain);
    Object.assign(this, { speed, stretches, stretch: stretches.take(), base: null, fed: null, tail: null });
    this.stretch.node.connect(this.level);
  }

  ownAt(frame) {
    return this.own + (frame - this.start) * this.speed;
  }

  frameOf(own) {
    return Math.round(this.start + (own - this.own) / this.speed);
  }

  get scheduled() {
    const { model } = this.pieces;
    const [, end] = this.pieces.span(this.track, this.next - 1);
    return this.frameOf(end < model.tracks[this.track].frames ? end - LOOK_AHEAD * this.rate : end);
  }

  schedule(sound, now) {
    const first = this.base === null;
    if (first) this.base = this.fed = Math.round(Math.max(sound.first, this.own - LEAD_IN * this.rate));
    this.feed(sound);
    if (first) this.stretch.begin((this.own - this.base) / this.rate, this.start / this.rate, this.speed);
    else this.stretch.ask("dropBuffers", Math.max((this.ownAt(now) - this.base) / this.rate - KEPT, 0));
  }

  // Give it a piece; the ramped end waits for the ramped beginning of the next.
  feed({ buffer, origin, stop }) {
    const last = stop >= this.pieces.model.tracks[this.track].frames;
    const end = last ? stop : stop - 2 * this.pieces.model.seam_frames;
    const channels = Array.from({ length: buffer.numberOfChannels }, (_, number) => buffer.getChannelData(number));
    const parts = channels.map((samples) => samples.slice(this.fed - origin, end - origin));
    this.tail?.forEach((ramped, number) => ramped.forEach((value, index) => (parts[number][index] += value)));
    this.tail = last ? null : channels.map((samples) => samples.slice(end - origin, stop - origin));
    this.fed = end;
    this.stretch.ask("addBuffers", parts);
  }

  leave(frame) {
    super.leave(frame);
    this.releaseWhenLeft();
  }

  releaseWhenLeft() {
    const left = (this.left - this.context.currentTime * this.rate) / this.rate;
    setTimeout(() => {
      if (this.left === null) return;
      if (this.context.currentTime * this.rate > this.settledAfter(this.left)) this.silence();
      else this.releaseWhenLeft();
    }, Math.max(left, 0.1) * 1000);
  }

  silence() {
    if (!this.stretch) return;
    super.silence();
    this.stretches.give(this.stretch);
    this.stretch = null;
  }
}
