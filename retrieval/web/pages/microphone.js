// Records from the microphone, as it is: without what makes speech clearer, for that harms music.

import { wavFile } from "./wav.js";

const REFUSED = {
  NotAllowedError: "The browser does not let this page use the microphone.",
  NotFoundError: "There is no microphone.",
  NotReadableError: "The microphone cannot be used; does another program use it?",
};

// Whether browsers let this page record: on this machine's own address, or over TLS.
export const canRecord = Boolean(navigator.mediaDevices?.getUserMedia && window.AudioWorkletNode);

// Starts; `heard` is told the highest level (0 to 1) and the seconds so far. Gives a function that ends it and gives
// the WAV file, or null where nothing but silence came.
export async function record(heard) {
  const plain = { echoCancellation: false, noiseSuppression: false, autoGainControl: false };
  const stream = await navigator.mediaDevices.getUserMedia({ audio: plain }).catch((error) => {
    throw new Error(REFUSED[error.name] ?? `The microphone cannot be used (${error.name}).`);
  });
  const context = new AudioContext();
  const blocks = [];
  let loudest = 0;
  const release = () => {
    for (const track of stream.getTracks()) track.stop();
    return context.close();
  };
  try {
    await context.audioWorklet.addModule("/assets/recorder.js");
    const node = new AudioWorkletNode(context, "recorder", { numberOfOutputs: 0 });
    node.port.onmessage = ({ data }) => {
      blocks.push(data);
      const level = data.reduce((most, sample) => Math.max(most, Math.abs(sample)), 0);
      loudest = Math.max(loudest, level);
      heard(level, (blocks.length * data.length) / context.sampleRate);
    };
    context.createMediaStreamSource(stream).connect(node);
    await context.resume();
  } catch (error) {
    await release();
    throw error;
  }
  return async () => {
    await release();
    return loudest > 0 ? new Blob([wavFile(blocks, context.sampleRate)], { type: "audio/wav" }) : null;
  };
}
