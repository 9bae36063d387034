// A stand-in for the server, in the page: it takes whatever is sent, and says what the test wants
// it to say. `talk(minutes)` is that much of a lecture, as fast as the page can show it.

window.sockets = [];

window.WebSocket = class FakeSocket extends EventTarget {
  static CONNECTING = 0;
  static OPEN = 1;
  static CLOSED = 3;
  readyState = 0;
  slices = 0;

  constructor(url) {
    super();
    this.url = String(url);
    window.sockets.push(this);
    setTimeout(() => {
      this.readyState = 1;
      this.dispatchEvent(new Event('open'));
      this.say({ type: 'ready', session: 'fake', version: 1, model: 'fake', language: 'auto', limits: {}, warnings: [] });
    });
  }

  say(message) {
    this.dispatchEvent(new MessageEvent('message', { data: JSON.stringify(message) }));
  }

  send(data) {
    if (typeof data !== 'string') this.slices += 1;
    else if (JSON.parse(data).type === 'stop') setTimeout(() => this.say({ type: 'done' }));
  }

  close(code = 1000) {
    if (this.readyState === 3) return;
    this.readyState = 3;
    this.dispatchEvent(new CloseEvent('close', { code }));
  }
};

window.say = (message) => window.sockets.at(-1).say(message);

const WORDS_A_FINAL = 3;
const WORD_S = 0.4; // 150 words a minute
const SENTENCE_WORDS = 12;
const FINALS_A_FRAME = 50;
const VOCABULARY = 'the lecture goes on about waves in shallow water and what they carry to a shore'.split(' ');

let spoken = 0;

function nextWords() {
  return Array.from({ length: WORDS_A_FINAL }, () => {
    const place = spoken % SENTENCE_WORDS;
    const stop = place === SENTENCE_WORDS - 1 ? '.' : '';
    const start = spoken * WORD_S;
    const word = ` ${VOCABULARY[(spoken * 7) % VOCABULARY.length]}${place === 0 ? spoken : ''}${stop}`;
    spoken += 1;
    return { word, start, end: start + WORD_S, probability: 0.9 };
  });
}

window.sayNext = () => {
  const words = nextWords();
  const [start, end] = [words[0].start, words.at(-1).end];
  for (let known = 1; known <= words.length; known += 1) {
    const text = words.slice(0, known).map(({ word }) => word).join('');
    window.say({ type: 'partial', text, start, end, words: words.slice(0, known) });
  }
  const text = words.map(({ word }) => word).join('');
  window.say({ type: 'final', id: 0, text, language: 'en', start, end, words });
};

window.talk = async (minutes) => {
  const until = spoken + (minutes * 60) / WORD_S;
  while (spoken < until) {
    for (let count = 0; count < FINALS_A_FRAME && spoken < until; count += 1) window.sayNext();
    await new Promise((resolve) => { requestAnimationFrame(resolve); });
  }
};
