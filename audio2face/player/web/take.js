/**
 * One animation as the stage draws it: its surfaces, and where its rigid parts stand in a frame.
 */
import { fromRows, identity, turnAbout } from "./matrix.js";
import { Surface } from "./surface.js";

/** @typedef {import("./description.js").TakeDescription} TakeDescription */
/** @typedef {import("./matrix.js").Matrix} Matrix */
/** @typedef {import("./payload.js").Payload} Payload */
/** @typedef {import("./surface.js").Poser} Poser */
/** @typedef {import("./surface.js").Mesh} Mesh */
/** @typedef {import("./matrix.js").Vector} Vector */

/** @typedef {"skin" | "tongue" | "teeth" | "eye" | "marker"} Material */
/** @typedef {{ material: Material, surface: Surface, matrix: (frame: number) => Matrix }} Piece */

export class Take {
  /**
   * @param {Poser} poser
   * @param {TakeDescription} description
   * @param {Payload} payload
   */
  constructor(poser, description, payload) {
    this.label = description.label;
    this.jaw = payload.floats(description.jaw);
    this.eyes = payload.floats(description.eyes);
    this.lips = description.lips && payload.floats(description.lips);
    const still = identity();
    /** @type {Piece[]} */
    this.pieces = [];
    for (const mesh of description.meshes) {
      const rest = payload.floats(mesh.rest);
      const motion = {
        shapes: payload.shorts(mesh.shapes),
        weights: payload.shorts(mesh.weights),
        scales: payload.floats(mesh.scales),
      };
      const colours = mesh.colours ? payload.bytes(mesh.colours) : alike(mesh.colour, rest.length / 3);
      const faces = mesh.faces && payload.integers(mesh.faces);
      const surface = new Surface(poser, { rest, faces, corners: mesh.faces?.shape[1] ?? 3, colours, motion });
      this.pieces.push({ material: mesh.name, surface, matrix: () => still });
    }
    for (const prop of description.props) {
      const surface = new Surface(poser, {
        rest: payload.floats(prop.rest),
        faces: payload.integers(prop.faces),
        corners: prop.faces.shape[1],
        colours: payload.bytes(prop.colours),
        motion: null,
      });
      const eye = prop.follows === "right_eye" ? 0 : 2;
      const matrix = {
        head: () => still,
        jaw: (/** @type {number} */ frame) => fromRows(this.jaw.subarray(16 * frame, 16 * frame + 16)),
        right_eye: (/** @type {number} */ frame) => this.gaze(prop.pivot, frame, eye),
        left_eye: (/** @type {number} */ frame) => this.gaze(prop.pivot, frame, eye),
      }[prop.follows];
      this.pieces.push({ material: prop.kind, surface, matrix });
    }
    this.skin = this.pieces[0].surface;
    this.bounds = boundsOf(payload.floats(description.meshes[0].rest));
    const places = this.lips ? extremes(this.lips) : { least: 0, most: 0 };
    /** @type {[number, number]} frames in which the mouth is shut most and open most */
    this.mouth = [places.least, places.most];
  }

  /** How far the mouth is open, from 0 at its least to 1 at its most. @param {number} frame */
  opened(frame) {
    if (!this.lips) return 0;
    const [least, most] = [this.lips[this.mouth[0]], this.lips[this.mouth[1]]];
    return most > least ? (this.lips[frame] - least) / (most - least) : 0;
  }

  /** @param {number} frame */
  show(frame) {
    for (const piece of this.pieces) piece.surface.show(frame);
  }

  /**
   * @private
   * @param {Vector} pivot
   * @param {number} frame
   * @param {number} first of its two angles
   */
  gaze(pivot, frame, first) {
    return turnAbout(pivot, this.eyes[4 * frame + first], this.eyes[4 * frame + first + 1]);
  }
}

/**
 * @param {Float32Array} points [verts, 3]
 * @returns {{ centre: Vector, radius: number, reach: number }} of their box: middle, half the diagonal, half the height
 */
function boundsOf(points) {
  const [low, high] = [[Infinity, Infinity, Infinity], [-Infinity, -Infinity, -Infinity]];
  for (let place = 0; place < points.length; place++) {
    low[place % 3] = Math.min(low[place % 3], points[place]);
    high[place % 3] = Math.max(high[place % 3], points[place]);
  }
  const middle = (/** @type {number} */ axis) => (low[axis] + high[axis]) / 2;
  const radius = Math.hypot(high[0] - low[0], high[1] - low[1], high[2] - low[2]) / 2;
  return { centre: [middle(0), middle(1), middle(2)], radius, reach: (high[1] - low[1]) / 2 };
}

/** @param {Float32Array} values */
function extremes(values) {
  let [least, most] = [0, 0];
  values.forEach((value, place) => {
    if (value < values[least]) least = place;
    if (value > values[most]) most = place;
  });
  return { least, most };
}

/**
 * @param {[number, number, number]} colour
 * @param {number} count
 */
function alike(colour, count) {
  const colours = new Uint8Array(3 * count);
  for (let place = 0; place < colours.length; place++) colours[place] = colour[place % 3];
  return colours;
}
