// The transcript on the page as the browser keeps it: its finals, and, while somebody speaks, the sound
// that is not final yet and the place from which the server goes on. So a reload, a crash or a closed
// tab loses nothing. A final and the place after it are written together.

import { Store, ofSheet } from './store.js';

const CLAIMED_WITHIN_MS = 500; // a page that is just being left still has its sheet

export class Sheet {
  #opening = Store.open();
  #onError;
  #sheet = null; // {id, finals, seconds, place, cleared}; null until somebody speaks
  #writes = Promise.resolve();

  /** @param onError called with what goes wrong when the browser writes */
  constructor(onError) {
    this.#onError = onError;
  }

  /**
   * Open the browser's store. Return the last sheet, unless it was cleared or another tab has it:
   * {finals, sound, place, seconds}. Each final has its event and the seconds before its session.
   * There is sound only if the page was left while somebody spoke, `seconds` into the sheet.
   */
  async open() {
    const store = await this.#opening;
    if (!store) return null;
    const sheets = await store.all('sheets');
    for (const { id } of sheets.filter(({ cleared }) => cleared)) this.#forget(id);
    const last = sheets.filter(({ cleared }) => !cleared).at(-1);
    if (!last || !await claim(last.id) || this.#sheet) return null; // another tab has it, or somebody speaks
    this.#sheet = last;
    const [finals, sound] = await Promise.all([store.all('finals', last.id), store.all('sound', last.id)]);
    return { finals, sound, place: last.place, seconds: last.seconds };
  }

  /** Begin a session after `seconds`, or go on with one: {place, sound} of it. */
  begin(seconds, { place = null, sound = [] } = {}) {
    if (!this.#sheet) {
      this.#sheet = { id: new Date().toISOString(), finals: 0, cleared: false };
      claim(this.#sheet.id);
    }
    Object.assign(this.#sheet, { seconds, place });
    const sheet = structuredClone(this.#sheet);
    this.#change(['sheets', 'sound'], (stores) => {
      stores.sheets.put(sheet);
      stores.sound.delete(ofSheet(sheet.id));
      for (const slice of sound) stores.sound.put(slice, [sheet.id, slice.first]);
    });
  }

  /** Keep a final, and the place after it. */
  addFinal(event, place) {
    if (!this.#sheet) return;
    const { id, finals, seconds } = this.#sheet;
    this.#sheet.finals += 1;
    this.#sheet.place = place;
    const sheet = structuredClone(this.#sheet);
    this.#change(['sheets', 'finals'], (stores) => {
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
    this.#change(['sheets', 'sound'], ({ sheets, sound }) => {
      sheets.put(sheet);
      if (before > 0) sound.delete(ofSheet(id, { to: before }));
    });
  }

  /** Keep a slice that begins at sample `first`. */
  addSound(first, wav) {
    if (!this.#sheet) return;
    const { id } = this.#sheet;
    this.#change(['sound'], ({ sound }) => sound.put({ first, wav }, [id, first]));
  }

  /** End a session: its sound is not needed any more. */
  close() {
    if (this.#sheet) this.#leave({});
  }

  /** Put the sheet away; the next words begin another one. Return what `bringBack` needs, or null. */
  clear() {
    const put = this.#sheet;
    if (put) this.#leave({ cleared: true });
    this.#sheet = null;
    return put;
  }

  /** Undo `clear`. */
  async bringBack(put) {
    await this.#writes;
    if (this.#sheet) this.#leave({ cleared: true });
    this.#sheet = put;
    this.#leave({ cleared: false });
    await this.#writes;
    const store = await this.#opening;
    return store ? store.all('finals', put.id) : [];
  }

  #forget(id) {
    this.#change(['sheets', 'finals', 'sound'], ({ sheets, finals, sound }) => {
      sheets.delete(id);
      finals.delete(ofSheet(id));
      sound.delete(ofSheet(id));
    });
  }

  #leave(state) {
    Object.assign(this.#sheet, state, { place: null });
    const sheet = structuredClone(this.#sheet);
    this.#change(['sheets', 'sound'], ({ sheets, sound }) => {
      sheets.put(sheet);
      sound.delete(ofSheet(sheet.id));
    });
  }

  // One after the other, in the order of the calls.
  #change(names, change) {
    const write = async () => (await this.#opening)?.change(names, change);
    this.#writes = this.#writes.then(write).catch(this.#onError);
  }
}

// Whether this tab may go on with a sheet. It keeps the sheet until it is closed.
function claim(id) {
  if (!navigator.locks) return Promise.resolve(true); // without https
  return new Promise((resolve) => {
    navigator.locks.request(`sheet ${id}`, { signal: AbortSignal.timeout(CLAIMED_WITHIN_MS) }, () => {
      resolve(true);
      return new Promise(() => {});
    }).catch(() => resolve(false));
  });
}
