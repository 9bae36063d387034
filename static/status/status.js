// The page for people who run the server: its figures, drawn, and read again every two seconds.

import { settings } from '../live/settings.js';
import { Chart } from './chart.js';
import { History, Reading } from './figures.js';

const EVERY_MS = 2_000;
const SPAN_S = 600; // of the lines
const RECENT_S = 60; // of rates, delays and counts

const element = (id) => document.getElementById(id);
const seconds = (value) => (value < 0.995 ? `${Math.round(value * 1000)} ms` : `${value.toFixed(1)} s`);
const count = (value) => String(Math.round(value));
const share = (value) => `${Math.round(value * 100)} %`;
const times = (value) => `${value.toFixed(1)} ×`;

const history = new History(SPAN_S);

const charts = [
  [
    { title: 'Open streams', help: 'Streams that bring audio now.', write: count, least: 4 },
    () => [[history.last.get('whisper_streams')], `${count(history.last.get('whisper_streams_opened_total'))} since the start`],
  ],
  [
    { title: 'Audio', help: 'Seconds of audio that come in each second.', write: times, least: 2 },
    () => [[history.rate('whisper_audio_seconds_total', 10)], `${hours(history.last.get('whisper_audio_seconds_total'))} since the start`],
  ],
  [
    { title: 'Words are shown after', help: 'From the arrival of a word’s last sample to the text that shows it. The thin line is the slowest twentieth.', write: seconds, least: 1 },
    () => delays('whisper_display_delay_seconds'),
  ],
  [
    { title: 'Words are final after', help: 'From the arrival of its last sample to the final text. The thin line is the slowest twentieth.', write: seconds, least: 1 },
    () => delays('whisper_final_delay_seconds'),
  ],
  [
    { title: 'The model is busy', help: 'The share of the time in which the model computes.', write: share, least: 1 },
    () => {
      const size = history.mean('whisper_batch_size', RECENT_S);
      return [[history.rate('whisper_batch_seconds_sum', 10)], size === null ? '' : `${size.toFixed(1)} windows at once`];
    },
  ],
  [
    { title: 'Windows wait', help: 'How long a window of audio waits for the model. The thin line is the slowest twentieth.', write: seconds, least: 0.1 },
    () => delays('whisper_queue_seconds'),
  ],
].map(([about, values]) => ({ chart: new Chart(element('charts'), { ...about, seconds: SPAN_S }), values }));

function delays(name) {
  const [middle, late] = [0.5, 0.95].map((part) => history.quantile(name, part, RECENT_S));
  return [[middle, late], late === null ? 'nothing in the last minute' : `95 % within ${seconds(late)}`];
}

function hours(value) {
  if (value < 60) return `${Math.round(value)} s`;
  return value < 3_600 ? `${Math.round(value / 60)} min` : `${(value / 3_600).toFixed(1)} h`;
}

/** Show what was refused or went wrong, most often first. */
function showFaults() {
  const before = history.before(RECENT_S);
  const kinds = [['whisper_refusals_total', 'reason', 'refused: '], ['whisper_errors_total', 'code', '']];
  const faults = kinds.flatMap(([name, label, said]) => {
    const old = new Map(before.by(name, label));
    return history.last.by(name, label).map(([what, total]) => [said + what, total - (old.get(what) ?? 0), total]);
  }).filter(([, , total]) => total > 0).sort((one, other) => other[2] - one[2]);
  element('faults').hidden = false;
  element('faults').querySelector('table').hidden = faults.length === 0;
  element('no-faults').hidden = faults.length > 0;
  element('fault-rows').replaceChildren(...faults.map((cells) => {
    const row = document.createElement('tr');
    row.append(...cells.map((cell) => Object.assign(document.createElement('td'), { textContent: cell })));
    return row;
  }));
}

/** Say in the header whether the server takes streams, with which model. */
async function showState() {
  const answer = await fetch('readyz').catch(() => null);
  const known = answer && await answer.json().catch(() => null);
  const state = element('state');
  state.dataset.state = answer?.ok ? 'ready' : 'not ready';
  state.textContent = known ? [known.status, known.model].filter(Boolean).join(' · ') : 'The server does not answer';
}

async function refresh() {
  await showState();
  const key = settings.get('key').trim();
  const answer = await fetch('metrics', { headers: key ? { Authorization: `Bearer ${key}` } : {} }).catch(() => null);
  element('lock').hidden = answer?.status !== 401;
  if (answer?.status === 401 && key) element('refused').textContent = 'This key is not known here, or too old.';
  if (!answer?.ok) return;
  history.add(new Reading(await answer.text(), performance.now() / 1000));
  for (const { chart, values } of charts) chart.show(history.last.at, ...values());
  showFaults();
}

element('lock').addEventListener('submit', (event) => {
  event.preventDefault();
  settings.set('key', element('key').value);
  refresh();
});

for (;;) {
  await refresh();
  await new Promise((resolve) => { setTimeout(resolve, EVERY_MS); });
}
