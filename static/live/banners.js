// Messages that the reader must see: a problem and what to do about it. Every error and every
// rejected promise that no other code handles ends here.

const MOST = 3; // older ones are removed, so that the text keeps its space

export class Banners {
  #root;

  constructor(root) {
    this.#root = root;
  }

  /** Show `text` as an 'error' or a 'warning' until it is dismissed; the same text only once. */
  show(text, kind = 'error') {
    for (const shown of [...this.#root.children]) {
      if (shown.dataset.text === text) shown.remove();
    }
    const banner = document.createElement('div');
    banner.className = 'banner';
    banner.dataset.kind = kind;
    banner.dataset.text = text;
    banner.setAttribute('role', kind === 'error' ? 'alert' : 'status');
    const words = document.createElement('p');
    words.textContent = text;
    const dismiss = document.createElement('button');
    dismiss.type = 'button';
    dismiss.textContent = '×';
    dismiss.setAttribute('aria-label', 'Dismiss this message');
    dismiss.addEventListener('click', () => banner.remove());
    banner.append(words, dismiss);
    this.#root.append(banner);
    while (this.#root.children.length > MOST) this.#root.firstElementChild.remove();
  }

  clear() {
    this.#root.replaceChildren();
  }
}
