// The reader's choices, kept between visits if the browser allows it. In a private window, or
// where storage is forbidden, they last until the page is closed.

const KEY = 'whisper-live';

const DEFAULTS = {
  language: 'auto', // or a code such as 'de'
  keywords: '', // words or phrases, with commas between
  keywordSound: true,
  key: '', // opens a server that asks for one
  microphone: '', // a deviceId; '' is the system’s default
  microphoneName: '', // its label, for when that id is missing
  echoCancellation: true,
  noiseSuppression: true,
  autoGainControl: true,
  textSize: 'normal', // 'small' | 'normal' | 'large' | 'huge'
  theme: 'auto', // 'auto' | 'light' | 'dark'
};

export class Settings {
  #values = { ...DEFAULTS };
  #listeners = [];

  constructor() {
    const stored = read();
    for (const [name, fallback] of Object.entries(DEFAULTS)) {
      if (typeof stored[name] === typeof fallback) this.#values[name] = stored[name];
    }
  }

  get(name) {
    return this.#values[name];
  }

  set(name, value) {
    if (!(name in DEFAULTS)) throw new Error(`There is no setting ${name}.`);
    if (this.#values[name] === value) return;
    this.#values[name] = value;
    write(this.#values);
    for (const listener of this.#listeners) listener(name);
  }

  /** Call `listener` with the name of each setting that changes. */
  onChange(listener) {
    this.#listeners.push(listener);
  }
}

function read() {
  try {
    return Object(JSON.parse(localStorage.getItem(KEY)));
  } catch {
    return {};
  }
}

function write(values) {
  try {
    localStorage.setItem(KEY, JSON.stringify(values));
  } catch {
    // The storage is full or forbidden: the choice lasts for this visit.
  }
}

/** The choices of this page, for all its modules. */
export const settings = new Settings();
