/**
 * The time of the session, in seconds: that of the sound while there is sound, so that picture and sound cannot drift, else
 * that of the page. A sound clock goes in steps of a buffer; here it is evened out.
 */

const CATCH_UP = 0.05; // share of the difference to the sound's clock that each look takes away
const JUMP = 0.25; // seconds of difference beyond which the time is set

export class SessionClock {
  /** @param {() => number} now seconds of a clock that never goes back */
  constructor(now = () => performance.now() / 1000) {
    this.now = now;
    this.start = now();
    this.shift = 0;
    /** @type {{ clock: () => number, origin: number } | null} */
    this.sound = null;
    this.last = 0;
  }

  /**
   * Follows the clock of a sound from now on.
   * @param {() => number} clock seconds
   * @returns {number} the time of the session at which that clock was 0
   */
  follow(clock) {
    const origin = this.time - clock();
    this.sound = { clock, origin };
    return origin;
  }

  /** Goes on by itself. */
  release() {
    this.sound = null;
  }

  get time() {
    const own = this.now() - this.start;
    if (this.sound) {
      const ahead = this.sound.origin + this.sound.clock() - (own + this.shift);
      this.shift += Math.abs(ahead) > JUMP ? ahead : CATCH_UP * ahead;
    }
    this.last = Math.max(this.last, own + this.shift);
    return this.last;
  }
}
