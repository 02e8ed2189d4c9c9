/**
 * The motion of a face that the page holds from its first to its last frame.
 */
import { identity } from "./matrix.js";

/** @typedef {import("./description.js").ClipDescription} ClipDescription */
/** @typedef {import("./clip.js").FaceMotion} FaceMotion */
/** @typedef {import("./payload.js").Payload} Payload */

/** @implements {FaceMotion} */
export class RecordedMotion {
  /**
   * @param {ClipDescription} description
   * @param {Payload} payload
   */
  constructor(description, payload) {
    this.meshes = description.meshes.map(({ weights, scales }) => ({
      weights: payload.shorts(weights),
      scales: payload.floats(scales),
    }));
    this.jaws = payload.floats(description.jaw);
    this.gaze = payload.floats(description.eyes);
    this.lips = description.lips && payload.floats(description.lips);
    this.still = identity();
    const { least, most } = this.lips ? indicesOfExtremes(this.lips) : { least: 0, most: 0 };
    /** @type {[number, number]} */
    this.mouth = [least, most];
  }

  /** @param {number} mesh @param {number} frame @param {Float32Array} weights */
  weigh(mesh, frame, weights) {
    const own = this.meshes[mesh];
    const count = own.scales.length;
    const frames = count ? own.weights.length / count : 0;
    for (let component = 0; component < count; component++) {
      weights[component] = own.scales[component] * own.weights[component * frames + frame];
    }
  }

  /** @param {number} frame */
  jaw(frame) {
    return this.jaws.subarray(16 * frame, 16 * frame + 16);
  }

  /** @param {number} frame */
  eyes(frame) {
    return this.gaze.subarray(4 * frame, 4 * frame + 4);
  }

  /** The tongue holds the jaw's motion already. */
  transform() {
    return this.still;
  }

  /** @param {number} frame */
  mouthOpen(frame) {
    if (!this.lips) return 0;
    const [least, most] = [this.lips[this.mouth[0]], this.lips[this.mouth[1]]];
    return most > least ? (this.lips[frame] - least) / (most - least) : 0;
  }
}

/** @param {Float32Array} values */
function indicesOfExtremes(values) {
  let [least, most] = [0, 0];
  values.forEach((value, index) => {
    if (value < values[least]) least = index;
    if (value > values[most]) most = index;
  });
  return { least, most };
}
