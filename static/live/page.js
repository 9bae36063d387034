// The page: wires the parts together and owns the one thing they share, the state of the
// current session (a source of sound and a connection, from Start until it is done).

import { Banners } from './banners.js';
import { Meter } from './meter.js';
import { Microphone } from './microphone.js';
import { Sample } from './sample.js';
import { Connection } from './socket.js';
import { Transcript } from './transcript.js';

const STATES = {
  idle: 'Ready',
  connecting: 'Connecting…',
  listening: 'Listening',
  finishing: 'Finishing…',
  done: 'Done',
  disconnected: 'Disconnected',
};

const REASONS = {
  1009: 'The server found a message too large and closed the connection.',
  1011: 'Something went wrong on the server. Press Start to try again.',
  1012: 'The server is restarting. Your words up to here are safe; press Start again in a moment.',
  1013: 'The server is full at the moment. Try again in a minute.',
  4400: 'The server did not understand this page. Reload it, then try again.',
  4401: 'The server wants you to sign in first.',
  4403: 'The server does not accept this page, or your quota is used up.',
  4408: 'The server closed the connection: nothing was said for long, or the session reached its limit.',
  4429: 'The server received too much from here. Wait a little, then press Start again.',
};

const LAG_SHOWN_FROM_S = 2;

const { socket: socketPath, sample: sampleUrl, title } = document.body.dataset;
const element = (id) => document.getElementById(id);
const about = element('about').textContent;
const banners = new Banners(element('banners'));
const transcript = new Transcript({
  root: element('transcript'), scroller: element('scroller'), jump: element('jump'),
});
const meter = new Meter(element('meter'), (silent) => {
  element('hint').textContent = silent ? 'Nothing to hear. Is the microphone muted?' : '';
});

let session = null; // {source, connection, stopping}

function showState(state) {
  const active = state === 'connecting' || state === 'listening';
  element('state').dataset.state = state;
  element('state').dataset.speech = 'false';
  element('state-text').textContent = STATES[state];
  element('talk').setAttribute('aria-pressed', String(active));
  element('talk').setAttribute('aria-disabled', String(state === 'finishing')); // keeps the focus
  element('talk-text').textContent = { finishing: 'Finishing…' }[state] ?? (active ? 'Stop' : 'Start');
  element('sample').disabled = active || state === 'finishing';
  document.title = state === 'listening' ? `● ${title}` : title;
  if (!active) showLag(0);
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
  element('copy').hidden = !any || !navigator.clipboard; // without https there is no clipboard
}

/** Run one session. Up to the first await inside `source.open()` this still is the user's tap. */
async function begin(source) {
  const mine = { source, connection: null, stopping: false, failed: false };
  session = mine;
  banners.clear();
  showState('connecting');
  try {
    await source.open();
    if (mine.stopping) return;
    mine.connection = new Connection(socketPath, {
      onEvent: (event) => receive(mine, event),
      onClose: (how) => end(mine, how),
    });
    source.start({
      onSlice: (wav) => mine.connection.sendSlice(wav),
      onError: showError,
      onEnd: () => finish(mine).catch(showError),
      onLost: () => {
        banners.show('The microphone went away. Plug it in, then press Start again.');
        finish(mine).catch(showError);
      },
    });
    meter.follow(source.analyser);
  } catch (error) {
    source.release();
    if (mine.stopping) return; // nobody waits for it any more
    showError(error);
    if (mine.connection) mine.connection.stop();
    else leave(mine, 'idle');
  }
}

/** Stop the sound, send the rest of it, and let the server finish the text. */
async function finish(mine) {
  if (mine.stopping) return;
  mine.stopping = true;
  meter.rest();
  if (!mine.connection) { // the browser still asks for permission, or the sample still loads
    mine.source.release();
    leave(mine, 'idle');
    return;
  }
  showState('finishing');
  try {
    await mine.source.stop();
  } finally {
    mine.connection.stop();
  }
}

function end(mine, { opened, finished, code }) {
  mine.stopping = true;
  mine.source.release();
  transcript.close();
  showText();
  leave(mine, finished ? 'done' : 'disconnected');
  if (finished || mine.failed) return; // the server has already said why
  const reason = opened
    ? 'The connection was lost. Words that are still grey were not confirmed. Press Start to go on.'
    : 'The server could not be reached. Press Start to try again.';
  banners.show(REASONS[code] ?? reason);
}

function leave(mine, state) {
  if (session !== mine) return;
  session = null;
  meter.rest();
  showState(state);
}

function receive(mine, event) {
  switch (event.type) {
    case 'ready':
      if (!mine.stopping) showState('listening');
      showAbout(event);
      for (const warning of event.warnings ?? []) banners.show(warning, 'warning');
      break;
    case 'partial':
      transcript.showPartial(event);
      showText();
      break;
    case 'final':
      transcript.addFinal(event);
      showText();
      break;
    case 'speech_started':
    case 'speech_ended':
      element('state').dataset.speech = String(event.type === 'speech_started' && !mine.stopping);
      break;
    case 'lag':
      showLag(event.behind_s);
      break;
    case 'error':
      if (event.code === 'draining') break; // the close code that follows says it better
      mine.failed ||= Boolean(event.fatal);
      banners.show(event.message || `The server reports: ${event.code}.`);
      break;
    default: // `ack`, `keyword`, `done` and what later versions add: nothing to show here
  }
}

function showAbout({ model, language }) {
  const facts = [model && `Model ${model}.`, language && language !== 'auto' && `Language ${language}.`];
  element('about').textContent = [about, ...facts].filter(Boolean).join(' ');
}

function explainMicrophone() {
  const sampleWorks = sampleUrl ? ' The sample works here all the same.' : '';
  banners.show(Microphone.unavailable + sampleWorks, 'warning');
}

async function copyText() {
  await navigator.clipboard.writeText(transcript.text);
  element('copy').textContent = 'Copied';
  setTimeout(() => { element('copy').textContent = 'Copy text'; }, 1500);
}

element('talk').addEventListener('click', () => {
  if (session) finish(session).catch(showError);
  else if (Microphone.available()) begin(new Microphone());
  else explainMicrophone();
});
element('sample').addEventListener('click', () => {
  if (!session) begin(new Sample(sampleUrl));
});
element('copy').addEventListener('click', () => copyText().catch(showError));
element('clear').addEventListener('click', () => {
  transcript.clear();
  showText();
});
document.addEventListener('keydown', (event) => {
  if (event.key === 'Escape' && session) finish(session).catch(showError);
});
window.addEventListener('unhandledrejection', (event) => showError(event.reason));
window.addEventListener('error', (event) => showError(event.error ?? event.message));
// Without it a forbidden worker of RecordRTC would mean no slices and no word about it.
document.addEventListener('securitypolicyviolation', ({ blockedURI, effectiveDirective }) => {
  showError(`The server's security policy forbids ${blockedURI} (${effectiveDirective}).`);
});

element('sample').hidden = !sampleUrl;
if (!Microphone.available()) explainMicrophone();
