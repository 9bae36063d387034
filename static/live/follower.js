// Scrolling: the text follows the speaker until the reader scrolls up, and follows again when the
// reader comes back to the end.

const AT_END_PX = 48; // closer to the end than this counts as reading along

export class Follower {
  #scroller;
  #jump;
  #following = true;
  #lastTop = 0;

  /** @param content what grows inside of `scroller`; @param jump the button back to the end */
  constructor({ scroller, content, jump }) {
    this.#scroller = scroller;
    this.#jump = jump;
    scroller.addEventListener('scroll', () => this.#noticeReader(), { passive: true });
    jump.addEventListener('click', () => {
      scroller.focus({ preventScroll: true }); // the button is about to vanish under the keyboard
      this.toEnd();
    });
    const sizes = new ResizeObserver(() => this.follow()); // a larger font, a turned phone
    sizes.observe(scroller);
    sizes.observe(content);
  }

  /** Whether the reader reads along. */
  get following() {
    return this.#following;
  }

  /** The text has grown. */
  follow() {
    if (this.#following) this.toEnd();
  }

  /** Let `change` add or take text above the reader's eyes; what they read stays where it is. */
  keepPlace(change) {
    const fromEnd = this.#scroller.scrollHeight - this.#scroller.scrollTop;
    change();
    this.#scroller.scrollTop = this.#scroller.scrollHeight - fromEnd;
    this.#lastTop = this.#scroller.scrollTop;
    // A button that has hidden itself must not take the keyboard's place on the page with it.
    if (document.activeElement === document.body) this.#scroller.focus({ preventScroll: true });
  }

  toEnd() {
    this.#following = true;
    this.#jump.hidden = true;
    this.#scroller.scrollTop = this.#scroller.scrollHeight;
    this.#lastTop = this.#scroller.scrollTop;
  }

  // Only the reader scrolls up; growth alone moves the end away without moving the text.
  #noticeReader() {
    const { scrollHeight, scrollTop, clientHeight } = this.#scroller;
    if (scrollHeight - scrollTop - clientHeight < AT_END_PX) this.#following = true;
    else if (scrollTop < this.#lastTop) this.#following = false;
    this.#lastTop = scrollTop;
    this.#jump.hidden = this.#following;
  }
}
