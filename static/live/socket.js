// One connection to the server: messages out, JSON events in. It is never reused; `stream.js` makes
// another one when it breaks.

import { settings } from './settings.js';

const OPEN_WITHIN_MS = 15_000;
const KEY = /^[\w.-]+$/; // others cannot be sent

export class Connection {
  #socket;
  #deadline;
  #opened = false;
  #onEvent;
  #onClose;

  /**
   * @param path    the WebSocket's path relative to the page, such as transcribe
   * @param onEvent called with each message of the server, an object with a `type`
   * @param onClose called once with {opened, code}
   */
  constructor(path, { onEvent, onClose }) {
    const url = new URL(path, location.href);
    url.protocol = location.protocol === 'https:' ? 'wss:' : 'ws:';
    this.#onEvent = onEvent;
    this.#onClose = onClose;
    const key = settings.get('key').trim();
    // A browser sends no headers with a WebSocket, but it names subprotocols.
    this.#socket = KEY.test(key) ? new WebSocket(url, ['transcribe', `token.${key}`]) : new WebSocket(url);
    this.#socket.binaryType = 'arraybuffer';
    this.#socket.addEventListener('open', () => {
      this.#opened = true;
      clearTimeout(this.#deadline);
    });
    this.#socket.addEventListener('message', (event) => this.#onEvent(parse(event.data)));
    this.#socket.addEventListener('close', (event) => this.close(event.code));
    this.#deadline = setTimeout(() => this.close(1006), OPEN_WITHIN_MS);
  }

  /** Send a message: a WAV in an ArrayBuffer, or an object as JSON. */
  send(message) {
    if (this.#socket.readyState !== WebSocket.OPEN) return; // `onClose` follows
    this.#socket.send(message instanceof ArrayBuffer ? message : JSON.stringify(message));
  }

  /** Bytes that the browser has not sent yet. */
  get waitingBytes() {
    return this.#socket.bufferedAmount ?? 0;
  }

  // A dead network can keep a socket in CLOSING for minutes, so the page is told at once.
  close(code = 1000) {
    if (!this.#onClose) return;
    clearTimeout(this.#deadline);
    const onClose = this.#onClose;
    this.#onClose = null;
    this.#onEvent = () => {};
    this.#socket.close();
    onClose({ opened: this.#opened, code });
  }
}

function parse(data) {
  try {
    return JSON.parse(data);
  } catch (error) {
    throw new Error('The server sent a message that this page cannot read.', { cause: error });
  }
}
