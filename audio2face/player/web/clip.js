/**
 * One animation as the renderer draws it: its meshes, and the transforms of its rigid parts in each frame.
 */
import { fromRows, identity, rotationAbout } from "./matrix.js";
import { GpuMesh } from "./mesh.js";

/** @typedef {import("./description.js").ClipDescription} ClipDescription */
/** @typedef {import("./matrix.js").Matrix} Matrix */
/** @typedef {import("./payload.js").Payload} Payload */
/** @typedef {import("./mesh.js").MeshDeformer} MeshDeformer */
/** @typedef {import("./mesh.js").MeshData} MeshData */
/** @typedef {import("./matrix.js").Vector} Vector */

/** @typedef {"skin" | "tongue" | "teeth" | "eye" | "marker"} Material */
/** @typedef {{ material: Material, geometry: GpuMesh, matrix: (frame: number) => Matrix }} MeshInstance */

export class Clip {
  /**
   * @param {MeshDeformer} deformer
   * @param {ClipDescription} description
   * @param {Payload} payload
   */
  constructor(deformer, description, payload) {
    this.label = description.label;
    this.jaw = payload.floats(description.jaw);
    this.eyes = payload.floats(description.eyes);
    this.lips = description.lips && payload.floats(description.lips);
    const still = identity();
    /** @type {MeshInstance[]} */
    this.meshes = [];
    for (const mesh of description.meshes) {
      const base = payload.floats(mesh.mean);
      const motion = {
        components: payload.shorts(mesh.components),
        weights: payload.shorts(mesh.weights),
        scales: payload.floats(mesh.scales),
      };
      const colours = mesh.colours ? payload.bytes(mesh.colours) : uniformColours(mesh.colour, base.length / 3);
      const faces = mesh.faces && payload.integers(mesh.faces);
      const geometry = new GpuMesh(deformer, { base, faces, corners: mesh.faces?.shape[1] ?? 3, colours, motion });
      this.meshes.push({ material: mesh.name, geometry, matrix: () => still });
    }
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
        jaw: (/** @type {number} */ frame) => fromRows(this.jaw.subarray(16 * frame, 16 * frame + 16)),
        right_eye: (/** @type {number} */ frame) => this.eyeMatrix(part.pivot, frame, eye),
        left_eye: (/** @type {number} */ frame) => this.eyeMatrix(part.pivot, frame, eye),
      }[part.follows];
      this.meshes.push({ material: part.kind, geometry, matrix });
    }
    this.skin = this.meshes[0].geometry;
    this.bounds = boundsOf(payload.floats(description.meshes[0].mean));
    const extremes = this.lips ? indicesOfExtremes(this.lips) : { least: 0, most: 0 };
    /** @type {[number, number]} frames with the mouth most closed and most open */
    this.mouth = [extremes.least, extremes.most];
  }

  /** Opening of the mouth, from 0 (most closed) to 1 (most open). @param {number} frame */
  mouthOpen(frame) {
    if (!this.lips) return 0;
    const [least, most] = [this.lips[this.mouth[0]], this.lips[this.mouth[1]]];
    return most > least ? (this.lips[frame] - least) / (most - least) : 0;
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
    return rotationAbout(pivot, this.eyes[4 * frame + first], this.eyes[4 * frame + first + 1]);
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

/** @param {Float32Array} values */
function indicesOfExtremes(values) {
  let [least, most] = [0, 0];
  values.forEach((value, index) => {
    if (value < values[least]) least = index;
    if (value > values[most]) most = index;
  });
  return { least, most };
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
