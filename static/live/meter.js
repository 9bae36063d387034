// The level meter: it answers "does it hear me?" before the first word arrives, and detects a
// muted microphone. It is drawn by a transform only, so it never causes a layout of the page.

const FLOOR_DB = -60;
const CEILING_DB = -8;
const FALL_PER_FRAME = 0.04; // the bar rises at once and falls slowly, which is calmer to watch
const CALM_EVERY_MS = 500; // with prefers-reduced-motion
const SILENT_DB = -70;
const SILENT_AFTER_MS = 6000;

export class Meter {
  #element;
  #onSilence;
  #calm = matchMedia('(prefers-reduced-motion: reduce)');
  #frame = null;
  #level = 0;
  #drawnAt = 0;
  #heardAt = 0;
  #silent = false;

  /** @param onSilence called with true after some seconds of silence, with false when it ends */
  constructor(element, onSilence) {
    this.#element = element;
    this.#onSilence = onSilence;
  }

  follow(analyser) {
    this.rest();
    const samples = new Float32Array(analyser.fftSize);
    this.#heardAt = performance.now();
    const draw = (now) => {
      this.#frame = requestAnimationFrame(draw);
      analyser.getFloatTimeDomainData(samples);
      const decibels = loudness(samples);
      this.#watch(decibels, now);
      if (this.#calm.matches && now - this.#drawnAt < CALM_EVERY_MS) return;
      this.#drawnAt = now;
      const level = (decibels - FLOOR_DB) / (CEILING_DB - FLOOR_DB);
      this.#draw(Math.max(level, this.#calm.matches ? 0 : this.#level - FALL_PER_FRAME));
    };
    this.#frame = requestAnimationFrame(draw);
  }

  rest() {
    cancelAnimationFrame(this.#frame);
    this.#draw(0);
    this.#tell(false);
  }

  #draw(level) {
    this.#level = Math.min(1, Math.max(0, level));
    this.#element.style.transform = `scaleX(${this.#level.toFixed(3)})`;
  }

  #watch(decibels, now) {
    if (decibels > SILENT_DB) this.#heardAt = now;
    this.#tell(now - this.#heardAt > SILENT_AFTER_MS);
  }

  #tell(silent) {
    if (silent === this.#silent) return;
    this.#silent = silent;
    this.#onSilence(silent);
  }
}

/** Return the level of `samples` in dBFS. */
function loudness(samples) {
  const power = samples.reduce((sum, sample) => sum + sample * sample, 0) / samples.length;
  return 10 * Math.log10(power + 1e-12);
}
