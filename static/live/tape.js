// The sound that the server may ask for again: the slices since the last acknowledged place.
// Places are counted in samples, from the first one of the session.

import { cutWav, framesIn } from './wav.js';

export class Tape {
  #slices = []; // {first, frames, wav}
  #end = 0;

  /** The first sample that is kept. */
  get start() {
    return this.#slices.length ? this.#slices[0].first : this.#end;
  }

  /** The sample after the last one. */
  get end() {
    return this.#end;
  }

  /** Add a slice, a whole WAV in an ArrayBuffer. */
  record(wav) {
    const frames = framesIn(wav.byteLength);
    this.#slices.push({ first: this.#end, frames, wav });
    this.#end += frames;
  }

  /** All slices that are kept: {first, wav}. */
  get slices() {
    return this.#slices.map(({ first, wav }) => ({ first, wav }));
  }

  /** Begin with slices that were kept, as `slices` returned them. */
  restore(slices) {
    this.#slices = slices.map(({ first, wav }) => ({ first, wav, frames: framesIn(wav.byteLength) }));
    const last = this.#slices.at(-1);
    this.#end = last ? last.first + last.frames : 0;
  }

  /** Return a WAV that begins at `sample`: the rest of its slice. Null after the last sample. */
  from(sample) {
    const slice = this.#slices.find(({ first, frames }) => sample < first + frames);
    if (!slice) return null;
    return sample <= slice.first ? slice.wav : cutWav(slice.wav, sample - slice.first);
  }

  /** Drop the slices that end before `sample`. */
  forget(sample) {
    while (this.#slices.length && this.#slices[0].first + this.#slices[0].frames <= sample) this.#slices.shift();
  }
}
