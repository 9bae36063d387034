// A <details> that behaves like a menu: it closes by Escape, by a tap elsewhere and when the
// keyboard leaves it. Opening it, and telling screen readers so, is the browser's own work.

export class Disclosure {
  #details;

  /** @param onOpen called each time that it opens */
  constructor(details, onOpen = () => {}) {
    this.#details = details;
    details.addEventListener('toggle', () => { if (details.open) onOpen(); });
    details.addEventListener('focusout', ({ relatedTarget }) => {
      if (relatedTarget && !details.contains(relatedTarget)) this.#close();
    });
    document.addEventListener('pointerdown', ({ target }) => {
      if (!details.contains(target)) this.#close();
    });
    // Before anybody else: an Escape that closes a menu must not stop the microphone as well.
    document.addEventListener('keydown', (event) => {
      if (event.key !== 'Escape' || !details.open) return;
      event.stopImmediatePropagation();
      this.close();
    }, { capture: true });
  }

  /** Close it; the focus goes back to the button that opened it. */
  close() {
    const inside = this.#details.contains(document.activeElement);
    this.#close();
    if (inside) this.#details.querySelector('summary').focus();
  }

  #close() {
    this.#details.open = false;
  }
}
