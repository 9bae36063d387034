// A <details> that behaves like a menu: it closes on Escape, on a tap elsewhere, and when the
// focus leaves it. The browser itself opens it and informs screen readers.

export class Disclosure {
  #details;

  /** @param onOpen called each time it opens */
  constructor(details, onOpen = () => {}) {
    this.#details = details;
    details.addEventListener('toggle', () => { if (details.open) onOpen(); });
    details.addEventListener('focusout', ({ relatedTarget }) => {
      if (relatedTarget && !details.contains(relatedTarget)) this.#close();
    });
    document.addEventListener('pointerdown', ({ target }) => {
      if (!details.contains(target)) this.#close();
    });
    // Before all other handlers: an Escape that closes a menu must not stop the microphone as well.
    document.addEventListener('keydown', (event) => {
      if (event.key !== 'Escape' || !details.open) return;
      event.stopImmediatePropagation();
      this.close();
    }, { capture: true });
  }

  /** Close it. If the focus is inside, it goes back to the button that opened it. */
  close() {
    const inside = this.#details.contains(document.activeElement);
    this.#close();
    if (inside) this.#details.querySelector('summary').focus();
  }

  #close() {
    this.#details.open = false;
  }
}
