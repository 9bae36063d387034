// One stream of sound to the server, over as many connections as it takes. When a connection breaks,
// the sound is kept, and the next connection goes on where the server left off (docs/protocol.md,
// "Nothing is lost"). So the page gets each final once, whatever happens to the server.

import { Connection } from './socket.js';
import { Tape } from './tape.js';
import { framesIn } from './wav.js';

const KEPT_S = 600; // of sound, while there is no connection
const GIVE_UP_AFTER_MS = 300_000; // without any success
const GIVE_UP_FINISHING_AFTER_MS = 60_000; // the same after Stop
const FINISH_WITHIN_MS = 30_000; // without a message from the server after our `stop`
const SHORTEST_WAIT_MS = 250;
const LONGEST_WAIT_MS = 8_000;
const ALIVE_WITHIN_MS = 20_000; // a connection that takes sound and acknowledges none of it is dead
const AHEAD_BYTES = 4 << 20; // more than this does not go into the browser's own buffer

// After these close codes another try can help: no close frame; the server goes away, has a fault,
// restarts or is full; the stream has reached its longest length, or its user's audio for this minute.
const TRY_AGAIN = new Set([1001, 1005, 1006, 1011, 1012, 1013, 4408, 4429]);

export class Stream {
  #path;
  #on;
  #tape = new Tape();
  #connection = null;
  #ready = false; // whether the connection takes sound
  #sent = 0; // the next sample to send
  #token = '';
  #replayFrom = 0;
  #rate = 0;
  #first = 0; // the sample at which the server's stream begins: not 0 after a token was refused
  #lastEnd = 0; // s, the end of the last final
  #gotFinals = false;
  #began = false; // whether a server has ever taken sound
  #stopped = false;
  #finished = false;
  #tries = 0;
  #retryAfterMs = 0;
  #lastSuccess = Date.now();
  #timer = null; // until the next try
  #watch = null; // until the connection counts as dead

  /**
   * @param path the WebSocket's path relative to the page, with its query
   * @param on   the callbacks: `onEvent` with each message of the server, `onLost` when the connection
   *             has broken and is tried again, `onResumed`, `onDropped` with the seconds of sound that
   *             were dropped because too much was kept, `onSound` with the first sample and the WAV of
   *             each slice, `onPlace` when the place from which the server can go on has changed, and
   *             once, at the end, `onClose` with {opened, finished, code, unfinished}: a stream that is
   *             unfinished can be continued
   * @param kept {place, sound} of a stream that this one continues, see `place` and `sound`
   */
  constructor(path, on, kept = null) {
    this.#path = path;
    this.#on = on;
    if (kept) this.#tape.restore(kept.sound);
    if (kept?.place) {
      const { token, replayFrom, first, lastEnd, rate, gotFinals } = kept.place;
      [this.#token, this.#replayFrom, this.#gotFinals] = [token, replayFrom, gotFinals];
      [this.#first, this.#lastEnd, this.#rate] = [first, lastEnd, rate];
    }
    this.#connect();
  }

  /** From where a server can go on, to be kept. */
  get place() {
    return {
      path: this.#path,
      token: this.#token,
      replayFrom: this.#replayFrom,
      first: this.#first,
      lastEnd: this.#lastEnd,
      rate: this.#rate,
      gotFinals: this.#gotFinals,
    };
  }

  /** The slices that a server may ask for: {first, wav}. */
  get sound() {
    return this.#tape.slices;
  }

  /** Send one slice, a whole WAV in an ArrayBuffer, now or when there is a connection. */
  sendSlice(wav) {
    if (this.#stopped) return;
    this.#on.onSound(this.#tape.end, wav);
    this.#tape.record(wav);
    this.#rate = new DataView(wav).getUint32(24, true);
    const surplus = this.#tape.end - this.#tape.start - KEPT_S * this.#rate;
    if (surplus > 0 && !this.#ready) {
      this.#tape.forget(this.#tape.start + surplus);
      this.#on.onDropped(KEPT_S);
    }
    this.#sendAll();
  }

  /** Ask the server to finish everything; it answers `done`, then closes. */
  stop() {
    if (this.#stopped) return;
    this.#stopped = true;
    this.#sendAll();
    this.#watchOver();
  }

  #connect() {
    this.#timer = null;
    this.#ready = false;
    const connection = new Connection(this.#path, {
      onEvent: (event) => this.#receive(event),
      onClose: (how) => this.#lose(how),
    });
    this.#connection = connection;
  }

  #receive(event) {
    this.#watchOver();
    switch (event.type) {
      case 'ready':
        if (this.#token) {
          const from = Math.max(this.#replayFrom, this.#tape.start);
          this.#connection.send({ type: 'resume', token: this.#token, from: from - this.#first });
          return;
        }
        this.#on.onEvent(event);
        if (this.#began) this.#goOn(this.#tape.start);
        else this.#begin(0);
        return;
      case 'resumed':
        this.#goOn(Math.max(this.#replayFrom, this.#tape.start));
        return;
      case 'ack':
        this.#token = event.resume;
        this.#replayFrom = event.replay_from + this.#first;
        this.#tape.forget(this.#replayFrom);
        this.#succeed();
        this.#on.onPlace();
        return;
      case 'final':
        this.#token = event.resume ?? this.#token;
        this.#gotFinals = true;
        this.#lastEnd = event.end + this.#first / (this.#rate || 1);
        this.#succeed();
        break;
      case 'error':
        if (event.code === 'bad_token') { // a new stream has begun: it gets the sound after the last final
          this.#first = Math.max(Math.round(this.#lastEnd * this.#rate), this.#tape.start);
          this.#token = '';
          this.#goOn(this.#first);
          return;
        }
        this.#retryAfterMs = (event.retry_after_s ?? 0) * 1000;
        if (event.fatal && this.#began && this.#canGoOn()) return; // the close code that follows decides
        break;
      case 'done':
        this.#finished = true;
        break;
      default:
    }
    this.#on.onEvent(this.#shifted(event));
    if (this.#finished) this.#end(1000, true);
  }

  // The event with times from the beginning of the session.
  #shifted(event) {
    if (!this.#first) return event;
    const offset = this.#first / this.#rate;
    const shift = (part) => {
      for (const name of ['at', 'start', 'end']) if (name in part) part[name] += offset;
    };
    [event, ...event.words ?? []].forEach(shift);
    return event;
  }

  #goOn(sample) {
    this.#begin(sample);
    this.#on.onResumed();
  }

  #begin(sample) {
    this.#began = true;
    this.#ready = true;
    this.#sent = sample;
    this.#sendAll();
    this.#watchOver();
  }

  #sendAll() {
    if (!this.#ready) return;
    for (;;) {
      if (this.#connection.waitingBytes > AHEAD_BYTES) {
        setTimeout(() => this.#sendAll(), SHORTEST_WAIT_MS);
        return;
      }
      const wav = this.#tape.from(this.#sent);
      if (!wav) break;
      this.#connection.send(wav);
      this.#sent += framesIn(wav.byteLength);
    }
    if (this.#stopped) {
      this.#ready = false; // nothing follows
      this.#connection.send({ type: 'stop' });
    }
  }

  #succeed() {
    this.#tries = 0;
    this.#lastSuccess = Date.now();
  }

  // Networks die without a word: a server that acknowledges nothing for long is not there any more.
  #watchOver() {
    clearTimeout(this.#watch);
    if (!this.#token && !this.#stopped) return; // a server that acknowledges nothing
    const patience = this.#stopped ? FINISH_WITHIN_MS : ALIVE_WITHIN_MS;
    this.#watch = setTimeout(() => this.#connection?.close(1006), patience);
  }

  // Without a token, words that are final already would come twice.
  #canGoOn() {
    return Boolean(this.#token) || !this.#gotFinals;
  }

  #lose({ opened, code }) {
    clearTimeout(this.#watch);
    this.#connection = null;
    this.#ready = false;
    const patience = this.#stopped ? GIVE_UP_FINISHING_AFTER_MS : GIVE_UP_AFTER_MS;
    const tooLong = Date.now() - this.#lastSuccess > patience;
    const unfinished = TRY_AGAIN.has(code) && this.#canGoOn();
    if (!unfinished || !this.#began || tooLong) {
      this.#end(code, opened || this.#began, unfinished && this.#tape.end > 0);
      return;
    }
    this.#tries += 1;
    if (this.#tries === 1) this.#on.onLost(code);
    const longest = Math.min(LONGEST_WAIT_MS, SHORTEST_WAIT_MS * 2 ** this.#tries);
    const wait = this.#retryAfterMs + Math.random() * longest;
    this.#retryAfterMs = 0;
    this.#timer = setTimeout(() => this.#connect(), wait);
  }

  #end(code, opened, unfinished = false) {
    if (!this.#on) return;
    clearTimeout(this.#timer);
    clearTimeout(this.#watch);
    const { onClose } = this.#on;
    this.#on = null;
    const connection = this.#connection;
    this.#connection = null;
    this.#ready = false;
    connection?.close(code);
    onClose({ opened, finished: this.#finished, code, unfinished });
  }
}
