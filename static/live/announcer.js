// What screen readers hear: the final words by sentence, in a log that nobody sees. The text on
// the page is not live, because three words at a time are no way to listen to somebody.

const SENTENCE = /^.*?(?:[.?!…]["'”’)\]]*(?=\s)|[。？！])/s; // a point inside 3.5 ends nothing
const ENDS_SENTENCE = /[.?!…]["'”’)\]]*$/;
const LONGEST = 300; // letters: not everybody, and not every model, writes full stops
const PAUSE_S = 2;
const PATIENCE_MS = 5000; // the last words of an unfinished sentence are told after this
const KEPT = 3; // sentences in the log: it grows for 90 minutes otherwise

export class Announcer {
  #log;
  #text = '';
  #language = '';
  #lastEnd = null;
  #timer = null;

  constructor(log) {
    this.#log = log;
  }

  /** Take a `final` event; whole sentences are told. */
  add({ text, language, start, end }) {
    if (this.#lastEnd !== null && start - this.#lastEnd > PAUSE_S) this.flush();
    this.#lastEnd = end;
    this.#language = language ?? '';
    this.#text += text;
    for (let sentence = this.#next(); sentence; sentence = this.#next()) {
      this.#text = this.#text.slice(sentence.length);
      this.#tell(sentence);
    }
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => this.flush(), PATIENCE_MS);
  }

  /** Tell what is left of an unfinished sentence. */
  flush() {
    clearTimeout(this.#timer);
    this.#tell(this.#text);
    this.#text = '';
    this.#lastEnd = null;
  }

  clear() {
    clearTimeout(this.#timer);
    this.#text = '';
    this.#lastEnd = null;
    this.#log.replaceChildren();
  }

  #next() {
    const [sentence] = SENTENCE.exec(this.#text) ?? [];
    if (sentence) return sentence;
    return ENDS_SENTENCE.test(this.#text) || this.#text.length > LONGEST ? this.#text : '';
  }

  #tell(text) {
    if (!text.trim()) return;
    const line = document.createElement('p');
    line.textContent = text.trim();
    line.lang = this.#language;
    this.#log.append(line);
    while (this.#log.childElementCount > KEPT) this.#log.firstElementChild.remove();
  }
}
