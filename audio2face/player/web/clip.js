/**
 * A face as the renderer draws it: its meshes, and the transforms of its rigid parts in each frame of a motion.
 */
import { fromRows, identity, rotationAbout } from "./matrix.js";
import { GpuMesh } from "./mesh.js";

/** @typedef {import("./description.js").SurfaceDescription} SurfaceDescription */
/** @typedef {import("./description.js").RigidPartDescription} RigidPartDescription */
/** @typedef {import("./matrix.js").Matrix} Matrix */
/** @typedef {import("./payload.js").Payload} Payload */
/** @typedef {import("./mesh.js").MeshDeformer} MeshDeformer */
/** @typedef {import("./mesh.js").MeshData} MeshData */
/** @typedef {import("./matrix.js").Vector} Vector */

/** @typedef {"skin" | "tongue" | "teeth" | "eye" | "marker"} Material */
/** @typedef {{ material: Material, geometry: GpuMesh, matrix: (frame: number) => Matrix }} MeshInstance */

/**
 * @typedef {object} FaceDescription
 * @property {string} label
 * @property {SurfaceDescription[]} meshes
 * @property {RigidPartDescription[]} rigidParts
 */

/**
 * @typedef {object} FaceMotion what moves a face: recorded, or made while it is shown
 * @property {(mesh: number, frame: number, weights: Float32Array) => void} weigh writes the weights of a mesh's components
 * @property {(frame: number) => Float32Array} jaw rows of a matrix [4, 4]
 * @property {(frame: number) => Float32Array} eyes degrees: pitch and yaw of the right eye, then of the left
 * @property {(mesh: number, frame: number) => Matrix} transform of a whole mesh
 * @property {(frame: number) => number} mouthOpen from 0 (most closed) to 1 (most open)
 * @property {[number, number]} mouth frames with the mouth most closed and most open
 */

export class Clip {
  /**
   * @param {MeshDeformer} deformer
   * @param {FaceDescription} description
   * @param {Payload} payload
   * @param {FaceMotion} motion
   */
  constructor(deformer, description, payload, motion) {
    this.label = description.label;
    this.motion = motion;
    const still = identity();
    /** @type {MeshInstance[]} */
    this.meshes = [];
    description.meshes.forEach((mesh, index) => {
      const base = payload.floats(mesh.mean);
      const moving = {
        components: payload.shorts(mesh.components),
        scales: payload.floats(mesh.scales),
        weigh: (/** @type {number} */ frame, /** @type {Float32Array} */ weights) => motion.weigh(index, frame, weights),
      };
      const colours = mesh.colours ? payload.bytes(mesh.colours) : uniformColours(mesh.colour, base.length / 3);
      const faces = mesh.faces && payload.integers(mesh.faces);
      const geometry = new GpuMesh(deformer, { base, faces, corners: mesh.faces?.shape[1] ?? 3, colours, motion: moving });
      this.meshes.push({ material: mesh.name, geometry, matrix: (frame) => motion.transform(index, frame) });
    });
    for (const part of description.rigidParts) {
      const geometry = new GpuMesh(deformer, {
        base: payload.floats(part.vertices),
        faces: payload.integers(part.faces),
        corners: part.faces.shape[1],
        colours: payload.bytes(part.colours),
        motion: null,
      });
      const eye = part.follows === "right_eye" ? 0 : 2;
      const matrix = {
        head: () => still,
        jaw: (/** @type {number} */ frame) => fromRows(motion.jaw(frame)),
        right_eye: (/** @type {number} */ frame) => this.eyeMatrix(part.pivot, frame, eye),
        left_eye: (/** @type {number} */ frame) => this.eyeMatrix(part.pivot, frame, eye),
      }[part.follows];
      this.meshes.push({ material: part.kind, geometry, matrix });
    }
    this.skin = this.meshes[0].geometry;
    this.bounds = boundsOf(payload.floats(description.meshes[0].mean));
    this.mouth = motion.mouth;
  }

  /** Opening of the mouth, from 0 (most closed) to 1 (most open). @param {number} frame */
  mouthOpen(frame) {
    return this.motion.mouthOpen(frame);
  }

  /** @param {number} frame */
  setFrame(frame) {
    for (const mesh of this.meshes) mesh.geometry.setFrame(frame);
  }

  /**
   * @private
   * @param {Vector} pivot
   * @param {number} frame
   * @param {number} first column of its pitch, before that of its yaw
   */
  eyeMatrix(pivot, frame, first) {
    const eyes = this.motion.eyes(frame);
    return rotationAbout(pivot, eyes[first], eyes[first + 1]);
  }
}

/**
 * @param {Float32Array} points [verts, 3]
 * @returns {{ centre: Vector, radius: number, reach: number }} of the bounding box: centre, half its diagonal, half its height
 */
function boundsOf(points) {
  const [low, high] = [[Infinity, Infinity, Infinity], [-Infinity, -Infinity, -Infinity]];
  for (let index = 0; index < points.length; index++) {
    low[index % 3] = Math.min(low[index % 3], points[index]);
    high[index % 3] = Math.max(high[index % 3], points[index]);
  }
  const middle = (/** @type {number} */ axis) => (low[axis] + high[axis]) / 2;
  const radius = Math.hypot(high[0] - low[0], high[1] - low[1], high[2] - low[2]) / 2;
  return { centre: [middle(0), middle(1), middle(2)], radius, reach: (high[1] - low[1]) / 2 };
}

/**
 * @param {[number, number, number]} colour
 * @param {number} count
 */
function uniformColours(colour, count) {
  const colours = new Uint8Array(3 * count);
  for (let index = 0; index < colours.length; index++) colours[index] = colour[index % 3];
  return colours;
}
