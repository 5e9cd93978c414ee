// The sound: pieces of the tracks around the place, decoded, and played without a seam.
//
// All times here are whole frames (samples) of the context, which runs at the rate of the pieces, so that nothing
// is resampled. A piece holds some more on either side than its share; neighbours are faded into each other over
// 2 * seam frames by ramps that add up to one, since two encodings of the same sound differ a little.

import { StretchedVoice, Stretches } from "./speed.js";
import { Voice } from "./voice.js";

const LEAD = 0.005; // seconds from a command to the sound it starts, beside what the device takes in one go
const STRETCH_LEAD = 0.08; // likewise at another speed than 1, so that its beginning is not soft
const PLAN_AHEAD = 3; // seconds before a loop's end at which its next round is scheduled
const AGAIN_MS = 3000; // until a piece that could not be had is asked for again
const READ_AHEAD = 5; // seconds before the end of a piece at which the next of the silent tracks is decoded

// Decoded pieces by track and number; those that are not wanted any more are let go.
export class Pieces {
  // source: gives the bytes of a piece, as Ogg Opus.
  constructor(context, model, source) {
    this.context = context;
    this.model = model;
    this.source = source;
    this.held = new Map();
  }

  // [first, end) in frames of the track.
  span(track, number) {
    const { piece_frames: length } = this.model;
    return [number * length, Math.min((number + 1) * length, this.model.tracks[track].frames)];
  }

  at(track, frame) {
    const last = Math.ceil(this.model.tracks[track].frames / this.model.piece_frames) - 1;
    return Math.min(Math.max(Math.floor(frame / this.model.piece_frames), 0), last);
  }

  ready(track, number) {
    return this.held.get(`${track}:${number}`)?.sound ?? null;
  }

  // A promise of {buffer, origin, first, stop}: the buffer begins at the track's frame `origin`; of it are to be
  // played the frames from `first` to `stop`, whose ends are ramped.
  get(track, number) {
    const key = `${track}:${number}`;
    if (!this.held.has(key)) {
      const entry = { sound: null, promise: null };
      entry.promise = this.decode(track, number).then(
        (sound) => (entry.sound = sound),
        (error) => {
          setTimeout(() => this.held.delete(key), AGAIN_MS);
          throw error;
        },
      );
      this.held.set(key, entry);
    }
    return this.held.get(key).promise;
  }

  // Let go of all that are decoded but these, [track, number].
  keep(wanted) {
    const keys = new Set(wanted.map(([track, number]) => `${track}:${number}`));
    for (const [key, entry] of this.held) if (!keys.has(key) && entry.sound) this.held.delete(key);
  }

  async decode(track, number) {
    const { margin_frames: margin, seam_frames: seam } = this.model;
    const { frames } = this.model.tracks[track];
    const [start, end] = this.span(track, number);
    const bytes = await this.source.piece(this.model.tracks[track].file, number);
    const decoded = await this.context.decodeAudioData(bytes);
    const held = [Math.max(start - margin, 0), Math.min(end + margin, frames)];
    // A decoder that keeps what the encoder put before the first sample gives so much more.
    const delay = Math.max(0, decoded.length - (held[1] - held[0]));
    const [first, stop] = [Math.max(start - seam, 0), Math.min(end + seam, frames)];
    const origin = held[0] - delay;
    for (let channel = 0; channel < decoded.numberOfChannels; channel += 1) {
      const samples = decoded.getChannelData(channel);
      if (first > 0) ramp(samples, first - origin, 2 * seam, 1);
      if (stop < frames) ramp(samples, stop - origin - 2 * seam, 2 * seam, -1);
    }
    return { buffer: decoded, origin, first, stop };
  }
}

function ramp(samples, from, length, direction) {
  for (let index = 0; index < length; index += 1) {
    const part = (index + 0.5) / length;
    samples[from + index] *= direction > 0 ? part : 1 - part;
  }
}

export class Player {
  // loop: gives [start, end] in seconds of a track, or null; the others are called when it happens.
  constructor(context, model, source, { loop, ended, failed, waiting }) {
    Object.assign(this, { context, model, loop, ended, failed, waiting });
    this.pieces = new Pieces(context, model, source);
    this.stretches = new Stretches(context, source); // to be loaded before another speed than 1 is set
    this.speed = 1;
    this.output = context.createGain();
    this.output.connect(context.destination);
    this.voice = null;
    this.left = null; // the voice before
    this.planned = null;
    this.serial = 0;
    this.pending = false; // whether a start waits for its piece; what sounds meanwhile is of no account
    this.started = null; // the last start: track, own and frame of the context, milliseconds since it was asked for
  }

  get rate() {
    return this.model.rate;
  }

  get now() {
    return Math.round(this.context.currentTime * this.rate);
  }

  // What is heard at this moment; null while nothing plays.
  place() {
    if (!this.voice || this.pending) return null;
    const heard = this.now - Math.round((this.context.outputLatency || 0) * this.rate);
    return { track: this.voice.track, own: Math.max(this.voice.ownAt(Math.max(heard, this.voice.start)), 0) / this.rate };
  }

  // The frame at which what is asked for now can begin.
  nextStart() {
    const lead = (this.speed === 1 ? LEAD : STRETCH_LEAD) + Math.max(this.context.baseLatency || 0, LEAD);
    return Math.max(this.now + Math.ceil(lead * this.rate), this.voice?.settled ?? 0);
  }

  // Play a track, cross-faded from what sounds. `where` gives the own seconds to start at, from the own seconds at
  // which the track that sounds will be at that moment (null where none does); it is asked again after waiting.
  async start(track, where) {
    const serial = (this.serial += 1);
    const asked = performance.now();
    this.pending = true;
    if (this.context.state !== "running") await this.context.resume();
    while (serial === this.serial) {
      const start = this.nextStart();
      const own = Math.round(where(this.voice && this.voice.ownAt(start) / this.rate) * this.rate);
      const number = this.pieces.at(track, own);
      if (this.speed !== 1 && !this.stretches.any) {
        await this.had(this.stretches.add(), serial);
      } else if (this.pieces.ready(track, number)) {
        this.pending = false;
        this.begin(track, own, start);
        this.started = { track, own, start, wait: performance.now() - asked + ((start - this.now) / this.rate) * 1000 };
        return;
      } else {
        await this.had(this.pieces.get(track, number), serial);
      }
    }
  }

  // Wait for what a start wants; without it nothing plays.
  async had(wanted, serial) {
    this.waiting(true);
    try {
      await wanted;
    } catch (error) {
      if (serial !== this.serial) return;
      this.stop();
      this.failed(error);
    } finally {
      this.waiting(false);
    }
  }

  begin(track, own, start) {
    this.unplan();
    const voice = this.voiceAt(track, own, start);
    this.voice?.leave(start);
    this.left = this.voice;
    this.voice = voice;
    this.pump();
  }

  stop() {
    this.serial += 1;
    this.pending = false;
    this.unplan();
    this.quit();
  }

  // Without another that begins.
  quit() {
    this.voice?.leave(this.nextStart());
    this.voice = null;
  }

  voiceAt(track, frame, start) {
    const gain = 10 ** (this.model.tracks[track].gain / 20);
    const parts = [this.context, this.output, this.pieces, track, frame, start, gain];
    const voice = this.speed === 1 ? new Voice(...parts) : new StretchedVoice(...parts, this.speed, this.stretches);
    voice.fill(this.now, start + PLAN_AHEAD * this.rate);
    return voice;
  }

  unplan() {
    if (!this.planned) return;
    this.planned.voice.silence();
    if (this.planned.voice.start > this.now) this.voice?.stay();
    this.planned = null;
  }

  // To be called some times a second: schedules what comes, starts rounds of the loop, tells of the end.
  pump() {
    const voice = this.voice;
    if (!voice) return;
    if (this.planned && this.now >= this.planned.voice.start) {
      this.voice = this.planned.voice;
      this.planned = null;
      return;
    }
    voice.fill(this.now, this.now + this.model.piece_frames);
    this.planLoop(voice);
    if (this.now >= voice.end) {
      this.quit();
      this.ended();
    } else if (!this.planned && voice.scheduled < Math.min(this.now + LEAD * this.rate, voice.end)) {
      const own = voice.ownAt(voice.scheduled) / this.rate; // what comes is not decoded yet
      this.quit();
      this.start(voice.track, () => own);
    }
  }

  planLoop(voice) {
    const span = this.loop(voice.track);
    const key = span && span.join();
    if (this.planned && this.planned.key !== key) this.unplan();
    if (!span || this.planned || (this.speed !== 1 && !this.stretches.any)) return;
    const [from, to] = span.map((seconds) => Math.round(seconds * this.rate));
    const end = Math.max(voice.frameOf(to), voice.settled);
    if (voice.ownAt(this.now) > to || end - this.now > PLAN_AHEAD * this.rate) return;
    if (!this.pieces.ready(voice.track, this.pieces.at(voice.track, from))) return;
    const start = Math.max(end, this.nextStart());
    const planned = this.voiceAt(voice.track, from, start);
    voice.leave(start);
    this.planned = { voice: planned, key };
  }

  // Decode what may be wanted soon, `places` being own seconds of each track (null where it has nothing).
  prepare(active, places) {
    const wanted = [];
    const add = (track, number) => {
      if (number * this.model.piece_frames < this.model.tracks[track].frames) wanted.push([track, number]);
    };
    places.forEach((own, track) => {
      if (own === null) return;
      const frame = Math.round(own * this.rate);
      const number = this.pieces.at(track, frame);
      add(track, number);
      const left = this.pieces.span(track, number)[1] - frame;
      if (track === active || left < READ_AHEAD * this.rate) add(track, number + 1);
    });
    const span = this.loop(active);
    if (span) add(active, this.pieces.at(active, Math.round(span[0] * this.rate)));
    this.pieces.keep(wanted);
    // Of a silent track it is told when it is switched to.
    const got = ([track, number]) => this.pieces.get(track, number).catch((error) => track === active && this.failed(error));
    return Promise.all(wanted.map(got));
  }
}
