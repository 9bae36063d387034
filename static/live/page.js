// The page: connects the parts, and shows the state of the current session.

import { Announcer } from './announcer.js';
import { Archive } from './archive.js';
import { Banners } from './banners.js';
import { Chime } from './chime.js';
import { Disclosure } from './disclosure.js';
import { download } from './download.js';
import { Follower } from './follower.js';
import { Highlights } from './highlights.js';
import { Kept } from './kept.js';
import { Meter } from './meter.js';
import { Microphone } from './microphone.js';
import { Panel } from './panel.js';
import { Record } from './record.js';
import { Sample } from './sample.js';
import { meetServer, whyNot } from './server.js';
import { Session } from './session.js';
import { settings } from './settings.js';
import { Sheet } from './sheet.js';
import { FORMATS } from './subtitles.js';
import { Transcript } from './transcript.js';
import { WakeLock } from './wakelock.js';

const STATES = {
  idle: 'Ready',
  connecting: 'Connecting…',
  listening: 'Listening',
  reconnecting: 'Reconnecting; nothing is lost',
  finishing: 'Finishing…',
  done: 'Done',
  disconnected: 'Disconnected',
};

const REASONS = {
  1009: 'The server found a message too large and closed the connection.',
  1011: 'Something went wrong on the server. Press Start to try again.',
  1012: 'The server is restarting. Your words up to here are safe; press Start again in a moment.',
  1013: 'The server is full at the moment. Try again in a minute.',
  4401: 'This server needs a key, or a login. Log in, then reload the page.',
  4429: 'You have too many streams, or have sent too much sound. Try again in a minute.',
  4403: 'This page may not use the server.',
  4400: 'The server did not understand this page. Reload it, then try again.',
  4408: 'This recording has reached the length that the server allows. Press Start to go on with a new one.',
};

const LAG_SHOWN_FROM_S = 2;
const TOLD_MS = 1500; // how long the button says "Copied", and a note for screen readers stays

const { socket: socketPath, sample: sampleUrl, title } = document.body.dataset;
const element = (id) => document.getElementById(id);
const about = element('about').textContent;
const banners = new Banners(element('banners'));
const record = new Record();
const sheet = new Sheet(showError);
const archive = new Archive({ dialog: element('archive'), sheet, onOpen: openPast });
const announcer = new Announcer(element('log'));
const highlights = new Highlights();
const chime = new Chime();
const transcript = new Transcript({
  root: element('transcript'),
  follower: new Follower({
    scroller: element('scroller'), content: element('transcript'), jump: element('jump'),
  }),
  highlights,
  earlier: element('earlier'),
});
const meter = new Meter(element('meter'), (silent) => {
  element('hint').textContent = silent ? 'Nothing to hear. Is the microphone muted?' : '';
});
const panel = new Panel(element('settings'), settings);
const downloads = new Disclosure(element('downloads'));
const wakeLock = new WakeLock();

let session = null;
let telling = null; // the timer that removes the note for screen readers
let cleared = null; // what was cleared last, and can be brought back
let locked = ''; // why the server lets nobody in without a key
let unfinished = null; // {place, sound, seconds} of a session whose server did not come back
let lastHit = -1; // id of the newest keyword hit that was announced in this session

function showState(state) {
  const stopping = state === 'finishing' || Boolean(session?.stopping);
  const active = ['connecting', 'listening', 'reconnecting'].includes(state) && !stopping;
  element('state').dataset.state = state;
  element('state').dataset.speech = 'false';
  element('state-text').textContent = STATES[state];
  element('talk').setAttribute('aria-pressed', String(active));
  element('talk').setAttribute('aria-disabled', String(stopping)); // keeps the focus
  element('talk-text').textContent = stopping ? 'Finishing…' : (active ? 'Stop' : 'Start');
  element('sample').disabled = active || stopping;
  element('past').disabled = Boolean(session);
  element('settings-note').hidden = !session;
  document.title = ['listening', 'reconnecting'].includes(state) ? `● ${title}` : title;
  if (active) return;
  showLag(0);
  meter.rest();
}

function showLag(behind) {
  element('lag').hidden = !(behind >= LAG_SHOWN_FROM_S);
  element('lag').textContent = `${Number(behind).toFixed(1)} s behind`;
}

function showError(error) {
  banners.show(typeof error === 'string' ? error : error?.message || String(error));
}

function showText() {
  const any = element('transcript').childElementCount > 0;
  element('empty').hidden = any;
  element('clear').hidden = !any;
  element('new').hidden = !any || Boolean(session);
  element('undo').hidden = any || !cleared || Boolean(session);
  element('copy').hidden = !any || !navigator.clipboard; // without https there is no clipboard
  element('downloads').hidden = !any;
}

function listen() {
  const names = ['microphone', 'echoCancellation', 'noiseSuppression', 'autoGainControl'];
  const microphone = new Microphone(Object.fromEntries(names.map((name) => [name, settings.get(name)])));
  begin(microphone, () => {
    panel.findMicrophones().catch(showError);
    if (!microphone.isReplacement) return;
    const chosen = settings.get('microphoneName') || 'The chosen microphone';
    banners.show(`${chosen} is not there. The system’s default microphone is used instead.`, 'warning');
  });
}

// `words` asks for the times of words, so that the cues of the files are exact.
function address() {
  const query = new URLSearchParams({ words: '1', resumable: '1' });
  if (settings.get('language') !== 'auto') query.set('language', settings.get('language'));
  if (settings.get('keywords').trim()) query.set('keywords', settings.get('keywords'));
  return `${socketPath}?${query}`;
}

function begin(source, onSound = () => {}, kept = unfinished) {
  banners.clear();
  if (locked && !settings.get('key').trim()) {
    banners.show(locked, 'warning');
    return;
  }
  if (kept) {
    transcript.reopen();
    record.beginAt(kept.seconds);
  }
  unfinished = null;
  sheet.begin(record.offset, kept ?? {});
  lastHit = -1;
  wakeLock.hold();
  if (settings.get('keywords').trim() && settings.get('keywordSound')) chime.prepare();
  session = new Session(source, {
    onState: showState,
    onSound: (analyser) => {
      meter.follow(analyser);
      onSound();
    },
    onEvent: receive,
    onError: showError,
    onDropped: (seconds) => banners.show(
      `There is no connection, and only the last ${seconds / 60} minutes of sound can be kept.`, 'warning'),
    onLost: () => banners.show('The microphone went away. Plug it in, then press Start again.'),
    onRecorded: (first, wav) => sheet.addSound(first, wav),
    onPlace: () => sheet.setPlace(session.place, session.sound[0]?.first ?? 0),
    onOver: end,
  }, kept);
  session.begin(kept?.place?.path || address());
}

// Show the transcript that was on the page when it was left.
async function restore() {
  const kept = await sheet.open();
  if (kept) showKept(kept);
}

// Show a transcript of the list instead of the present one.
async function openPast(id) {
  const kept = await sheet.take(id);
  if (!kept) {
    banners.show('This transcript is open in another tab.', 'warning');
    return;
  }
  emptyPage();
  banners.clear();
  showKept(kept);
  element('talk').focus();
}

// Show a transcript, and finish what was being said when its page was left.
function showKept(kept) {
  show(kept.finals);
  if (!kept.sound.length) {
    closeText();
    return;
  }
  begin(new Kept(), undefined, kept);
  banners.show('This page was left while it was listening. What it had heard until then is being finished. '
    + 'Press Start to go on.', 'warning');
}

function emptyPage() {
  cleared = unfinished = null;
  transcript.clear();
  announcer.clear();
  record.clear();
}

function closeText() {
  transcript.close();
  record.close();
}

function show(finals) {
  let before = null; // the seconds before the session of the last final
  for (const { event, seconds } of finals) {
    if (before !== null && seconds !== before) transcript.close();
    if (seconds !== before) record.beginAt(seconds);
    before = seconds;
    transcript.addFinal(event);
    record.add(event);
  }
  showText();
}

function end({ state, opened, code, failed, seconds, unfinished: goesOn }) {
  if (goesOn) unfinished = { place: session.place, sound: session.sound, seconds: record.offset };
  session = null;
  wakeLock.release();
  transcript.close();
  announcer.flush();
  record.close(seconds);
  if (!goesOn) sheet.close();
  showText();
  showState(state);
  if (state !== 'disconnected' || failed) return; // all is well, or the server has given the reason
  if (goesOn && opened) {
    banners.show('The server did not come back. What you said is kept. Press Start to go on with it.');
    return;
  }
  explain(opened, code).catch(showError);
}

// A server that needs a key says so before anybody speaks.
async function askForKey() {
  const refused = await whyNot('entry', settings.get('key').trim());
  if (refused?.code !== 'unauthorized') return refused?.message;
  element('key-field').hidden = false;
  return `${refused.message} Enter it in the settings.`;
}

async function explain(opened, code) {
  const refused = opened ? '' : await askForKey();
  const reason = opened
    ? 'The connection was lost. Words that are still grey were not confirmed. Press Start to go on.'
    : refused || 'The server could not be reached. Press Start to try again.';
  banners.show(REASONS[code] ?? reason);
}

function receive(event) {
  switch (event.type) {
    case 'ready':
      showAbout(event);
      if (event.languages) panel.offerLanguages(event.languages);
      break;
    case 'partial':
      transcript.showPartial(event);
      showText();
      break;
    case 'final':
      transcript.addFinal(event);
      announcer.add(event);
      record.add(event);
      sheet.addFinal(event, session.place);
      cleared = null;
      showText();
      break;
    case 'keyword':
      showKeyword(event);
      break;
    case 'speech_started':
    case 'speech_ended':
      element('state').dataset.speech = String(event.type === 'speech_started' && !session?.stopping);
      break;
    case 'lag':
      showLag(event.behind_s);
      break;
    case 'error':
      if (event.code === 'draining') break; // the close code that follows has a better text
      banners.show(event.message || `The server reports: ${event.code}.`);
      break;
    default: // `ack`, `done` and messages of later versions show nothing
  }
}

// Each hit is announced once: when it is guessed, or when it is final without a guess before.
function showKeyword(hit) {
  highlights.mark(hit);
  if (hit.retracted || hit.id <= lastHit) return;
  lastHit = hit.id;
  tell(`Keyword: ${hit.keyword}`);
  if (settings.get('keywordSound')) chime.ring();
}

function showAbout({ model, language, warnings }) {
  for (const warning of warnings ?? []) banners.show(warning, 'warning');
  const facts = [model && `Model ${model}.`, language && language !== 'auto' && `Language ${language}.`];
  element('about').textContent = [about, ...facts].filter(Boolean).join(' ');
}

function explainMicrophone() {
  const sampleWorks = sampleUrl ? ' The sample works here all the same.' : '';
  banners.show(Microphone.unavailable + sampleWorks, 'warning');
}

// Show a note to screen readers only.
function tell(text) {
  element('told').textContent = text;
  clearTimeout(telling);
  telling = setTimeout(() => { element('told').textContent = ''; }, TOLD_MS);
}

async function copyText() {
  await navigator.clipboard.writeText(transcript.text);
  element('copy').textContent = 'Copied';
  tell('The text is in the clipboard.');
  setTimeout(() => { element('copy').textContent = 'Copy'; }, TOLD_MS);
}

function save(style) {
  const now = new Date();
  const local = new Date(now - now.getTimezoneOffset() * 60_000).toISOString(); // 2026-11-21T09:30:…
  const { type, write } = FORMATS[style];
  download(`transcript-${local.slice(0, 16).replace('T', '-').replace(':', '')}.${style}`, write(record), type);
  downloads.close();
}

element('talk').addEventListener('click', () => {
  if (session) session.finish();
  else if (Microphone.available()) listen();
  else explainMicrophone();
});
element('sample').addEventListener('click', () => {
  if (!session) begin(new Sample(sampleUrl));
});
element('copy').addEventListener('click', () => copyText().catch(showError));
for (const button of element('downloads').querySelectorAll('[data-style]')) {
  button.addEventListener('click', () => save(button.dataset.style));
}
element('undo').addEventListener('click', async () => {
  const finals = await sheet.bringBack(cleared).catch(showError);
  cleared = null;
  show(finals ?? []);
  closeText();
  element('talk').focus();
});
element('past').addEventListener('click', () => archive.show().catch(showError));
element('new').addEventListener('click', () => {
  sheet.putAway();
  emptyPage();
  showText();
  element('talk').focus(); // the pressed button is hidden now
});
element('clear').addEventListener('click', () => {
  const taken = sheet.clear();
  emptyPage();
  cleared = taken;
  if (session) sheet.begin(record.offset, session);
  showText();
  element('talk').focus(); // the pressed button is hidden now
});
document.addEventListener('keydown', (event) => {
  if (event.key === 'Escape' && !archive.open) session?.finish();
});
window.addEventListener('beforeunload', (event) => {
  if (session) event.preventDefault(); // the browser asks whether to leave
});
window.addEventListener('unhandledrejection', (event) => showError(event.reason));
window.addEventListener('error', (event) => showError(event.error ?? event.message));
// If the policy forbids RecordRTC's worker, no slices come, and nothing else reports it.
document.addEventListener('securitypolicyviolation', ({ blockedURI, effectiveDirective }) => {
  showError(`The server's security policy forbids ${blockedURI} (${effectiveDirective}).`);
});

meetServer('readyz', {
  onReady: showAbout,
  onTrouble: (status) => banners.show(`The server is not ready: ${status}`, 'warning'),
});
restore().catch(showError);
askForKey().then((refused) => {
  locked = refused ?? '';
  if (locked) banners.show(locked, 'warning');
}).catch(showError);
element('key-field').hidden = !settings.get('key');
element('sample').hidden = !sampleUrl;
if (!Microphone.available()) explainMicrophone();
