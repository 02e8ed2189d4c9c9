/**
 * Cuts speech into the windows of the network, one for each frame, as `models/windows.py` counts them.
 */
import { Resampler } from "./resampler.js";

/**
 * @typedef {object} NetworkDescription
 * @property {number} window samples of a window
 * @property {number} samplerate Hz
 * @property {[number, number]} stride samples from a frame to the next, as a fraction
 * @property {number} padding samples of silence before the recording, where window 0 begins
 * @property {number} offset of the frame in its window, in samples
 * @property {number} lookahead samples from a frame to the end of its window
 * @property {number[]} identity the actor, one-hot
 * @property {string[]} emotions names
 * @property {number[]} emotion the emotion at the start
 * @property {number} state values of the state
 * @property {[number, number, number, number]} sizes channels of skin, tongue, jaw and eyes
 * @property {number} gain factor on samples
 */

/** @typedef {{ number: number, window: Float32Array, shown: boolean }} Cut frame from the start, its window, whether the frame lies in the speech */

export class Windows {
  /**
   * @param {NetworkDescription} network
   * @param {number} rate of the samples that arrive, Hz
   */
  constructor(network, rate) {
    this.network = network;
    this.resampler = new Resampler(rate, network.samplerate);
    this.kept = new Float32Array(0);
    this.first = 0; // index of the first sample that is kept
    this.next = 0; // window
    this.closed = false;
  }

  /** Samples at the network's rate until now. */
  get length() {
    return this.first + this.kept.length;
  }

  /** Seconds of speech that wait to be computed. */
  get waiting() {
    return (this.length - this.start(this.next) - this.network.window) / this.network.samplerate;
  }

  /** @param {Float32Array} samples at the source's rate */
  push(samples) {
    this.add(this.resampler.push(samples));
  }

  /** Ends the speech; silence follows. */
  close() {
    this.add(this.resampler.finish());
    this.closed = true;
  }

  /** The next window, if its samples are there. @returns {Cut | null} */
  take() {
    const { network, next } = this;
    const [start, time] = [this.start(next), this.start(next) + network.offset];
    const ready = start + network.window <= this.length || (this.closed && time < this.length);
    if (!ready) return null;
    const window = new Float32Array(network.window);
    for (let index = 0; index < window.length; index++) {
      const at = start + index - this.first;
      if (at >= 0 && at < this.kept.length) window[index] = this.kept[at];
    }
    this.next++;
    this.dropBefore(this.start(this.next));
    const [samples, unit] = network.stride;
    return { number: Math.round((time * unit) / samples), window, shown: time >= 0 && time < this.length };
  }

  /** First sample of a window. @private @param {number} window */
  start(window) {
    const [samples, unit] = this.network.stride;
    return Math.floor((window * samples) / unit) - this.network.padding;
  }

  /** @private @param {Float32Array} samples */
  add(samples) {
    const joined = new Float32Array(this.kept.length + samples.length);
    joined.set(this.kept);
    for (let index = 0; index < samples.length; index++) joined[this.kept.length + index] = samples[index] * this.network.gain;
    this.kept = joined;
  }

  /** @private @param {number} sample */
  dropBefore(sample) {
    const count = Math.min(Math.max(sample, this.first), this.length) - this.first;
    this.kept = this.kept.slice(count);
    this.first += count;
  }
}
