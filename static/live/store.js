// The browser's own database (IndexedDB), with promises. Nothing in it leaves this machine.

const NAME = 'transcripts';
const VERSION = 1;
const STORES = ['sheets', 'finals', 'sound'];

export class Store {
  #database;

  constructor(database) {
    this.#database = database;
  }

  /** Open the database. Null if the browser has none, as in some private windows. */
  static async open() {
    try {
      const request = indexedDB.open(NAME, VERSION);
      request.onupgradeneeded = () => {
        request.result.createObjectStore('sheets', { keyPath: 'id' }); // one for each transcript
        request.result.createObjectStore('finals'); // by [id of the sheet, number]
        request.result.createObjectStore('sound'); // slices by [id of the sheet, first sample]
      };
      return new Store(await settled(request));
    } catch {
      return null;
    }
  }

  /** Make some changes: all of them, or none. `change` gets the stores by name. */
  async change(change) {
    const transaction = this.#database.transaction(STORES, 'readwrite');
    const done = new Promise((resolve, reject) => {
      transaction.oncomplete = resolve;
      transaction.onabort = () => reject(transaction.error);
    });
    change(Object.fromEntries(STORES.map((name) => [name, transaction.objectStore(name)])));
    await done;
  }

  /** Return the value of a key. */
  get(name, key) {
    return settled(this.#database.transaction(name).objectStore(name).get(key));
  }

  /** Return all values of a store, or those of one sheet, in the order of their keys. */
  all(name, id = null) {
    const store = this.#database.transaction(name).objectStore(name);
    return settled(store.getAll(id === null ? null : ofSheet(id)));
  }
}

/** The keys [id, number] of a sheet, from number `from` on, or before number `to`. */
export function ofSheet(id, { from = 0, to = Infinity } = {}) {
  return IDBKeyRange.bound([id, from], [id, to], false, true);
}

function settled(request) {
  return new Promise((resolve, reject) => {
    request.onsuccess = () => resolve(request.result);
    request.onerror = () => reject(request.error);
  });
}
