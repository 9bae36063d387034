// Keywords in the text, marked through the browser's Custom Highlight API: the text nodes stay as
// they are. A browser without it (Firefox before 140) shows the words unmarked.

const KEPT_WORDS = 64; // final words that a phrase, or a late message, may still refer to

export class Highlights {
  #sure = make('keyword');
  #guessed = make('keyword-guess');
  #words = []; // {start, end, node, from, to} of the newest final words
  #partial = []; // the same of the partial
  #pending = new Map(); // hits that are neither final nor taken back, by id

  /** The text of `words` stands in the text node `node` from `offset` on, for good. */
  addFinal(node, offset, words = []) {
    this.#words.push(...placed(node, offset, words));
    this.#words.splice(0, this.#words.length - KEPT_WORDS);
    this.showPartial(null);
  }

  /** The text of `words` stands in the text node `node` until the next call; null: there is none. */
  showPartial(node, words = []) {
    this.#partial = node ? placed(node, 0, words) : [];
    this.#markGuesses();
  }

  /** Take a `keyword` event, which comes behind the text that it is about. */
  mark(hit) {
    this.#pending.delete(hit.id);
    if (hit.final) {
      const range = this.#find(hit);
      if (range) this.#sure?.add(range);
    } else if (!hit.retracted) this.#pending.set(hit.id, hit);
    this.#markGuesses();
  }

  /** Forget the marks in a text node that leaves the page; return them, for `restore`. */
  take(node) {
    const ranges = [...this.#sure ?? []].filter(({ startContainer }) => startContainer === node);
    for (const range of ranges) this.#sure.delete(range);
    return ranges.map(({ startOffset, endOffset }) => [startOffset, endOffset]);
  }

  /** Mark a text node that comes back as it was marked when it left. */
  restore(node, marks) {
    for (const [from, to] of marks) this.#sure?.add(between(node, from, node, to));
  }

  /** A stream is over: its clock and its hits are. The marks stay. */
  close() {
    this.#words = [];
    this.#pending.clear();
    this.showPartial(null);
  }

  clear() {
    this.close();
    this.#sure?.clear();
  }

  #markGuesses() {
    this.#guessed?.clear();
    for (const hit of this.#pending.values()) {
      const range = this.#find(hit);
      if (range) this.#guessed?.add(range);
    }
  }

  #find({ start, end }) {
    const words = [...this.#words, ...this.#partial];
    const first = words.find((word) => word.start === start);
    const last = words.findLast((word) => word.end === end);
    return first && last ? between(first.node, first.from, last.node, last.to) : null;
  }
}

function make(name) {
  if (!window.CSS?.highlights) return null;
  const highlight = new Highlight();
  CSS.highlights.set(name, highlight);
  return highlight;
}

// Without the space before a word and the marks behind it.
function placed(node, offset, words) {
  return words.map(({ word, start, end }) => {
    const from = offset + word.length - word.trimStart().length;
    const to = offset + word.replace(/[\p{P}\s]+$/u, '').length;
    offset += word.length;
    return { start, end, node, from, to: Math.max(from, to) };
  });
}

function between(startNode, from, endNode, to) {
  const range = new Range();
  range.setStart(startNode, from);
  range.setEnd(endNode, to);
  return range;
}
