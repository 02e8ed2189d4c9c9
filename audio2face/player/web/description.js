/**
 * The types of the JSON that `describe.py` and `page.py` write. Lengths are centimetres unless stated otherwise.
 */
import { element } from "./dom.js";

/** @typedef {import("./payload.js").ArrayRef} ArrayRef */

/**
 * @typedef {object} SurfaceDescription a deforming mesh: `mean + scales * weights @ components`
 * @property {"skin" | "tongue"} name
 * @property {ArrayRef | null} faces int32 [faces, 3 or 4], -1 as the fourth corner of a triangle; null: points are drawn
 * @property {ArrayRef} mean float32 [verts, 3]
 * @property {ArrayRef} components int16 [components, 3, verts]
 * @property {ArrayRef} scales float32 [components]
 * @property {ArrayRef | null} colours uint8 [verts, 3], sRGB
 * @property {[number, number, number]} colour sRGB, for an actor without vertex colours
 */

/**
 * @typedef {object} RecordedWeights
 * @property {ArrayRef} weights of each frame, int16 [components, frames]
 * @property {number} meanError of the compression, millimetres
 * @property {number} worstError of the compression, millimetres
 */

/** @typedef {SurfaceDescription & RecordedWeights} MeshDescription a mesh with its motion */

/**
 * @typedef {object} RigidPartDescription a rigid part
 * @property {string} name
 * @property {"eye" | "teeth" | "marker"} kind
 * @property {"head" | "jaw" | "right_eye" | "left_eye"} follows
 * @property {[number, number, number]} pivot centre of rotation of an eye
 * @property {ArrayRef} faces
 * @property {ArrayRef} vertices float32 [verts, 3], neutral pose
 * @property {ArrayRef} colours
 */

/**
 * @typedef {object} ClipDescription one animation
 * @property {string} label
 * @property {string} actor
 * @property {[string, string | [string, string][]][]} facts names and values; a value may be a group of pairs
 * @property {MeshDescription[]} meshes
 * @property {RigidPartDescription[]} rigidParts
 * @property {ArrayRef} jaw float32 [frames, 4, 4], row by row
 * @property {ArrayRef} eyes float32 [frames, 4], degrees: pitch and yaw of the right eye, then of the left
 * @property {ArrayRef | null} lips float32 [frames], distance between upper and lower lip, millimetres
 * @property {[number, number, number] | null} mouth its centre in the neutral pose
 * @property {string[]} emotions
 * @property {ArrayRef} emotion float32 [frames, emotions]
 * @property {string[]} poses names of blend shapes
 * @property {ArrayRef | null} poseWeights float32 [frames, poses]
 */

/**
 * @typedef {object} Description
 * @property {string} title
 * @property {number} fps
 * @property {number} frames
 * @property {number} seconds duration: of the audio, or of the animation where that is longer
 * @property {ClipDescription[]} clips one or two
 * @property {{ mean: ArrayRef, largest: ArrayRef, usual: number } | null} difference millimetres: float32 [frames], and the
 *   98th percentile of all distances
 * @property {ArrayRef | null} sound a FLAC file
 * @property {ArrayRef | null} waveform uint8 [columns, 2], lowest and highest value, 128 is silence
 * @property {number} waveformRate columns per second
 */

/** @returns {Description} the JSON inside the page */
export function readDescription() {
  return JSON.parse(element("description").textContent ?? "");
}
