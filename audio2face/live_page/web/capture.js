/**
 * Runs in the browser's sound thread: hands samples to the worker in pieces of a hundredth of a second.
 */

const PIECE = 0.01; // seconds

class Capture extends AudioWorkletProcessor {
  constructor() {
    super();
    /** @type {MessagePort | null} */
    this.worker = null;
    this.piece = new Float32Array(Math.ceil((PIECE * sampleRate) / 128) * 128);
    this.filled = 0;
    this.time = 0;
    this.ended = false;
    this.port.onmessage = ({ data }) => {
      if (data.worker) this.worker = data.worker;
      if (data.ended) this.end();
    };
  }

  /** @param {Float32Array[][]} inputs */
  process([input]) {
    if (this.ended) return false;
    const length = input[0]?.length ?? 128;
    if (this.filled === 0) this.time = currentTime;
    const scale = 1 / Math.max(1, input.length);
    for (let index = 0; index < length; index++) {
      let sum = 0;
      for (const channel of input) sum += channel[index];
      this.piece[this.filled++] = sum * scale;
    }
    if (this.filled >= this.piece.length) this.hand();
    return true;
  }

  hand() {
    const samples = this.piece.slice(0, this.filled);
    this.filled = 0;
    this.port.postMessage({ samples, time: this.time });
    this.worker?.postMessage({ samples, time: this.time });
  }

  end() {
    if (this.ended) return;
    this.ended = true;
    if (this.filled) this.hand();
    this.worker?.postMessage({ ended: true });
    this.port.postMessage({ ended: true });
  }
}

registerProcessor("capture", Capture);
