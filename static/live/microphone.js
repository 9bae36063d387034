// The microphone as a source of slices, recorded by RecordRTC's StereoAudioRecorder.
//
// Four faults of RecordRTC 5.6.2 decide how it is used here:
// - It loses the last, partial slice: `stopRecording` never passes it to `ondataavailable`. Its
//   chunks stay in `leftchannel`, which holds the chunks of the whole recording. We drop the
//   chunks of each slice that was delivered, so the chunks left at the end are the tail.
// - It keeps the whole recording (11 MB a minute), and `stopRecording` encodes all of it, some
//   2.5 GB after an hour. Dropping chunks keeps the memory flat, and we never call `stopRecording`.
// - It encodes each slice in a new blob worker (the page's policy needs `worker-src blob:`), so a
//   slice may be in its worker when we stop. It is ignored: its chunks are part of the tail.
// - It does not clip: a sample above full scale (a browser's resampler makes some) wraps around
//   to the other sign, a loud click. We encode such a slice again from its chunks.

import { encodeWav, framesIn } from './wav.js';

const SLICE_MS = 500;
const CHUNK_FRAMES = 4096; // RecordRTC's buffer: 85 ms at 48 kHz
const LAST_CHUNKS = 2; // one may hold sound from before the stop, one may not have reached us yet
const LAST_CHUNKS_WITHIN_MS = 400;

export class Microphone {
  analyser = null;

  #choices;
  #context = null;
  #stream = null;
  #config = null;
  #recorder = null; // RecordRTC's StereoAudioRecorder
  #onSlice = null;
  #onError = null;
  #sending = Promise.resolve();
  #released = false;
  #replaced = false;

  /**
   * @param choices {microphone, echoCancellation, noiseSuppression, autoGainControl}: the device's
   *                id ('' for the system’s default), and the browser's processing of the sound
   */
  constructor({ microphone, ...sound }) {
    this.#choices = { channelCount: 1, ...sound };
    // With `ideal`, Chromium takes the default one all the same.
    if (microphone) this.#choices.deviceId = { exact: microphone };
  }

  /** Ask for the microphone. Call this directly in the tap: phones refuse it after an await. */
  async open() {
    const asked = this.#ask();
    this.#context = new AudioContext(); // in the tap too, or it stays suspended
    try {
      this.#stream = await asked;
      await this.#context.resume();
    } catch (error) {
      this.release();
      throw new Error(explain(error), { cause: error });
    }
    if (this.#released) stopTracks(this.#stream); // stopped before the browser answered
  }

  /** Whether the default microphone is used because the chosen one is missing. */
  get isReplacement() {
    return this.#replaced;
  }

  /** Record. `onSlice` gets each whole WAV in order; `onLost` is called if the device goes away. */
  start({ onSlice, onError, onLost }) {
    this.#onSlice = onSlice;
    this.#onError = onError;
    this.#stream.getAudioTracks()[0].addEventListener('ended', onLost);
    this.analyser = this.#context.createAnalyser();
    this.#context.createMediaStreamSource(this.#stream).connect(this.analyser);
    this.#config = {
      type: 'audio',
      mimeType: 'audio/wav',
      recorderType: RecordRTC.StereoAudioRecorder,
      numberOfAudioChannels: 1,
      timeSlice: SLICE_MS,
      bufferSize: CHUNK_FRAMES,
      disableLogs: true,
      checkForInactiveTracks: false, // this check would discard the chunk in which the tracks end
      ondataavailable: (blob) => this.#deliver(blob),
    };
    RecordRTC.Storage = { AudioContext, AudioContextConstructor: this.#context };
    const recording = new RecordRTC(this.#stream, this.#config);
    recording.startRecording();
    this.#recorder = recording.getInternalRecorder();
  }

  /** Switch the microphone off, deliver the tail, and resolve after the last slice. */
  async stop() {
    if (this.#stream) stopTracks(this.#stream); // first, so that the browser's red dot goes off
    if (this.#recorder) {
      await this.#lastChunks();
      this.#endRecording();
      const tail = join(this.#recorder.leftchannel.splice(0));
      const rate = this.#context.sampleRate;
      this.release();
      if (tail.length) this.#queue(() => encodeWav(tail, rate));
      await this.#sending;
    } else this.release();
  }

  /** Release everything at once. RecordRTC delivers no more slices. */
  release() {
    this.#released = true;
    if (this.#stream) stopTracks(this.#stream);
    if (this.#recorder) this.#endRecording();
    if (this.#context && this.#context.state !== 'closed') this.#context.close().catch(() => {});
  }

  async #ask() {
    try {
      return await navigator.mediaDevices.getUserMedia({ audio: this.#choices });
    } catch (error) {
      if (!this.#choices.deviceId || error.name !== 'OverconstrainedError') throw error;
      const { deviceId, ...others } = this.#choices; // any other microphone is better than none
      const stream = await navigator.mediaDevices.getUserMedia({ audio: others });
      this.#replaced = true;
      return stream;
    }
  }

  // RecordRTC's timer ends without `timeSlice`. A slice in a worker still calls `ondataavailable`.
  #endRecording() {
    this.#recorder.pause();
    delete this.#config.timeSlice;
    this.#config.ondataavailable = () => {};
  }

  #deliver(blob) {
    const samples = join(this.#recorder.leftchannel.splice(0, framesIn(blob.size) / CHUNK_FRAMES));
    const wrapped = samples.some((sample) => Math.abs(sample) > 1);
    this.#queue(() => (wrapped ? encodeWav(samples, this.#context.sampleRate) : blob.arrayBuffer()));
  }

  #queue(makeWav) {
    this.#sending = this.#sending.then(makeWav).then(this.#onSlice).catch(this.#onError);
  }

  // Wait for the sound just before the stop: it is still in the buffer of the audio graph.
  async #lastChunks() {
    const enough = this.#recorder.recordingLength + LAST_CHUNKS * CHUNK_FRAMES;
    const deadline = performance.now() + LAST_CHUNKS_WITHIN_MS;
    while (this.#recorder.recordingLength < enough && performance.now() < deadline) {
      await new Promise((resolve) => { setTimeout(resolve, 10); });
    }
  }

  /** Whether this page may use a microphone at all. */
  static available() {
    return Boolean(navigator.mediaDevices?.getUserMedia);
  }

  static unavailable = 'This page cannot use the microphone: browsers allow it only over https, or on localhost. '
    + `Open it as https://${location.host}, or on the server itself as http://localhost:${location.port || 80}.`;
}

function stopTracks(stream) {
  for (const track of stream.getTracks()) track.stop();
}

function join(chunks) {
  const whole = new Float32Array(chunks.reduce((sum, chunk) => sum + chunk.length, 0));
  let offset = 0;
  for (const chunk of chunks) {
    whole.set(chunk, offset);
    offset += chunk.length;
  }
  return whole;
}

function explain(error) {
  switch (error.name) {
    case 'NotAllowedError':
      return 'The browser was not allowed to use the microphone. Allow it in the address bar, then press Start again.';
    case 'NotFoundError':
    case 'OverconstrainedError':
      return 'No microphone was found. Plug one in, then press Start again.';
    case 'NotReadableError':
    case 'AbortError':
      return 'The microphone could not be opened. Another program may be using it.';
    default:
      return `The microphone could not be opened (${error.name}: ${error.message}).`;
  }
}
