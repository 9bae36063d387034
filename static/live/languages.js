// The languages that the page offers, with their English names.

// The languages in which Whisper errs least, and the most spoken ones. If the server names the
// languages of its model, the page offers those instead.
export const COMMON = [
  'ar', 'ca', 'zh', 'cs', 'da', 'nl', 'en', 'fi', 'fr', 'de', 'el', 'he', 'hi', 'hu', 'id', 'it', 'ja',
  'ko', 'no', 'pl', 'pt', 'ro', 'ru', 'es', 'sv', 'th', 'tr', 'uk', 'ur', 'vi',
];

const OWN_NAMES = { jw: 'Javanese' }; // Whisper's code for it is not the standard one
const names = new Intl.DisplayNames(['en'], { type: 'language', fallback: 'code' });

export function nameOf(code) {
  try {
    return OWN_NAMES[code] ?? names.of(code);
  } catch {
    return code; // not a language code
  }
}
