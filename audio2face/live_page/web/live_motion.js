/**
 * The motion of a face that is made while it is shown: the renderer asks for the newest pose.
 */
import { fromRows, identity, multiply } from "../../player/web/matrix.js";

/** @typedef {import("./face.js").PageDescription} PageDescription */
/** @typedef {import("./animator.js").Pose} Pose */
/** @typedef {import("../../player/web/clip.js").FaceMotion} FaceMotion */

export const REST = -2; // frames of the poses with a closed and with an open mouth
export const OPEN = -1;

/** @implements {FaceMotion} */
export class LiveMotion {
  /**
   * @param {PageDescription} face
   * @param {import("../../player/web/payload.js").Payload} payload
   * @param {{ rest: Pose, open: Pose }} poses
   */
  constructor(face, payload, { rest, open }) {
    this.scales = face.meshes.map(({ scales }) => payload.floats(scales));
    this.names = face.meshes.map(({ name }) => name);
    this.toJaw = face.tongueToJaw && fromRows(Float32Array.from(face.tongueToJaw));
    this.rest = rest;
    this.open = open;
    /** The newest pose. */
    this.pose = rest;
    this.still = identity();
    /** @type {[number, number]} */
    this.mouth = [REST, OPEN];
  }

  /** @private @param {number} frame */
  at(frame) {
    return frame === REST ? this.rest : frame === OPEN ? this.open : this.pose;
  }

  /** @param {number} mesh @param {number} frame @param {Float32Array} weights */
  weigh(mesh, frame, weights) {
    const pose = this.at(frame);
    const own = this.names[mesh] === "skin" ? pose.skin : pose.tongue;
    this.scales[mesh].forEach((scale, component) => { weights[component] = scale * own[component]; });
  }

  /** @param {number} frame */
  jaw(frame) {
    return this.at(frame).jaw;
  }

  /** @param {number} frame */
  eyes(frame) {
    return this.at(frame).eyes;
  }

  /** The tongue lies in the jaw's space. @param {number} mesh @param {number} frame */
  transform(mesh, frame) {
    if (this.names[mesh] !== "tongue" || !this.toJaw) return this.still;
    return multiply(fromRows(this.at(frame).jaw), this.toJaw);
  }

  /** @param {number} frame */
  mouthOpen(frame) {
    const [least, most] = [this.rest.lips, this.open.lips];
    return most > least ? Math.max(0, Math.min(1, (this.at(frame).lips - least) / (most - least))) : 0;
  }
}
