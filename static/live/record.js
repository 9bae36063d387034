// The content of the files: every final with its words and times. A lecture of 90 minutes has
// some 14 000 words, so they are kept in flat arrays, at some 50 bytes a word.

const FIRST_ROOM = 3 * 1024;

export class Record {
  #words = []; // texts
  #numbers = new Float64Array(FIRST_ROOM); // start and end in ms, and probability, of each word
  #finals = []; // index of the first word of each final
  #language = null; // of the newest final
  #offset = 0; // s, the length of the sessions before this one
  #heard = 0; // s, the end of the newest final of this session

  /** Keep a `final` event. Without `words` (an older server) it counts as one word. */
  add({ text, language, start, end, words }) {
    const known = words?.length ? words : [{ word: text, start, end, probability: 0 }];
    this.#finals.push(this.#words.length);
    this.#language = language ?? null;
    for (const word of known) this.#push(word);
    this.#heard = Math.max(this.#heard, end);
  }

  /** Seconds before the present session. */
  get offset() {
    return this.#offset;
  }

  /** End the session, which lasted `seconds`. The times of the next session continue after it. */
  close(seconds = 0) {
    this.beginAt(this.#offset + Math.max(this.#heard, seconds));
  }

  /** Begin a session after `seconds`. */
  beginAt(seconds) {
    this.#offset = seconds;
    this.#heard = 0;
  }

  clear() {
    if (!this.#heard) this.#offset = 0; // during a session the clock runs on
    this.#words = [];
    this.#numbers = new Float64Array(FIRST_ROOM);
    this.#finals = [];
    this.#language = null;
  }

  /** The language of the newest words, or null. */
  get language() {
    return this.#language;
  }

  /** Yield {word, start, end, probability} of the words [from, to); times in whole milliseconds. */
  * words(from = 0, to = this.#words.length) {
    for (let index = from; index < to; index += 1) {
      const [start, end, probability] = this.#numbers.subarray(3 * index, 3 * index + 3);
      yield { word: this.#words[index], start, end, probability };
    }
  }

  /** Yield {id, text, start, end, words} of all finals. */
  * finals() {
    for (const [id, first] of this.#finals.entries()) {
      const words = [...this.words(first, this.#finals[id + 1])];
      yield {
        id,
        text: words.map(({ word }) => word).join(''),
        start: words[0].start,
        end: words.at(-1).end,
        words,
      };
    }
  }

  #push({ word, start, end, probability }) {
    const at = 3 * this.#words.length;
    if (at === this.#numbers.length) {
      const larger = new Float64Array(2 * at);
      larger.set(this.#numbers);
      this.#numbers = larger;
    }
    const milliseconds = (seconds) => Math.round((seconds + this.#offset) * 1000);
    this.#words.push(word);
    this.#numbers.set([milliseconds(start), milliseconds(end), probability], at);
  }
}
