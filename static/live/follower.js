// Scrolling: the text follows the speaker until the reader scrolls up, and follows again when the
// reader comes back to the end.

const AT_END_PX = 48; // a reader who is closer to the end than this follows

export class Follower {
  #scroller;
  #jump;
  #following = true;
  #lastTop = 0;

  /** @param content the element that grows in `scroller`; @param jump the button back to the end */
  constructor({ scroller, content, jump }) {
    this.#scroller = scroller;
    this.#jump = jump;
    scroller.addEventListener('scroll', () => this.#noticeReader(), { passive: true });
    jump.addEventListener('click', () => {
      scroller.focus({ preventScroll: true }); // `toEnd` hides the button that has the focus
      this.toEnd();
    });
    const sizes = new ResizeObserver(() => this.follow()); // for a larger font or a turned phone
    sizes.observe(scroller);
    sizes.observe(content);
  }

  /** Whether the reader follows the end of the text. */
  get following() {
    return this.#following;
  }

  /** Scroll to the end of the text, which has grown, if the reader follows it. */
  follow() {
    if (this.#following) this.toEnd();
  }

  /** Let `change` add or remove text above the visible part. The visible text does not move. */
  keepPlace(change) {
    const fromEnd = this.#scroller.scrollHeight - this.#scroller.scrollTop;
    change();
    this.#scroller.scrollTop = this.#scroller.scrollHeight - fromEnd;
    this.#lastTop = this.#scroller.scrollTop;
    // If `change` has hidden the button with the focus, the keyboard must keep its place here.
    if (document.activeElement === document.body) this.#scroller.focus({ preventScroll: true });
  }

  toEnd() {
    this.#following = true;
    this.#jump.hidden = true;
    this.#scroller.scrollTop = this.#scroller.scrollHeight;
    this.#lastTop = this.#scroller.scrollTop;
  }

  // Only the reader scrolls up. Growth moves the end away, but does not move the text.
  #noticeReader() {
    const { scrollHeight, scrollTop, clientHeight } = this.#scroller;
    if (scrollHeight - scrollTop - clientHeight < AT_END_PX) this.#following = true;
    else if (scrollTop < this.#lastTop) this.#following = false;
    this.#lastTop = scrollTop;
    this.#jump.hidden = this.#following;
  }
}
