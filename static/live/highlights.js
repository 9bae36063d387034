// Marks keywords in the text through the browser's Custom Highlight API, which does not change the
// text nodes. A browser without it (Firefox before 140) shows the words unmarked.

const KEPT_WORDS = 64; // final words to which a phrase, or a late message, may still refer

export class Highlights {
  #sure = make('keyword');
  #guessed = make('keyword-guess');
  #words = []; // {start, end, node, from, to} of the newest final words
  #partial = []; // the same for the partial
  #pending = new Map(); // hits that are neither final nor retracted, by id

  /** Take final `words`. Their text is in the text node `node`, from `offset` on. */
  addFinal(node, offset, words = []) {
    this.#words.push(...placed(node, offset, words));
    this.#words.splice(0, this.#words.length - KEPT_WORDS);
    this.showPartial(null);
  }

  /** Take the `words` of the partial. Their text is the text node `node`; null if there is none. */
  showPartial(node, words = []) {
    this.#partial = node ? placed(node, 0, words) : [];
    this.#markGuesses();
  }

  /** Take a `keyword` event. It comes after the text that it refers to. */
  mark(hit) {
    this.#pending.delete(hit.id);
    if (hit.final) {
      const range = this.#find(hit);
      if (range) this.#sure?.add(range);
    } else if (!hit.retracted) this.#pending.set(hit.id, hit);
    this.#markGuesses();
  }

  /** Remove the marks of a text node that leaves the page; return them for `restore`. */
  take(node) {
    const ranges = [...this.#sure ?? []].filter(({ startContainer }) => startContainer === node);
    for (const range of ranges) this.#sure.delete(range);
    return ranges.map(({ startOffset, endOffset }) => [startOffset, endOffset]);
  }

  /** Restore the marks of a text node that comes back. */
  restore(node, marks) {
    for (const [from, to] of marks) this.#sure?.add(between(node, from, node, to));
  }

  /** End a stream: forget its word times and its open hits. The marks of final words stay. */
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

// The places of words, without the space before them and the punctuation after them.
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
