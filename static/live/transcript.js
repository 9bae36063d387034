// The text on the page. Finals are written once and never touched again; the one partial lives
// in a single <span> right behind them, so that a word turns dark in the place where it stood grey.

const NEW_PARAGRAPH_AFTER_S = 2;
const AT_END_PX = 48; // closer to the end than this counts as reading along

export class Transcript {
  #root;
  #scroller;
  #jump;
  #partial = document.createElement('span');
  #lastEnd = null; // seconds on the stream's clock; null: the next words begin a paragraph
  #texts = []; // one string for each paragraph
  #following = true;

  constructor({ root, scroller, jump }) {
    this.#root = root;
    this.#scroller = scroller;
    this.#jump = jump;
    this.#partial.className = 'partial';
    this.#partial.setAttribute('aria-hidden', 'true');
    scroller.addEventListener('scroll', () => this.#noticeReader(), { passive: true });
    jump.addEventListener('click', () => this.#toEnd());
    new ResizeObserver(() => this.#follow()).observe(scroller);
  }

  /** Show what may still change; it replaces the previous partial. */
  showPartial({ text, start }) {
    if (text) this.#paragraphFor(start).append(this.#partial);
    this.#partial.textContent = text;
    this.#tidy();
    this.#follow();
  }

  /** Append words that will not change any more. */
  addFinal({ id, text, start, end }) {
    const paragraph = this.#paragraphFor(start);
    if (this.#begins(start)) this.#texts.push('');
    this.#texts[this.#texts.length - 1] += text;
    const words = document.createElement('span');
    words.dataset.id = id;
    words.textContent = text;
    this.#partial.textContent = '';
    paragraph.append(words, this.#partial);
    this.#lastEnd = end;
    this.#follow();
  }

  /** The stream is over: keep grey words that nobody confirmed, and begin anew after them. */
  close() {
    if (this.#partial.textContent) {
      const unconfirmed = this.#partial.cloneNode(true);
      unconfirmed.className = 'unconfirmed';
      unconfirmed.title = 'The connection ended before these words were confirmed.';
      this.#partial.before(unconfirmed);
    }
    this.#partial.textContent = '';
    this.#partial.remove();
    this.#lastEnd = null;
  }

  clear() {
    this.#root.replaceChildren();
    this.#texts = [];
    this.#lastEnd = null;
    this.#toEnd();
  }

  /** The confirmed words; an empty line between paragraphs. */
  get text() {
    return this.#texts.map((text) => text.trim()).join('\n\n');
  }

  #begins(start) {
    return this.#lastEnd === null || start - this.#lastEnd > NEW_PARAGRAPH_AFTER_S;
  }

  // The partial moves to the new paragraph already, or its words would jump when they turn final.
  #paragraphFor(start) {
    const last = this.#root.lastElementChild;
    if (last && !this.#begins(start)) return last;
    if (last && last === this.#partial.parentElement && last.children.length === 1) return last;
    const paragraph = document.createElement('p');
    this.#root.append(paragraph);
    return paragraph;
  }

  // A partial that was taken back must not leave an empty paragraph behind.
  #tidy() {
    const paragraph = this.#partial.parentElement;
    if (paragraph && !this.#partial.textContent && paragraph.children.length === 1) paragraph.remove();
    for (const empty of this.#root.querySelectorAll('p:empty')) empty.remove();
  }

  #noticeReader() {
    const { scrollHeight, scrollTop, clientHeight } = this.#scroller;
    this.#following = scrollHeight - scrollTop - clientHeight < AT_END_PX;
    this.#jump.hidden = this.#following;
  }

  #follow() {
    if (this.#following) this.#toEnd();
  }

  #toEnd() {
    this.#scroller.scrollTop = this.#scroller.scrollHeight;
  }
}
