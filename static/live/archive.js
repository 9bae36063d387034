// The dialog with the past transcripts: what the browser keeps, with a search through all words.

const SEARCH_AFTER_MS = 200; // after the last key
const AROUND_LETTERS = 60; // of text around what was found

export class Archive {
  #dialog;
  #list;
  #search;
  #note;
  #sheet;
  #onOpen;
  #timer = null;
  #round = 0; // counts the searches: an older one stops

  /**
   * @param dialog the <dialog>, with a search field, a list and a note
   * @param sheet  keeps the transcripts
   * @param onOpen called with the id of the transcript to open; may return a promise
   */
  constructor({ dialog, sheet, onOpen }) {
    this.#dialog = dialog;
    this.#sheet = sheet;
    this.#onOpen = onOpen;
    this.#list = dialog.querySelector('ul');
    this.#search = dialog.querySelector('input');
    this.#note = dialog.querySelector('[role="status"]');
    this.#search.addEventListener('input', () => {
      clearTimeout(this.#timer);
      this.#timer = setTimeout(() => this.#show(), SEARCH_AFTER_MS);
    });
    dialog.addEventListener('click', ({ target }) => {
      if (target === dialog) dialog.close(); // beside it
    });
  }

  get open() {
    return this.#dialog.open;
  }

  /** Show the dialog. */
  async show() {
    this.#search.value = '';
    await this.#show();
    this.#dialog.showModal();
  }

  async #show() {
    this.#round += 1;
    const round = this.#round;
    const wanted = this.#search.value.trim();
    const sheets = await this.#sheet.list();
    if (round !== this.#round) return;
    this.#list.replaceChildren();
    for (const sheet of sheets) {
      const found = wanted ? excerpt(await this.#sheet.textOf(sheet.id), wanted) : [sheet.title];
      if (round !== this.#round) return;
      if (found) this.#list.append(this.#entry(sheet, found));
    }
    this.#describe(sheets.length);
  }

  #describe(kept) {
    const shown = this.#list.childElementCount;
    this.#search.hidden = !kept;
    if (!kept) this.#note.textContent = 'None yet. “New” puts the transcript on the page here.';
    else if (!shown) this.#note.textContent = 'Nobody said that.';
    else this.#note.textContent = shown === 1 ? '1 transcript' : `${shown} transcripts`;
  }

  #entry(sheet, [before, match = '', after = '']) {
    const entry = document.createElement('li');
    const open = button('entry', async () => {
      this.#dialog.close();
      await this.#onOpen(sheet.id);
    });
    const time = new Date(sheet.id).toLocaleString([], { dateStyle: 'medium', timeStyle: 'short' });
    const facts = [time, sheet.words === 1 ? '1 word' : `${sheet.words} words`];
    if (sheet.live) facts.push('not finished');
    const text = document.createElement('span');
    text.className = 'excerpt';
    text.append(before || (match ? '' : 'No words yet'));
    if (match) {
      const mark = document.createElement('mark');
      mark.textContent = match;
      text.append(mark, after);
    }
    const head = document.createElement('span');
    head.className = 'facts';
    head.textContent = facts.join(' · ');
    open.append(head, text);
    entry.append(open, this.#remover(sheet, entry, time));
    return entry;
  }

  // The button that deletes a transcript. It asks first.
  #remover(sheet, entry, time) {
    const name = (text) => {
      remove.textContent = text;
      remove.setAttribute('aria-label', `${text} The transcript of ${time}`);
    };
    const remove = button('quiet', async () => {
      if (remove.textContent === 'Delete') {
        name('Delete for good?');
      } else if (await this.#sheet.remove(sheet.id)) {
        entry.remove();
        this.#describe(this.#list.childElementCount);
        this.#dialog.querySelector('.close').focus();
      } else {
        this.#note.textContent = 'This transcript is open in another tab.';
      }
    });
    remove.addEventListener('blur', () => name('Delete'));
    name('Delete');
    return remove;
  }
}

function button(name, onClick) {
  const made = document.createElement('button');
  made.type = 'button';
  made.className = name;
  made.addEventListener('click', onClick);
  return made;
}

// Return the text before a match, the match, and the text after it; null if there is none.
function excerpt(text, wanted) {
  const at = text.toLowerCase().indexOf(wanted.toLowerCase());
  if (at < 0) return null;
  const end = at + wanted.length;
  const begin = at <= AROUND_LETTERS ? 0 : text.indexOf(' ', at - AROUND_LETTERS) + 1;
  const before = (begin ? '… ' : '') + text.slice(Math.min(begin, at), at);
  return [before, text.slice(at, end), text.slice(end, end + 2 * AROUND_LETTERS)];
}
