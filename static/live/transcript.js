import { beginsParagraph } from './sentences.js';

// The text on the page. Finals are written once and never changed: each paragraph is one text
// node that grows. The partial is a <span> right after this node, so that a word turns dark in
// the place where it was grey. Only the end of a long talk stays in the document; all paragraphs
// are kept as text.

const SHOWN_LETTERS = 20_000; // some 3500 words, a dozen screens
const MOST_LETTERS = 3 * SHOWN_LETTERS; // even if the reader has scrolled far up
const EARLIER_LETTERS = 10_000; // that one press of "Show earlier words" brings back

export class Transcript {
  #root;
  #follower;
  #highlights;
  #earlier;
  #partial = document.createElement('span');
  #lastEnd = null; // seconds on the stream's clock; null if the next words begin a paragraph
  #language = '';
  #kept = []; // {text, language, element, marks} of the finished paragraphs
  #hidden = 0; // how many of these are not in the document
  #shownLetters = 0;
  #text = null; // the text node of the last paragraph, which grows; null if there is none
  #unconfirmed = null; // the grey words that the last stream has left

  /**
   * @param root       the element for the paragraphs
   * @param follower   scrolls the text
   * @param highlights gets the places of words
   * @param earlier    the button that brings back paragraphs that have left the document
   */
  constructor({ root, follower, highlights, earlier }) {
    this.#root = root;
    this.#follower = follower;
    this.#highlights = highlights;
    this.#earlier = earlier;
    this.#partial.className = 'partial';
    this.#partial.setAttribute('aria-hidden', 'true');
    earlier.addEventListener('click', () => this.#showEarlier());
  }

  /** Show words that may still change, in place of the previous partial. */
  showPartial({ text, start, words }) {
    if (!text) this.#dropPartial();
    else {
      this.#place(start);
      this.#partial.textContent = text;
    }
    this.#highlights.showPartial(this.#partial.firstChild, words);
    this.#follower.follow();
  }

  /** Append words that will not change any more. */
  addFinal({ text, language, start, end, words }) {
    if (this.#begins(start)) this.#finishParagraph();
    this.#place(start);
    if (!this.#text) {
      this.#text = document.createTextNode('');
      this.#partial.before(this.#text);
    }
    const offset = this.#text.length;
    this.#text.appendData(text);
    this.#language = language ?? '';
    this.#text.parentElement.lang = this.#language;
    this.#partial.textContent = '';
    this.#highlights.addFinal(this.#text, offset, words);
    this.#lastEnd = end;
    this.#prune();
    this.#follower.follow();
  }

  /** End a stream: keep grey words that were not confirmed, and begin a paragraph after them. */
  close() {
    if (this.#partial.textContent) {
      const unconfirmed = this.#partial.cloneNode(true);
      unconfirmed.className = 'unconfirmed';
      unconfirmed.removeAttribute('aria-hidden');
      unconfirmed.title = 'The connection ended before these words were confirmed.';
      this.#partial.before(unconfirmed);
      this.#unconfirmed = unconfirmed;
    }
    this.#dropPartial();
    this.#highlights.close();
    this.#finishParagraph();
    this.#lastEnd = null;
  }

  /** Go on with the stream that was ended last: its grey words come again. */
  reopen() {
    const paragraph = this.#unconfirmed?.parentElement;
    this.#unconfirmed?.remove();
    this.#unconfirmed = null;
    if (paragraph && !paragraph.hasChildNodes()) paragraph.remove();
  }

  clear() {
    this.#unconfirmed = null;
    this.#root.replaceChildren();
    this.#highlights.clear();
    this.#kept = [];
    this.#hidden = 0;
    this.#shownLetters = 0;
    this.#text = null;
    this.#lastEnd = null;
    this.#showHidden();
    this.#follower.toEnd();
  }

  /** The final words, with an empty line between paragraphs. */
  get text() {
    const texts = this.#kept.map(({ text }) => text);
    if (this.#text) texts.push(this.#text.data);
    return texts.map((text) => text.trim()).join('\n\n');
  }

  #begins(start) {
    if (this.#lastEnd === null) return true;
    return beginsParagraph(this.#text?.data ?? '', start - this.#lastEnd);
  }

  // The partial begins the new paragraph, or its words would jump when they become final.
  #place(start) {
    const before = this.#partial.parentElement;
    let paragraph = this.#text?.parentElement;
    if (!paragraph || this.#begins(start)) {
      if (before?.firstChild === this.#partial) return; // it is in the new paragraph already
      paragraph = document.createElement('p');
      this.#root.append(paragraph);
    }
    if (before === paragraph) return;
    paragraph.append(this.#partial);
    if (before && !before.hasChildNodes()) before.remove();
  }

  // A partial that was taken back must not leave an empty paragraph.
  #dropPartial() {
    const paragraph = this.#partial.parentElement;
    this.#partial.textContent = '';
    this.#partial.remove();
    if (paragraph && !paragraph.hasChildNodes()) paragraph.remove();
  }

  #finishParagraph() {
    if (!this.#text) return;
    const element = this.#text.parentElement;
    this.#kept.push({ text: this.#text.data, language: this.#language, element, marks: [] });
    this.#shownLetters += this.#text.length;
    this.#text = null;
  }

  // While the reader reads further up, text above leaves the document only beyond a higher limit.
  #prune() {
    const most = this.#follower.following ? SHOWN_LETTERS : MOST_LETTERS;
    if (this.#shownLetters <= most) return;
    this.#follower.keepPlace(() => {
      while (this.#shownLetters > most) this.#hideFirst();
      this.#showHidden();
    });
  }

  #hideFirst() {
    const first = this.#kept[this.#hidden];
    while (this.#root.firstElementChild !== first.element) this.#root.firstElementChild.remove(); // unconfirmed words
    first.marks = this.#highlights.take(first.element.firstChild);
    first.element.remove();
    first.element = null;
    this.#shownLetters -= first.text.length;
    this.#hidden += 1;
  }

  #showEarlier() {
    const until = this.#shownLetters + EARLIER_LETTERS;
    this.#follower.keepPlace(() => {
      while (this.#hidden > 0 && this.#shownLetters < until) this.#showLastHidden();
      this.#showHidden();
    });
  }

  #showLastHidden() {
    this.#hidden -= 1;
    const last = this.#kept[this.#hidden];
    last.element = document.createElement('p');
    last.element.textContent = last.text;
    last.element.lang = last.language;
    this.#highlights.restore(last.element.firstChild, last.marks);
    this.#root.prepend(last.element);
    this.#shownLetters += last.text.length;
  }

  #showHidden() {
    this.#earlier.hidden = this.#hidden === 0;
  }
}
