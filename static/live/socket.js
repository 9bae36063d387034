// The connection to the server: slices and control messages out, JSON events in.
// Other modules need not know whether the socket is open yet: messages that are sent too early
// wait here, in order. One object is one connection; it is never reused.

const OPEN_WITHIN_MS = 15_000; // also limits the queue to 15 s of slices
const FINISH_WITHIN_MS = 30_000; // without a message from the server after our `stop`

export class Connection {
  #socket;
  #queue = [];
  #deadline;
  #opened = false;
  #stopped = false;
  #finished = false;
  #onEvent;
  #onClose;

  /**
   * @param path    the WebSocket's path relative to the page, such as transcribe
   * @param onEvent called with each message of the server, an object with a `type`
   * @param onClose called once with {opened, finished, code}; `finished` is true after `done`
   */
  constructor(path, { onEvent, onClose }) {
    const url = new URL(path, location.href);
    url.protocol = location.protocol === 'https:' ? 'wss:' : 'ws:';
    this.#onEvent = onEvent;
    this.#onClose = onClose;
    this.#socket = new WebSocket(url);
    this.#socket.binaryType = 'arraybuffer';
    this.#socket.addEventListener('open', () => this.#open());
    this.#socket.addEventListener('message', (event) => this.#receive(event.data));
    this.#socket.addEventListener('close', (event) => this.#end(event.code));
    this.#giveUpAfter(OPEN_WITHIN_MS);
  }

  /** Send one slice, a whole WAV in an ArrayBuffer. */
  sendSlice(wav) {
    if (!this.#stopped) this.#send(wav);
  }

  /** Ask the server to finish everything; it answers `done`, then closes. */
  stop() {
    if (this.#stopped) return;
    this.#send(JSON.stringify({ type: 'stop' }));
    this.#stopped = true;
    if (this.#opened) this.#giveUpAfter(FINISH_WITHIN_MS);
  }

  #send(data) {
    if (this.#socket.readyState === WebSocket.OPEN) this.#socket.send(data);
    else if (this.#socket.readyState === WebSocket.CONNECTING) this.#queue.push(data);
  }

  #open() {
    this.#opened = true;
    clearTimeout(this.#deadline);
    for (const data of this.#queue.splice(0)) this.#socket.send(data);
    if (this.#stopped) this.#giveUpAfter(FINISH_WITHIN_MS);
  }

  #receive(data) {
    if (this.#stopped) this.#giveUpAfter(FINISH_WITHIN_MS);
    const event = parse(data);
    if (event.type === 'done') this.#finished = true;
    this.#onEvent(event);
    if (this.#finished) this.#end(1000);
  }

  #giveUpAfter(milliseconds) {
    clearTimeout(this.#deadline);
    this.#deadline = setTimeout(() => this.#end(1006), milliseconds);
  }

  // A dead network can keep a socket in CLOSING for minutes, so the page is told at once.
  #end(code) {
    if (!this.#onClose) return;
    clearTimeout(this.#deadline);
    const onClose = this.#onClose;
    this.#onClose = null;
    this.#onEvent = () => {};
    this.#queue.length = 0;
    this.#socket.close();
    onClose({ opened: this.#opened, finished: this.#finished, code });
  }
}

function parse(data) {
  try {
    return JSON.parse(data);
  } catch (error) {
    throw new Error('The server sent a message that this page cannot read.', { cause: error });
  }
}
