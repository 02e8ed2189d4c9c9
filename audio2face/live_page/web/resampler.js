/**
 * Resamples a stream to the network's rate: the Hann-windowed sinc of `audio/resample.py` (resample_hann).
 *
 * With the rates divided by their greatest common divisor, o input samples last as long as n results. With
 * b = 0.99 min(o, n), the weight of an input sample at distance t from a result is (b/o) sinc(u) cos(pi u / 12)^2 with
 * u = t b (t in units of o input samples), and zero beyond |u| = 6.
 */

const ZERO_CROSSINGS = 6;
const ROLLOFF = 0.99;

export class Resampler {
  /**
   * @param {number} oldRate Hz
   * @param {number} newRate Hz
   */
  constructor(oldRate, newRate) {
    const common = greatestCommonDivisor(oldRate, newRate);
    this.old = oldRate / common;
    this.new = newRate / common;
    const bandwidth = ROLLOFF * Math.min(this.old, this.new);
    /** Input samples before the one at or before a result that count; as many, and one, count behind it. */
    this.reach = this.old === this.new ? 0 : Math.floor((ZERO_CROSSINGS * this.old) / bandwidth);
    /** Seconds that the filter holds a result back. */
    this.delay = this.old === this.new ? 0 : (this.reach + 2) / oldRate;
    this.phases = this.old === this.new ? [] : kernels(this.old, this.new, this.reach, bandwidth);
    this.kept = new Float32Array(0);
    this.first = 0; // index of the first sample that is kept
    this.made = 0;
  }

  /** Adds samples and returns the results that are complete. @param {Float32Array} samples */
  push(samples) {
    if (this.old === this.new) return samples;
    const joined = new Float32Array(this.kept.length + samples.length);
    joined.set(this.kept);
    joined.set(samples, this.kept.length);
    this.kept = joined;
    return this.take(this.first + joined.length - this.reach - 1);
  }

  /** The results after the last sample: silence follows it. */
  finish() {
    if (this.old === this.new) return new Float32Array(0);
    const total = this.first + this.kept.length;
    const results = this.push(new Float32Array(this.reach + 2));
    const surplus = Math.max(0, this.made - Math.ceil((total * this.new) / this.old));
    return results.subarray(0, Math.max(0, results.length - surplus));
  }

  /**
   * The results whose place lies before a sample.
   * @private
   * @param {number} end
   */
  take(end) {
    const count = Math.max(0, Math.ceil((end * this.new) / this.old) - this.made);
    const results = new Float32Array(count);
    for (let index = 0; index < count; index++) results[index] = this.result(this.made + index);
    this.made += count;
    const needed = Math.max(this.first, Math.floor((this.made * this.old) / this.new) - this.reach);
    this.kept = this.kept.slice(needed - this.first);
    this.first = needed;
    return results;
  }

  /** @private @param {number} number */
  result(number) {
    const place = number * this.old;
    const nearest = Math.floor(place / this.new);
    const taps = this.phases[place % this.new];
    let sum = 0;
    for (let tap = 0, at = nearest - this.reach - this.first; tap < taps.length; tap++, at++) {
      if (at >= 0 && at < this.kept.length) sum += taps[tap] * this.kept[at];
    }
    return sum;
  }
}

/**
 * Weights of the input samples from `reach` before to `reach` after the one at or before a result, for each phase.
 * @param {number} old
 * @param {number} rate
 * @param {number} reach
 * @param {number} bandwidth
 */
function kernels(old, rate, reach, bandwidth) {
  return Array.from({ length: rate }, (_, phase) => {
    const taps = new Float32Array(2 * reach + 2);
    for (let tap = 0; tap < taps.length; tap++) {
      const distance = (tap - reach - phase / rate) / old; // in units of time
      const u = distance * bandwidth;
      if (Math.abs(u) > ZERO_CROSSINGS) continue;
      const sinc = u === 0 ? 1 : Math.sin(Math.PI * u) / (Math.PI * u);
      taps[tap] = (bandwidth / old) * sinc * Math.cos((Math.PI * u) / (2 * ZERO_CROSSINGS)) ** 2;
    }
    return taps;
  });
}

/** @param {number} one @param {number} other @returns {number} */
function greatestCommonDivisor(one, other) {
  return other ? greatestCommonDivisor(other, one % other) : one;
}
