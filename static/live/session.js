// One session: a source of sound and a connection, from Start until the server has finished.

import { Stream } from './stream.js';

const RATE = 16_000; // Hz, at which the server counts samples

export class Session {
  #source;
  #page;
  #stream = null;
  #kept;
  #stopping = false;
  #failed = false; // the server has sent the reason why it ends
  #seconds = 0;
  #over = false;

  /**
   * @param source the microphone or the sample
   * @param kept   {place, sound} of a session that this one continues, or null
   * @param page   the callbacks: `onState` (connecting, listening, reconnecting, finishing), `onSound`
   *               with the source's analyser, `onEvent` with each message of the server, `onError`,
   *               `onLost` (the microphone went away), `onDropped`, `onRecorded` and `onPlace` (see
   *               Stream), and once, at the end, `onOver` with {state, opened, failed, code, seconds,
   *               unfinished}; `code` is null without a connection
   */
  constructor(source, page, kept = null) {
    this.#source = source;
    this.#page = page;
    this.#kept = kept;
  }

  /** From where a server can go on; null before there is a connection. */
  get place() {
    return this.#stream?.place ?? null;
  }

  /** The sound that a server may ask for, see Stream. */
  get sound() {
    return this.#stream?.sound ?? [];
  }

  get stopping() {
    return this.#stopping;
  }

  /** Start. Until the first await in `source.open()` this runs in the user's tap. */
  async begin(address) {
    this.#page.onState('connecting');
    try {
      await this.#source.open();
      if (this.#stopping) return;
      this.#stream = new Stream(address, {
        onEvent: (event) => this.#receive(event),
        onLost: () => this.#page.onState('reconnecting'),
        onResumed: () => this.#page.onState(this.#stopping ? 'finishing' : 'listening'),
        onDropped: this.#page.onDropped,
        onSound: this.#page.onRecorded,
        onPlace: this.#page.onPlace,
        onClose: (how) => this.#end(how),
      }, this.#kept);
      this.#source.start({
        onSlice: (wav) => this.#stream.sendSlice(wav),
        onError: this.#page.onError,
        onEnd: () => this.finish(),
        onLost: () => {
          this.#page.onLost();
          this.finish();
        },
      });
      if (this.#source.analyser) this.#page.onSound(this.#source.analyser);
    } catch (error) {
      this.#source.release();
      if (this.#stopping) return; // the user no longer waits for it
      this.#page.onError(error);
      if (this.#stream) this.#stream.stop();
      else this.#leave('idle');
    }
  }

  /** Stop the source, send the rest of its sound, and let the server finish the text. */
  async finish() {
    if (this.#stopping) return;
    this.#stopping = true;
    if (!this.#stream) { // the browser still asks for permission, or the sample still loads
      this.#source.release();
      this.#leave('idle');
      return;
    }
    this.#page.onState('finishing');
    try {
      await this.#source.stop();
    } catch (error) {
      this.#page.onError(error);
    } finally {
      this.#stream.stop();
    }
  }

  #receive(event) {
    if (event.type === 'ready' && !this.#stopping) this.#page.onState('listening');
    if (event.type === 'error') this.#failed ||= Boolean(event.fatal) && event.code !== 'draining';
    if (event.type === 'done') this.#seconds = event.received_samples / RATE || 0;
    this.#page.onEvent(event);
  }

  #end({ opened, finished, code, unfinished }) {
    this.#stopping = true;
    this.#source.release();
    this.#leave(finished ? 'done' : 'disconnected', { opened, code, unfinished });
  }

  #leave(state, { opened = false, code = null, unfinished = false } = {}) {
    if (this.#over) return;
    this.#over = true;
    this.#page.onOver({ state, opened, code, failed: this.#failed, seconds: this.#seconds, unfinished });
  }
}
