/**
 * The time of the page. The audio element is the clock where there is sound, so that picture and sound cannot drift.
 */

export class Clock {
  /**
   * @param {number} seconds duration
   * @param {Blob | null} sound
   */
  constructor(seconds, sound) {
    this.seconds = seconds;
    /** @type {HTMLAudioElement | null} */
    this.audio = sound ? new Audio(URL.createObjectURL(sound)) : null;
    /** @type {[number, number] | null} selection that is played or looped, seconds */
    this.range = null;
    this.loop = false;
    this.rate = 1;
    /** @type {number | null} performance.now() at the start of playback without sound; null while paused */
    this.startedAt = null;
    this.startedFrom = 0;
    if (this.audio) this.audio.preload = "auto";
  }

  /** Resolves when the sound can play and seek. */
  ready() {
    const audio = this.audio;
    if (!audio || audio.readyState >= audio.HAVE_CURRENT_DATA) return Promise.resolve();
    return new Promise((/** @type {(value: void) => void} */ resolve, reject) => {
      audio.addEventListener("loadeddata", () => resolve(), { once: true });
      audio.addEventListener("error", () => reject(new Error("this browser cannot play the page's sound")), { once: true });
      audio.load();
    });
  }

  get playing() {
    return this.audio ? !this.audio.paused && !this.audio.ended : this.startedAt !== null;
  }

  /** Seconds from the start. */
  get time() {
    if (this.audio) return Math.min(this.audio.currentTime, this.seconds);
    if (this.startedAt === null) return this.startedFrom;
    return Math.min(this.startedFrom + ((performance.now() - this.startedAt) / 1000) * this.rate, this.seconds);
  }

  async play() {
    const [start, end] = this.span();
    if (this.time >= end - 1e-3 || this.time < start) this.seek(start);
    if (this.audio) await startSound(this.audio);
    else this.startedAt = performance.now();
  }

  pause() {
    const time = this.time;
    if (this.audio) this.audio.pause();
    this.startedAt = null;
    this.startedFrom = time;
  }

  /** @param {number} seconds */
  seek(seconds) {
    const time = Math.max(0, Math.min(seconds, this.seconds));
    if (this.audio) this.audio.currentTime = time;
    this.startedFrom = time;
    if (this.startedAt !== null) this.startedAt = performance.now();
  }

  /** @param {number} rate 1 is the original speed; pitch is preserved */
  setRate(rate) {
    const [time, playing] = [this.time, this.startedAt !== null];
    this.rate = rate;
    if (this.audio) this.audio.playbackRate = rate;
    this.startedFrom = time;
    if (playing) this.startedAt = performance.now();
  }

  /** What is played: the selection, or everything. */
  span() {
    return this.range ?? /** @type {[number, number]} */ ([0, this.seconds]);
  }

  /** At the end of what is played: back to its start when looping, else pause. Called before every draw. */
  loopOrStop() {
    const [start, end] = this.span();
    const ended = this.audio?.ended ?? false;
    if (ended ? !this.loop : !this.playing || this.time < end) return;
    if (!this.loop) this.pause();
    else {
      this.seek(start);
      if (ended && this.audio) void startSound(this.audio);
    }
  }
}

/**
 * Plays. A pause before the first sound aborts the promise of play(), which is expected.
 * @param {HTMLAudioElement} audio
 */
async function startSound(audio) {
  try {
    await audio.play();
  } catch (error) {
    if (!(error instanceof DOMException && error.name === "AbortError")) throw error;
  }
}
