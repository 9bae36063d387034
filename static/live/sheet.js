// The transcripts as the browser keeps them. The one on the page is a sheet: its finals, and, while
// somebody speaks, the sound that is not final yet and the place from which the server goes on. So a
// reload, a crash or a closed tab loses nothing. A final and the place after it are written together.

import { Store, ofSheet } from './store.js';

const CLAIMED_WITHIN_MS = 500; // a page that is just being left still has its sheet
const TITLE_LETTERS = 160;

export class Sheet {
  #opening = Store.open();
  #onError;
  #sheet = null; // {id, title, words, finals, seconds, place, live, cleared}; null until somebody speaks
  #lock = null; // promises the function that gives the sheet free for other tabs
  #changes = []; // that are not written yet
  #writes = Promise.resolve();

  /** @param onError called with what goes wrong when the browser writes */
  constructor(onError) {
    this.#onError = onError;
  }

  /**
   * Open the last sheet, unless it was cleared or another tab has it; see `take`. Forget what was
   * cleared.
   */
  async open() {
    const store = await this.#opening;
    if (!store) return null;
    const sheets = await store.all('sheets');
    for (const { id } of sheets.filter(({ cleared }) => cleared)) this.remove(id); // later
    const last = sheets.filter(({ cleared }) => !cleared).at(-1);
    return last ? this.take(last.id) : null;
  }

  /**
   * Take a sheet of the list to the page, and put the present one away. Return {finals, sound, place,
   * seconds}, or null if another tab has it. Each final has its event and the seconds before its
   * session. There is sound only if the sheet was left while somebody spoke, `seconds` into it.
   */
  async take(id) {
    const store = await this.#opening;
    const before = this.#sheet;
    const lock = claim(id);
    if (!await lock || this.#sheet !== before) { // another tab has it, or somebody has begun to speak
      release(lock);
      return null;
    }
    this.putAway();
    await this.#writes;
    const [sheet, finals, sound] = await Promise.all([
      store.get('sheets', id), store.all('finals', id), store.all('sound', id),
    ]);
    this.#sheet = sheet;
    this.#lock = lock;
    return { finals, sound, place: sheet.place, seconds: sheet.seconds };
  }

  /** The sheets that were put away, the newest first: {id, title, words, live}. */
  async list() {
    const store = await this.#opening;
    if (!store) return [];
    await this.#writes;
    const sheets = await store.all('sheets');
    const isPast = ({ id, cleared, finals, live }) => !cleared && (finals || live) && id !== this.#sheet?.id;
    return sheets.filter(isPast).reverse();
  }

  /** The text of a sheet in the list. */
  async textOf(id) {
    const store = await this.#opening;
    const finals = await store.all('finals', id);
    return finals.map(({ event }) => event.text).join('').trim();
  }

  /** Begin a session after `seconds`, or go on with one: {place, sound} of it. */
  begin(seconds, { place = null, sound = [] } = {}) {
    if (!this.#sheet) {
      this.#sheet = { id: new Date().toISOString(), title: '', words: 0, finals: 0, cleared: false };
      this.#lock = claim(this.#sheet.id);
    }
    Object.assign(this.#sheet, { seconds, place, live: true });
    const sheet = structuredClone(this.#sheet);
    this.#change((stores) => {
      stores.sheets.put(sheet);
      stores.sound.delete(ofSheet(sheet.id));
      for (const slice of sound) stores.sound.put(slice, [sheet.id, slice.first]);
    });
  }

  /** Keep a final, and the place after it. */
  addFinal(event, place) {
    if (!this.#sheet) return;
    const { id, finals, seconds, title, words } = this.#sheet;
    Object.assign(this.#sheet, {
      finals: finals + 1,
      place,
      words: words + (event.words?.length ?? 1),
      title: title.length < TITLE_LETTERS ? (title + event.text).trimStart().slice(0, TITLE_LETTERS) : title,
    });
    const sheet = structuredClone(this.#sheet);
    this.#change((stores) => {
      stores.sheets.put(sheet);
      stores.finals.put({ event, seconds }, [id, finals]);
    });
  }

  /** Keep the place from which the server can go on; drop the sound before sample `before`. */
  setPlace(place, before) {
    if (!this.#sheet) return;
    const { id } = this.#sheet;
    this.#sheet.place = place;
    const sheet = structuredClone(this.#sheet);
    this.#change(({ sheets, sound }) => {
      sheets.put(sheet);
      if (before > 0) sound.delete(ofSheet(id, { to: before }));
    });
  }

  /** Keep a slice that begins at sample `first`. */
  addSound(first, wav) {
    if (!this.#sheet) return;
    const { id } = this.#sheet;
    this.#change(({ sound }) => sound.put({ first, wav }, [id, first]));
  }

  /** End a session: its sound is not needed any more. */
  close() {
    if (this.#sheet) this.#leave({});
  }

  /** Put the sheet into the list; the next words begin another one. */
  putAway() {
    release(this.#lock);
    this.#sheet = this.#lock = null;
  }

  /** Take the sheet away; the next words begin another one. Return what `bringBack` needs, or null. */
  clear() {
    const taken = this.#sheet && { sheet: this.#sheet, lock: this.#lock };
    if (taken) this.#leave({ cleared: true });
    this.#sheet = this.#lock = null;
    return taken;
  }

  /** Undo `clear`; return the finals. */
  async bringBack({ sheet, lock }) {
    await this.#writes;
    this.putAway();
    [this.#sheet, this.#lock] = [sheet, lock];
    this.#leave({ cleared: false });
    await this.#writes;
    const store = await this.#opening;
    return store ? store.all('finals', sheet.id) : [];
  }

  /** Delete a sheet of the list for good. Return whether that was possible: another tab may have it. */
  async remove(id) {
    const lock = claim(id);
    if (!await lock) return false;
    this.#change(({ sheets, finals, sound }) => {
      sheets.delete(id);
      finals.delete(ofSheet(id));
      sound.delete(ofSheet(id));
    });
    await this.#writes;
    release(lock);
    return true;
  }

  #leave(state) {
    Object.assign(this.#sheet, state, { place: null, live: false });
    const sheet = structuredClone(this.#sheet);
    this.#change(({ sheets, sound }) => {
      sheets.put(sheet);
      sound.delete(ofSheet(sheet.id));
    });
  }

  // In the order of the calls. What comes while the browser writes is written together, afterwards.
  #change(change) {
    this.#changes.push(change);
    this.#writes = this.#writes.then(() => this.#writeAll()).catch(this.#onError);
  }

  async #writeAll() {
    const store = await this.#opening;
    const changes = this.#changes.splice(0);
    if (store && changes.length) await store.change((stores) => changes.forEach((change) => change(stores)));
  }
}

// Promise the function that gives the sheet free again, or null if another tab has the sheet.
function claim(id) {
  if (!navigator.locks) return Promise.resolve(() => {}); // without https
  return new Promise((resolve) => {
    const hold = () => new Promise((free) => { resolve(free); });
    const signal = AbortSignal.timeout(CLAIMED_WITHIN_MS);
    navigator.locks.request(`sheet ${id}`, { signal }, hold).catch(() => resolve(null));
  });
}

function release(lock) {
  lock?.then((free) => free?.());
}
