// The text for screen readers: the final words, one sentence at a time, in an invisible log. The
// visible text is not an ARIA live region: nobody can listen to three words at a time.

const SENTENCE = /^.*?(?:[.?!…]["'”’)\]]*(?=\s)|[。？！])/s; // not at the point in 3.5
const ENDS_SENTENCE = /[.?!…]["'”’)\]]*$/;
const LONGEST = 300; // letters: some texts, and some models, have no full stops
const PAUSE_S = 2;
const PATIENCE_MS = 5000; // an unfinished sentence is announced after this time
const KEPT = 3; // sentences: without a limit the log would grow for 90 minutes

export class Announcer {
  #log;
  #text = '';
  #language = '';
  #lastEnd = null;
  #timer = null;

  constructor(log) {
    this.#log = log;
  }

  /** Take a `final` event; announce the sentences that are complete. */
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

  /** Announce the rest, an unfinished sentence. */
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
