/**
 * The state of the page: time, view options, camera. Controls change it and are notified of changes.
 */
import { Clock } from "./clock.js";
import { Clip } from "./clip.js";
import { RecordedMotion } from "./recorded_motion.js";
import { Stage } from "./stage.js";

/** @typedef {import("./description.js").Description} Description */
/** @typedef {import("./payload.js").Payload} Payload */
/** @typedef {Clip & { motion: RecordedMotion }} RecordedClip */

const HEAT_TOPS = [0.1, 0.2, 0.5, 1, 2, 3, 5, 10, 20, 50]; // millimetres

/** @extends {Stage<RecordedClip>} */
export class Player extends Stage {
  /**
   * @param {HTMLCanvasElement} canvas
   * @param {Description} description
   * @param {Payload} payload
   * @param {import("./mesh.js").Limits} limits on top of the graphics card's own
   */
  constructor(canvas, description, payload, limits) {
    super(canvas, limits, (deformer) => description.clips.map((clip) =>
      /** @type {RecordedClip} */ (new Clip(deformer, clip, payload, new RecordedMotion(clip, payload)))));
    this.description = description;
    const sound = description.sound && new Blob([payload.bytes(description.sound)], { type: "audio/flac" });
    this.clock = new Clock(description.seconds, sound);
    this.errors = description.difference && {
      mean: payload.floats(description.difference.mean),
      largest: payload.floats(description.difference.largest),
    };
    this.options.heatTop = heatTopFor(description.difference?.usual ?? 1);
  }

  /** The frame nearest to the clock's time. */
  get currentFrame() {
    return Math.min(this.description.frames - 1, Math.round(this.clock.time * this.description.fps));
  }

  /** @param {number} seconds */
  seek(seconds) {
    this.clock.seek(seconds);
    this.requestRedraw();
  }

  /** Pauses and moves by a number of frames. @param {number} frames */
  step(frames) {
    const frame = Math.max(0, Math.min(this.description.frames - 1, this.currentFrame + frames));
    this.clock.pause();
    this.seek(frame / this.description.fps);
  }

  /** Plays or pauses. */
  async toggle() {
    if (this.clock.playing) this.clock.pause();
    else await this.clock.play();
    this.requestRedraw();
  }

  /** Switches between a close-up of the mouth and the whole head. */
  toggleMouthCloseUp() {
    this.toggleCloseUp(this.description.clips[0].mouth);
  }

  /** Changes the top of the heat map's scale. @param {number} steps */
  stepHeatTop(steps) {
    const index = HEAT_TOPS.indexOf(this.options.heatTop) + steps;
    this.set({ heatTop: HEAT_TOPS[Math.max(0, Math.min(HEAT_TOPS.length - 1, index))] });
  }

  /** Draws if something changed. Called before every refresh of the screen. */
  tick() {
    this.clock.loopOrStop();
    this.show(this.currentFrame, this.clock.playing);
  }
}

/** Top of the heat map for a usual distance. @param {number} usual millimetres */
function heatTopFor(usual) {
  return HEAT_TOPS.find((top) => top >= usual) ?? HEAT_TOPS[HEAT_TOPS.length - 1];
}
