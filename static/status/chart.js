// A card with a title, the newest value, and a line of the values before it.

const SVG = 'http://www.w3.org/2000/svg';
const WIDTH = 300;
const HEIGHT = 64;
const LEAST_SPAN_S = 60;

export class Chart {
  #points = []; // [time in seconds, values]
  #value = make('p', 'value');
  #more = make('p', 'more');
  #lines = [];
  #top = make('p', 'top');
  #seconds;
  #write;
  #least;

  /**
   * @param parent  gets the card
   * @param title   what the card shows
   * @param help    one sentence that explains it
   * @param seconds how much time the line spans at most
   * @param write   returns the text of a value
   * @param least   the line's scale ends at this value at least
   */
  constructor(parent, { title, help, seconds, write, least }) {
    this.#seconds = seconds;
    this.#write = write;
    this.#least = least;
    const card = make('article', 'card');
    const heading = make('h2', '', title);
    const picture = document.createElementNS(SVG, 'svg');
    picture.setAttribute('viewBox', `0 0 ${WIDTH} ${HEIGHT}`);
    picture.setAttribute('preserveAspectRatio', 'none');
    picture.setAttribute('aria-hidden', 'true');
    for (const name of ['second', 'first']) {
      const line = document.createElementNS(SVG, 'path');
      line.setAttribute('class', name);
      picture.append(line);
      this.#lines.unshift(line);
    }
    const frame = make('div', 'frame');
    frame.append(picture, this.#top);
    card.append(heading, this.#value, this.#more, frame, make('p', 'help', help));
    parent.append(card);
  }

  /**
   * Show the newest values.
   *
   * @param at     the time in seconds
   * @param values one or two numbers, or null where nothing is known
   * @param more   a text beside the value
   */
  show(at, values, more = '') {
    this.#points.push([at, values]);
    while (this.#points[0][0] < at - this.#seconds) this.#points.shift();
    this.#value.textContent = values[0] === null ? '–' : this.#write(values[0]);
    this.#more.textContent = more;
    const known = this.#points.flatMap(([, each]) => each).filter((value) => value !== null);
    const top = Math.max(this.#least, ...known);
    this.#top.textContent = this.#write(top);
    this.#lines.forEach((line, index) => line.setAttribute('d', this.#path(index, at, top)));
  }

  #path(index, now, top) {
    const span = Math.max(LEAST_SPAN_S, now - this.#points[0][0]);
    let pen = 'M';
    return this.#points.map(([at, values]) => {
      const value = values[index] ?? null;
      if (value === null) {
        pen = 'M';
        return '';
      }
      const x = WIDTH * (1 - (now - at) / span);
      const y = HEIGHT - 1 - (HEIGHT - 3) * (value / top);
      const step = `${pen}${x.toFixed(1)} ${y.toFixed(1)}`;
      pen = 'L';
      return step;
    }).join('');
  }
}

function make(tag, name, text = '') {
  const element = document.createElement(tag);
  if (name) element.className = name;
  element.textContent = text;
  return element;
}
