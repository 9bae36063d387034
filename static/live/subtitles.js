import { beginsParagraph, endsSentence, leadingMark } from './sentences.js';

// Writes a transcript as text, SubRip, WebVTT or JSON, by the rules of the server's subtitles.py: a
// cue ends with a sentence, before a pause of over 1 s, or at two lines of 42 letters or 7 s.

const PAUSE_MS = 1000;
const CUE_LETTERS = 84;
const CUE_MS = 7000;

/** Yield each cue, {text, start, end}: as many of `words` as can be read while they are spoken. */
function* cues(words) {
  let cue = null;
  for (const { word, start, end } of withTheirMarks(words)) {
    if (cue && isFull(cue, word, start, end)) {
      yield finished(cue);
      cue = null;
    }
    cue ??= { text: '', start, end: start };
    cue.text += word;
    cue.end = end;
  }
  if (cue) yield finished(cue);
}

/** Yield each word with the mark after it, even if the word became final before its mark. */
function* withTheirMarks(words) {
  let last = null;
  for (const word of words) {
    const mark = last ? leadingMark(word.word) : '';
    if (mark) last.word += mark;
    const rest = word.word.slice(mark.length);
    if (!rest) continue;
    if (last) yield last;
    last = { ...word, word: rest };
  }
  if (last) yield last;
}

function isFull(cue, word, start, end) {
  return endsSentence(cue.text)
    || start - cue.end > PAUSE_MS
    || end - cue.start > CUE_MS
    || letters(cue.text) + letters(word) > CUE_LETTERS;
}

function finished({ text, start, end }) {
  return { text: text.trim(), start, end: Math.max(start, end) };
}

function asText(record) {
  const paragraphs = [];
  let last = 0;
  for (const { text, start, end } of record.finals()) {
    if (!paragraphs.length || beginsParagraph(paragraphs.at(-1), (start - last) / 1000)) paragraphs.push('');
    paragraphs[paragraphs.length - 1] += text;
    last = end;
  }
  return map(paragraphs, (text) => text.trim()).join('\n\n');
}

function asSrt(record) {
  return map(cues(record.words()), ({ text, start, end }, index) => (
    `${index + 1}\n${clock(start, ',')} --> ${clock(end, ',')}\n${text}\n`
  )).join('\n');
}

function asVtt(record) {
  const blocks = map(cues(record.words()), ({ text, start, end }) => (
    `${clock(start, '.')} --> ${clock(end, '.')}\n${escaped(text)}\n`
  ));
  return ['WEBVTT\n', ...blocks].join('\n');
}

function asJson(record) {
  const finals = map(record.finals(), (final) => ({
    ...final,
    ...seconds(final),
    words: final.words.map((word) => ({ ...word, ...seconds(word) })),
  }));
  const text = finals.map((final) => final.text).join('');
  return JSON.stringify({ text, language: record.language, finals }, null, 2);
}

/** Each `write` takes a Record and returns the content of a file. */
export const FORMATS = {
  txt: { type: 'text/plain', write: asText },
  srt: { type: 'application/x-subrip', write: asSrt },
  vtt: { type: 'text/vtt', write: asVtt },
  json: { type: 'application/json', write: asJson },
};

function map(items, change) {
  return Array.from(items, change);
}

function letters(text) {
  return Array.from(text).length;
}

function seconds({ start, end }) {
  return { start: start / 1000, end: end / 1000 };
}

function clock(time, point) {
  const digits = (number, length = 2) => String(number).padStart(length, '0');
  const hours = digits(Math.floor(time / 3_600_000));
  const minutes = digits(Math.floor(time / 60_000) % 60);
  return `${hours}:${minutes}:${digits(Math.floor(time / 1000) % 60)}${point}${digits(time % 1000, 3)}`;
}

function escaped(text) {
  return text.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;');
}
