/**
 * What the page computes with: the JSON that `face.py` writes, and its arrays.
 */
import { inflate, Payload } from "../../player/web/payload.js";

/** @typedef {import("../../player/web/payload.js").ArrayRef} ArrayRef */

/**
 * @typedef {object} PageDescription lengths are centimetres, angles degrees
 * @property {string} actor
 * @property {string} model
 * @property {number} fps
 * @property {import("./windows.js").NetworkDescription} network
 * @property {import("./session.js").SessionDescription} session
 * @property {import("../../player/web/description.js").SurfaceDescription[]} meshes
 * @property {import("../../player/web/description.js").RigidPartDescription[]} rigidParts
 * @property {[number, number, number] | null} mouth its centre
 * @property {{ filters: number[], blinkOffset: number, shapes: { rest: number[], gains: number[][], blinks: number[][] } | null }} skin
 *   filters of the lower and the upper half; of a face that blend shapes pose, the maps to their weights
 * @property {number[] | null} tongueToJaw rows of a matrix [4, 4]; null: the tongue does not move with the jaw
 * @property {{ neutral: number[][], strength: number, offset: number[] }} jaw
 * @property {{ strength: number, offset: number[], saccades: ArrayRef, rate: number, seed: number }} eyes
 * @property {{ keys: number[], rate: number, pauses: number[] } | null} blink
 * @property {{ rest: number, components: number[] } | null} lips their distance, millimetres
 * @property {number[]} open values of the network with an open mouth
 * @property {{ names: string[], columns: [string, number][] | null, solver: import("./solver.js").SolverDescription | null } | null} weights
 * @property {{ key: string, help: string }[]} formats that the server behind the page exports
 */

/**
 * Loads description and arrays of a model.
 * @param {URL} folder
 * @returns {Promise<{ face: PageDescription, payload: Payload }>}
 */
export async function loadFace(folder) {
  const [face, arrays] = await Promise.all([load(new URL("face.json", folder)), load(new URL("face.bin", folder))]);
  return { face: await face.json(), payload: new Payload(await inflate(await arrays.blob())) };
}

/** @param {URL} address */
async function load(address) {
  const answer = await fetch(address);
  if (!answer.ok) throw new Error(`${address.pathname} cannot be loaded: the server answers ${answer.status}. Export the page again.`);
  return answer;
}
