/**
 * Turns pieces of sound into frames of the network, one after another, as they arrive.
 */
import { Windows } from "./windows.js";

/** @typedef {import("./network.js").Network} Network */

/**
 * @typedef {object} FrameMessage
 * @property {"frame"} kind
 * @property {number} number of the session
 * @property {Float32Array} values
 * @property {Float32Array} emotion
 * @property {number} taken milliseconds that the network took
 */

/** @typedef {FrameMessage | { kind: "began", first: number } | { kind: "ended" } | { kind: "behind" }} Message */

/** @typedef {{ samples?: Float32Array, time?: number, ended?: boolean }} Piece time of its first sample, in seconds of the sound's clock */

const MOST_WAITING = 0.5; // seconds; a machine that falls further behind leaves speech out

export class Listener {
  /**
   * @param {Network} network
   * @param {number} fps
   * @param {number} ease seconds in which an emotion comes or goes entirely
   * @param {(message: Message) => void} tell
   */
  constructor(network, fps, ease, tell) {
    this.network = network;
    this.tell = tell;
    this.description = network.network;
    this.fps = fps;
    this.identity = Float32Array.from(this.description.identity);
    this.emotion = Float32Array.from(this.description.emotion);
    this.wanted = this.emotion.slice();
    this.mostEase = 1 / (ease * fps);
    this.rate = this.description.samplerate;
    this.origin = 0;
    /** Whether pieces may be left out to keep up. */
    this.live = true;
    this.earliest = 0; // frame of the session that the next utterance may begin with
    this.first = 0;
    /** @type {Windows | null} */
    this.windows = null;
    this.busy = false;
    /** @type {Piece[]} */
    this.pieces = [];
  }

  /**
   * @param {number} rate Hz
   * @param {number} origin of the sound's clock, in seconds of the session
   * @param {boolean} live
   */
  listen(rate, origin, live) {
    [this.rate, this.origin, this.live] = [rate, origin, live];
    this.windows = null;
    this.pieces = [];
  }

  /** Begins anew with the next piece. @param {number} earliest frame */
  restart(earliest) {
    this.windows = null;
    this.earliest = Math.max(this.earliest, earliest);
  }

  /** @param {Piece} piece */
  async push(piece) {
    this.pieces.push(piece);
    if (this.busy) return;
    this.busy = true;
    try {
      for (let next = this.pieces.shift(); next; next = this.pieces.shift()) {
        this.take(next);
        await this.run();
      }
    } finally {
      this.busy = false;
    }
  }

  /** @private @param {Piece} piece */
  take({ samples, time = 0, ended }) {
    if (samples?.length) {
      if (!this.windows || this.windows.closed) this.begin(this.origin + time);
      this.windows?.push(samples);
    }
    if (ended) this.windows?.close();
  }

  /** Begins an utterance. @private @param {number} captured time of its first sample in the session */
  begin(captured) {
    this.windows = new Windows(this.description, this.rate);
    this.network.reset();
    this.first = Math.max(Math.ceil(captured * this.fps), this.earliest);
    this.tell({ kind: "began", first: this.first });
  }

  /** Computes all frames whose sound is there. @private */
  async run() {
    while (this.windows) {
      const { windows } = this;
      const cut = windows.take();
      if (!cut) break;
      const started = performance.now();
      this.easeEmotion();
      const values = await this.network.step(cut.window, this.identity, this.emotion);
      const taken = performance.now() - started;
      if (windows !== this.windows) continue;
      if (cut.shown) this.show(this.first + cut.number, values, taken);
      if (this.live && windows.waiting + this.pending > MOST_WAITING) this.leaveOut();
    }
    if (this.windows?.closed) {
      this.tell({ kind: "ended" });
      this.windows = null;
    }
  }

  /** Seconds of sound that were not yet taken. @private */
  get pending() {
    return this.pieces.reduce((sum, { samples }) => sum + (samples?.length ?? 0), 0) / this.rate;
  }

  /** @private */
  leaveOut() {
    this.pieces = this.pieces.slice(-1);
    this.windows = null;
    this.tell({ kind: "behind" });
  }

  /** @private @param {number} number @param {Float32Array} values @param {number} taken */
  show(number, values, taken) {
    this.earliest = number + 1;
    this.tell({ kind: "frame", number, values, emotion: this.emotion.slice(), taken });
  }

  /** @private */
  easeEmotion() {
    this.wanted.forEach((wanted, index) => {
      const change = wanted - this.emotion[index];
      this.emotion[index] += Math.max(-this.mostEase, Math.min(this.mostEase, change));
    });
  }
}
