// A recorded talk as a source of slices, for readers who have no microphone or no https.
// It plays aloud, and sends the same sound at the pace at which it plays. The clock is that of
// the AudioContext. The timer below only reads it, so a late timer causes no drift.

import { encodeWav } from './wav.js';

const RATE = 16_000; // Hz
const SLICE_FRAMES = RATE / 2; // 500 ms
const LOOK_EVERY_MS = 50;

export class Sample {
  analyser = null;

  #url;
  #context = null;
  #player = null;
  #pcm = null;
  #timer = null;
  #startedAt = 0;
  #sentFrames = 0;
  #onSlice = null;
  #onError = null;

  constructor(url) {
    this.#url = url;
  }

  /** Fetch and decode the talk. Call this directly in the tap, so that the browser lets it play. */
  async open() {
    this.#context = new AudioContext({ sampleRate: RATE });
    try {
      const [response] = await Promise.all([fetch(this.#url), this.#context.resume()]);
      if (!response.ok) throw new Error(`the server answered ${response.status}`);
      const sound = await this.#context.decodeAudioData(await response.arrayBuffer());
      this.#pcm = mixDown(sound);
      this.#player = new AudioBufferSourceNode(this.#context, { buffer: sound });
    } catch (error) {
      this.release();
      throw new Error(`The sample could not be loaded: ${error.message}.`, { cause: error });
    }
  }

  /** Play. `onSlice` gets each whole WAV in order; `onEnd` is called when the talk is over. */
  start({ onSlice, onError, onEnd }) {
    this.#onSlice = onSlice;
    this.#onError = onError;
    this.analyser = this.#context.createAnalyser();
    this.#player.connect(this.analyser).connect(this.#context.destination);
    this.#startedAt = this.#context.currentTime;
    this.#player.start(this.#startedAt);
    this.#timer = setInterval(() => {
      this.#sendWhole();
      if (this.#playedFrames() >= this.#pcm.length) onEnd();
    }, LOOK_EVERY_MS);
  }

  /** Stop playing, and deliver the sound since the last slice. */
  async stop() {
    if (this.#timer !== null) {
      this.#sendWhole();
      this.#sendUpTo(this.#playedFrames());
    }
    this.release();
  }

  /** Release everything at once. No more slices follow. */
  release() {
    clearInterval(this.#timer);
    this.#timer = null;
    if (this.#context && this.#context.state !== 'closed') this.#context.close().catch(() => {});
  }

  #playedFrames() {
    const frames = Math.floor((this.#context.currentTime - this.#startedAt) * RATE);
    return Math.min(frames, this.#pcm.length);
  }

  #sendWhole() {
    const played = this.#playedFrames();
    while (this.#sentFrames + SLICE_FRAMES <= played) this.#sendUpTo(this.#sentFrames + SLICE_FRAMES);
  }

  #sendUpTo(frames) {
    if (frames <= this.#sentFrames) return;
    const slice = this.#pcm.subarray(this.#sentFrames, frames);
    this.#sentFrames = frames;
    try {
      this.#onSlice(encodeWav(slice, RATE));
    } catch (error) {
      this.#onError(error);
    }
  }
}

// The average of the channels: a sum would clip.
function mixDown(sound) {
  const mono = new Float32Array(sound.length);
  for (let channel = 0; channel < sound.numberOfChannels; channel += 1) {
    sound.getChannelData(channel).forEach((sample, index) => { mono[index] += sample / sound.numberOfChannels; });
  }
  return mono;
}
