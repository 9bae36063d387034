// Keeps the screen on while the page listens: a phone on a lectern must not fall asleep in
// mid-sentence. It is no error if the browser has no wake lock, or refuses one (low battery).

export class WakeLock {
  #wanted = false;
  #lock = null;

  constructor() {
    // The browser releases the lock whenever the page is hidden.
    document.addEventListener('visibilitychange', () => this.#ask());
  }

  hold() {
    this.#wanted = true;
    this.#ask();
  }

  release() {
    this.#wanted = false;
    this.#lock?.release().catch(() => {});
    this.#lock = null;
  }

  async #ask() {
    if (!this.#wanted || document.visibilityState !== 'visible' || !navigator.wakeLock) return;
    if (this.#lock && !this.#lock.released) return;
    try {
      this.#lock = await navigator.wakeLock.request('screen');
    } catch {
      this.#lock = null;
    }
    if (!this.#wanted) this.release(); // stopped before the browser answered
  }
}
