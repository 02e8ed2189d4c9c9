/**
 * The types of what `describe.py` and `page.py` say of the animation. Lengths are centimetres unless named otherwise.
 */
import { element } from "./dom.js";

/** @typedef {import("./payload.js").Place} Place */

/**
 * @typedef {object} MeshDescription a deforming mesh: frame f is `rest + scales * weights[:, f] @ shapes`
 * @property {"skin" | "tongue"} name
 * @property {Place | null} faces int32 [faces, 3 or 4], -1 as the fourth corner of a triangle; null: points are drawn
 * @property {Place} rest float32 [verts, 3]
 * @property {Place} shapes int16 [shapes, 3, verts]
 * @property {Place} weights int16 [shapes, frames]
 * @property {Place} scales float32 [shapes]
 * @property {Place | null} colours uint8 [verts, 3], sRGB
 * @property {[number, number, number]} colour sRGB, where the actor has no colours of its own
 * @property {number} meanError of the coding, millimetres
 * @property {number} worstError of the coding, millimetres
 */

/**
 * @typedef {object} PropDescription a rigid part
 * @property {string} name
 * @property {"eye" | "teeth" | "marker"} kind
 * @property {"head" | "jaw" | "right_eye" | "left_eye"} follows
 * @property {[number, number, number]} pivot what an eye turns about
 * @property {Place} faces
 * @property {Place} rest
 * @property {Place} colours
 */

/**
 * @typedef {object} TakeDescription one animation
 * @property {string} label
 * @property {string} actor
 * @property {[string, string | [string, string][]][]} facts names and values; a value may be a group of such
 * @property {MeshDescription[]} meshes
 * @property {PropDescription[]} props
 * @property {Place} jaw float32 [frames, 4, 4], row by row
 * @property {Place} eyes float32 [frames, 4], degrees: pitch and yaw of the right eye, then of the left
 * @property {Place | null} lips float32 [frames], how far they are apart, millimetres
 * @property {[number, number, number] | null} mouth its middle at rest
 * @property {string[]} emotions
 * @property {Place} emotion float32 [frames, emotions]
 * @property {string[]} poses names of blend shapes
 * @property {Place | null} poseWeights float32 [frames, poses]
 */

/**
 * @typedef {object} Description
 * @property {string} title
 * @property {number} fps
 * @property {number} frames
 * @property {number} seconds length of the page's time: of the sound, or of the animation where that is longer
 * @property {TakeDescription[]} takes one or two
 * @property {{ mean: Place, largest: Place, usual: number } | null} difference millimetres: float32 [frames], and what
 *   nearly all distances stay within
 * @property {Place | null} sound a FLAC file
 * @property {Place | null} outline uint8 [columns, 2], lowest and highest value, 128 is silence
 * @property {number} outlineRate columns per second
 */

/** @returns {Description} what the page was written with */
export function readDescription() {
  return JSON.parse(element("description").textContent ?? "");
}
