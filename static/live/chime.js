// Two soft notes when a keyword is said. They are quiet and short, to stay apart from the speech.

const NOTES_HZ = [784, 1047];
const NOTE_S = 0.11;
const LOUDNESS = 0.05;

export class Chime {
  #context = null;

  /** Allow sounds. Call this in a user's tap: browsers allow no sounds before one. */
  prepare() {
    this.#context ??= new AudioContext();
    this.#context.resume();
  }

  ring() {
    if (!this.#context) return;
    const begin = this.#context.currentTime;
    for (const [index, hertz] of NOTES_HZ.entries()) this.#play(hertz, begin + index * NOTE_S);
  }

  #play(hertz, at) {
    const tone = new OscillatorNode(this.#context, { frequency: hertz });
    const volume = new GainNode(this.#context, { gain: 0 });
    volume.gain.setValueAtTime(0, at);
    volume.gain.linearRampToValueAtTime(LOUDNESS, at + 0.02);
    volume.gain.linearRampToValueAtTime(0, at + 2 * NOTE_S);
    tone.connect(volume).connect(this.#context.destination);
    tone.start(at);
    tone.stop(at + 2 * NOTE_S);
  }
}
