// Figures in Prometheus's text format: read, and compared over time.

/** A reading: the time in seconds, and each sample's value by its name and labels. */
export class Reading {
  #values = new Map();

  /**
   * @param text what /metrics has answered
   * @param at   the time of the reading, in seconds
   */
  constructor(text, at) {
    this.at = at;
    for (const line of text.split('\n')) {
      const match = /^([a-zA-Z_:][\w:]*(?:\{.*\})?) (\S+)/.exec(line);
      if (match) this.#values.set(match[1], Number(match[2].replace('Inf', 'Infinity')));
    }
  }

  /** Return the value of a sample; 0 if the server has none. */
  get(name) {
    return this.#values.get(name) ?? 0;
  }

  /** Return the values of all samples of a name by one label: [label's value, value]. */
  by(name, label) {
    const found = [];
    for (const [sample, value] of this.#values) {
      const match = sample.startsWith(`${name}{`) && new RegExp(`[{,]${label}="([^"]*)"`).exec(sample);
      if (match) found.push([match[1], value]);
    }
    return found;
  }
}

/** The readings of the last minutes, oldest first. */
export class History {
  #readings = [];
  #seconds;

  /** @param seconds how long a reading is kept */
  constructor(seconds) {
    this.#seconds = seconds;
  }

  add(reading) {
    const last = this.last;
    // A server that was started again counts from zero: what was before cannot be compared.
    if (last && reading.get('whisper_audio_seconds_total') < last.get('whisper_audio_seconds_total')) {
      this.#readings = [];
    }
    this.#readings.push(reading);
    while (this.#readings[0].at < reading.at - this.#seconds) this.#readings.shift();
  }

  get last() {
    return this.#readings.at(-1) ?? null;
  }

  /** Return the reading from `seconds` before the last one, or the oldest if there is none so old. */
  before(seconds) {
    const since = this.last.at - seconds;
    return this.#readings.findLast((reading) => reading.at <= since) ?? this.#readings[0];
  }

  /** Return how much a counter has grown in the last `seconds`. */
  growth(name, seconds) {
    return this.last.get(name) - this.before(seconds).get(name);
  }

  /** Return the growth of a counter for each second; null before there are two readings. */
  rate(name, seconds) {
    const passed = this.last.at - this.before(seconds).at;
    return passed > 0 ? this.growth(name, seconds) / passed : null;
  }

  /** Return the mean of a histogram over the last `seconds`; null if it has got nothing. */
  mean(name, seconds) {
    const count = this.growth(`${name}_count`, seconds);
    return count > 0 ? this.growth(`${name}_sum`, seconds) / count : null;
  }

  /**
   * Return a quantile of a histogram over the last `seconds`, as Prometheus's histogram_quantile does; null if
   * the histogram has got nothing.
   */
  quantile(name, share, seconds) {
    const old = new Map(this.before(seconds).by(`${name}_bucket`, 'le'));
    const buckets = this.last.by(`${name}_bucket`, 'le')
      .map(([limit, count]) => [Number(limit.replace('+Inf', 'Infinity')), count - (old.get(limit) ?? 0)])
      .sort(([one], [other]) => one - other);
    const total = buckets.at(-1)?.[1] ?? 0;
    if (total <= 0) return null;
    const wanted = share * total;
    let [from, below] = [0, 0];
    for (const [limit, count] of buckets) {
      if (count >= wanted) {
        return limit === Infinity ? from : from + (limit - from) * (wanted - below) / (count - below);
      }
      [from, below] = [limit, count];
    }
    return from;
  }
}
