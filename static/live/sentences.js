// Where sentences and paragraphs end, by the rules of the server's sentences.py.

const PAUSE_S = 2; // a longer one begins a paragraph
const PARAGRAPH_LETTERS = 600; // after so many a sentence ends the paragraph …
const LONGEST_PARAGRAPH = 1500; // … and after so many any word does
const SENTENCE_END = /[.?!…。？！]["'”’)\]]*$/;
const ABBREVIATIONS = 'adm al approx bzw ca capt cf cmdr col dr etc fig fr gen gov hon hr jr lt m '
  + 'messrs mlle mme mr mrs ms mt nr prof rev sen sgt sig sr sra st str usw vgl vol vs';
// One of these at the end, an initial ("J."), or letters with full stops between ("e.g.", "z.B.").
const ABBREVIATED = new RegExp(
  `(?:^|[\\s("'“])(?:(?:${ABBREVIATIONS.replaceAll(' ', '|')})\\.|(?:\\p{L}\\.)*\\p{L}\\.)$`, 'iu',
);
// A mark that ends the word before: a final may begin with it.
const LEADING_MARK = /^(?:(?:[.,!?:;…”)\]}]+["'”]*|["']+)(?=\s|$)|[。，！？：、]+)/;

/** The mark at the beginning of `text` that belongs to the word before it; '' if there is none. */
export function leadingMark(text) {
  return text.match(LEADING_MARK)?.[0] ?? '';
}

/** Whether `text` ends with a sentence, as far as its last mark tells. */
export function endsSentence(text) {
  return SENTENCE_END.test(text) && !ABBREVIATED.test(text);
}

/** Whether a new paragraph begins after the text `before` and `pause` seconds without a word. */
export function beginsParagraph(before, pause) {
  if (pause > PAUSE_S || before.length > LONGEST_PARAGRAPH) return !ABBREVIATED.test(before);
  return before.length > PARAGRAPH_LETTERS && endsSentence(before);
}
