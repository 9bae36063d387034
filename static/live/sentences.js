// Decides where sentences and paragraphs end, by the rules of the server's sentences.py.

const PAUSE_S = 2; // a longer pause begins a paragraph
const PARAGRAPH_LETTERS = 600; // a longer paragraph ends with the sentence …
const LONGEST_PARAGRAPH = 1500; // … and one longer than this ends with the word
const SENTENCE_END = /[.?!…。？！]["'”’)\]]*$/;
const ABBREVIATIONS = 'adm al approx bzw ca capt cf cmdr col dr etc fig fr gen gov hon hr jr lt m '
  + 'messrs mlle mme mr mrs ms mt nr prof rev sen sgt sig sr sra st str usw vgl vol vs';
// At the end: one of these, an initial ("J."), or letters with full stops ("e.g.", "z.B.").
const ABBREVIATED = new RegExp(
  `(?:^|[\\s("'“])(?:(?:${ABBREVIATIONS.replaceAll(' ', '|')})\\.|(?:\\p{L}\\.)*\\p{L}\\.)$`, 'iu',
);
// Punctuation that belongs to the word before. A final may begin with it.
const LEADING_MARK = /^(?:(?:[.,!?:;…”)\]}]+["'”]*|["']+)(?=\s|$)|[。，！？：、]+)/;

/** Return the punctuation at the start of `text` that belongs to the word before it, or ''. */
export function leadingMark(text) {
  return text.match(LEADING_MARK)?.[0] ?? '';
}

/** Return whether `text` ends with a sentence, as far as its punctuation shows. */
export function endsSentence(text) {
  return SENTENCE_END.test(text) && !ABBREVIATED.test(text);
}

/** Return whether a paragraph begins after the text `before` and a pause of `pause` seconds. */
export function beginsParagraph(before, pause) {
  if (pause > PAUSE_S || before.length > LONGEST_PARAGRAPH) return !ABBREVIATED.test(before);
  return before.length > PARAGRAPH_LETTERS && endsSentence(before);
}
