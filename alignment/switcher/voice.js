// One track that sounds: its pieces one after the other, to the sample, faded in and out.

const FADE = 0.02; // seconds of the equal-power cross-fade from one performance to another
const CURVE = 65;

const RISE = Float32Array.from({ length: CURVE }, (_, k) => Math.sin((k / (CURVE - 1)) * (Math.PI / 2)));
const FALL = RISE.toReversed();

// One track sounding from a place on: its frame `own` at the context's frame `start`.
export class Voice {
  constructor(context, output, pieces, track, own, start, gain) {
    Object.assign(this, { context, pieces, track, own, start, gain, sources: [], left: null });
    this.rate = context.sampleRate;
    this.level = context.createGain();
    this.level.connect(output);
    this.level.gain.setValueAtTime(0, 0);
    this.level.gain.setValueCurveAtTime(RISE.map((value) => value * gain), start / this.rate, FADE);
    this.settled = this.settledAfter(start);
    this.next = pieces.at(track, own);
  }

  // The frame at which a fade is over, one more than its seconds have: rounded, two that touch would overlap.
  settledAfter(frame) {
    return frame + Math.ceil(FADE * this.rate) + 1;
  }

  ownAt(frame) {
    return this.own + (frame - this.start);
  }

  frameOf(own) {
    return this.start + (own - this.own);
  }

  get end() {
    return this.frameOf(this.pieces.model.tracks[this.track].frames);
  }

  // The frame of the context up to which sound is scheduled.
  get scheduled() {
    return this.frameOf(this.pieces.span(this.track, this.next - 1)[1]);
  }

  // Schedule the pieces that are decoded, up to `ahead`.
  fill(now, ahead) {
    while (this.frameOf(this.pieces.span(this.track, this.next)[0]) < Math.min(ahead, this.end)) {
      const sound = this.pieces.ready(this.track, this.next);
      if (!sound) return;
      this.schedule(sound, now);
      this.next += 1;
    }
  }

  schedule({ buffer, origin, first, stop }, now) {
    const begin = Math.max(this.frameOf(first), this.start, now);
    const end = this.frameOf(stop);
    if (begin >= end) return;
    const source = this.context.createBufferSource();
    source.buffer = buffer;
    source.connect(this.level);
    source.start(begin / this.rate, (begin - this.frameOf(origin)) / this.rate, (end - begin) / this.rate);
    source.onended = () => source.disconnect();
    this.sources.push(source);
  }

  // Fade out from this frame on.
  leave(frame) {
    const at = frame / this.rate;
    this.level.gain.setValueCurveAtTime(FALL.map((value) => value * this.gain), at, FADE);
    for (const source of this.sources) source.stop(at + FADE);
    this.left = frame;
  }

  // Sound on after all, as if it had never been told to leave; only before it has.
  stay() {
    this.level.gain.cancelScheduledValues(this.left / this.rate);
    for (const source of this.sources) source.stop(this.left / this.rate + 86400);
    this.left = null;
  }

  silence() {
    for (const source of this.sources) source.disconnect();
    this.level.disconnect();
  }
}
