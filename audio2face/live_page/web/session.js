/**
 * A face that follows live speech: one frame for each moment of a clock, whatever the sound does. The rules are those of
 * `inference/live.py`: a frame whose sound is missing holds the face before it, then the face relaxes.
 */

/**
 * @typedef {object} SessionDescription seconds
 * @property {number} hold a gap of this length is not seen
 * @property {number} relax after which a face that holds is at rest
 * @property {number} rise in which a face at rest follows the network again
 * @property {number} ease in which an emotion comes or goes entirely
 * @property {number} slack that samples may arrive late
 */

/** @typedef {{ number: number, values: Float32Array, emotion: Float32Array }} MadeFrame of the network */

const MOST_KEPT = 2000; // frames that wait to be shown: about a minute

export class Session {
  /**
   * @param {SessionDescription} times
   * @param {number} fps
   * @param {number} size values of a frame
   * @param {Float32Array} emotion at the start
   */
  constructor(times, fps, size, emotion) {
    this.times = times;
    this.fps = fps;
    /** Seconds from the moment that a frame shows to the moment at which it is due. */
    this.wait = times.slack;
    this.next = 0; // frame that is due next
    /** @type {MadeFrame[]} */
    this.made = [];
    /** @type {MadeFrame} */
    this.shown = { number: 0, values: new Float32Array(size), emotion };
    this.gate = 0;
    this.missing = 0;
    this.speaking = false;
    this.finished = false;
    this.first = 0; // frame of the present utterance
    /** Frames for which sound was missing, and how often it began to be missing while somebody spoke. */
    this.held = 0;
    this.gaps = 0;
    /** Called when the face came to rest although speech had not ended: what comes next begins anew. */
    this.onRest = () => {};
  }

  /** Speech begins, or goes on after a gap. @param {number} first frame */
  begin(first) {
    this.first = first;
    this.speaking = true;
    this.finished = false;
    this.missing = 0;
  }

  /** All of the speech was computed: the face comes to rest after the frames that wait. */
  finish() {
    this.finished = true;
  }

  /** Takes a frame of the network. @param {MadeFrame} frame */
  add(frame) {
    if (frame.number < this.next) return;
    this.made.push(frame);
    if (this.made.length > MOST_KEPT) this.made.shift();
  }

  /** Number of the frame that is due at a time, in seconds of the session. @param {number} now */
  due(now) {
    return Math.floor((now - this.wait) * this.fps + 1e-6);
  }

  /**
   * The frame that is due next: the network's values, faded in and out.
   * @returns {MadeFrame & { gate: number }}
   */
  advance() {
    const number = this.next++;
    while (this.made.length && this.made[0].number < number) this.made.shift();
    const made = this.made[0]?.number === number ? this.made.shift() : undefined;
    if (made) this.follow(made);
    else this.miss(number);
    const { values, emotion } = this.shown;
    return { number, values: values.map((value) => value * this.gate), emotion, gate: this.gate };
  }

  /** @private @param {MadeFrame} made */
  follow(made) {
    this.shown = made;
    this.missing = 0;
    this.gate = Math.min(1, this.gate + 1 / (this.times.rise * this.fps));
  }

  /** Holds the last frame, then relaxes. @private @param {number} number */
  miss(number) {
    this.missing++;
    const { hold, relax } = this.times;
    const relaxed = () => Math.max(0, this.gate - 1 / (relax * this.fps));
    if (!this.speaking || number < this.first) {
      this.gate = relaxed();
      return;
    }
    if (!this.finished) {
      this.held++;
      if (this.missing === 1) this.gaps++;
    }
    if (this.missing <= hold * this.fps) return;
    this.gate = relaxed();
    if (this.gate > 0) return;
    if (!this.finished) this.onRest();
    this.speaking = false;
  }
}
