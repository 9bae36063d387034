// The settings on the page: each control shows and changes the setting that its `data-setting`
// names. Languages and microphones are filled in here, because the HTML cannot know them.

import { Disclosure } from './disclosure.js';
import { COMMON, nameOf } from './languages.js';

export class Panel {
  #settings;
  #languages;
  #microphones;
  #microphoneHint;

  constructor(details, settings) {
    this.#settings = settings;
    this.#languages = details.querySelector('[data-setting="language"]');
    this.#microphones = details.querySelector('[data-setting="microphone"]');
    this.#microphoneHint = details.querySelector('#microphone-hint');
    this.offerLanguages(COMMON);
    for (const control of details.querySelectorAll('[data-setting]')) this.#bind(control);
    new Disclosure(details, () => this.findMicrophones());
    navigator.mediaDevices?.addEventListener?.('devicechange', () => this.findMicrophones());
  }

  /** Offer the languages of these codes, and the chosen language. */
  offerLanguages(codes) {
    const chosen = this.#settings.get('language');
    const offered = new Set(codes);
    if (chosen !== 'auto') offered.add(chosen);
    const options = [...offered].map((code) => new Option(`${nameOf(code)} (${code})`, code));
    options.sort((one, other) => one.text.localeCompare(other.text, 'en'));
    this.#languages.replaceChildren(new Option('Detect automatically', 'auto'), ...options);
    this.#languages.value = chosen;
  }

  /** Offer the microphones that the browser names. It names none before the page may use one. */
  async findMicrophones() {
    const devices = await navigator.mediaDevices?.enumerateDevices?.() ?? [];
    const named = devices.filter(({ kind, deviceId, label }) => kind === 'audioinput' && label
      && !['default', 'communications'].includes(deviceId)); // Chrome's aliases for one of them
    this.#microphoneHint.hidden = named.length > 0;
    this.#recognise(named);
    const options = named.map(({ deviceId, label }) => new Option(label, deviceId));
    const chosen = this.#settings.get('microphone');
    if (chosen && !named.some(({ deviceId }) => deviceId === chosen)) {
      options.push(new Option(this.#settings.get('microphoneName') || 'The one chosen before', chosen));
    }
    this.#microphones.replaceChildren(new Option('System default', ''), ...options);
    this.#microphones.value = chosen;
  }

  // Some browsers give a microphone a new id at every visit. Its label stays.
  #recognise(named) {
    const chosen = this.#settings.get('microphone');
    if (!chosen || named.some(({ deviceId }) => deviceId === chosen)) return;
    const same = named.find(({ label }) => label === this.#settings.get('microphoneName'));
    if (same) this.#settings.set('microphone', same.deviceId);
  }

  #bind(control) {
    const name = control.dataset.setting;
    const value = this.#settings.get(name);
    if (control.type === 'checkbox') control.checked = value;
    else if (control.type === 'radio') control.checked = control.value === value;
    else control.value = value;
    control.addEventListener('change', () => {
      this.#settings.set(name, control.type === 'checkbox' ? control.checked : control.value);
      if (name === 'microphone') this.#settings.set('microphoneName', control.selectedOptions[0].text);
    });
  }
}
