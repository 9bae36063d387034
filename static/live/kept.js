// A source without sound: the stream has the sound already. It was kept when the page was left.

export class Kept {
  analyser = null;

  async open() {} // nothing to open

  /** `onEnd` is called at once: nothing is added. */
  start({ onEnd }) {
    setTimeout(onEnd);
  }

  async stop() {} // nothing plays

  release() {} // nothing is held
}
