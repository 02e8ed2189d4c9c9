/**
 * The principal components of a deforming mesh as a texture array, several stacked in every layer, and their weights in
 * the frame that is drawn.
 */
import { dataTexture, unfiltered } from "./gl.js";

/** @typedef {import("./mesh.js").MeshDeformer} MeshDeformer */
/** @typedef {{ width: number, height: number }} Grid texels, one for every vertex of the mesh */

/**
 * @typedef {object} Motion
 * @property {Int16Array} components [components, 3, verts]
 * @property {Float32Array} scales of the components; only their number counts here
 * @property {(frame: number, weights: Float32Array) => void} weigh writes the weights of a frame, scales included
 */

const WEIGHTS_PER_ROW = 64; // the shader reads the same number

export class Components {
  /**
   * @param {MeshDeformer} deformer
   * @param {Motion} motion
   * @param {Grid} grid
   * @param {number} numVerts
   */
  constructor(deformer, motion, grid, numVerts) {
    const { gl, formats, limit, layers } = deformer;
    this.gl = gl;
    this.motion = motion;
    this.grid = grid;
    this.count = motion.scales.length;
    this.stack = Math.max(1, Math.ceil(this.count / layers));
    if (this.stack * grid.height > limit) {
      throw new Error(`${this.count} components of ${numVerts} vertices exceed the textures of this graphics card.`);
    }
    this.rows = Math.max(1, Math.ceil(this.count / WEIGHTS_PER_ROW));
    this.values = new Float32Array(this.rows * WEIGHTS_PER_ROW);
    this.weights = dataTexture(gl, formats.float1, WEIGHTS_PER_ROW, this.rows, this.values);
    this.texture = gl.createTexture();
    this.upload(formats.shorts, numVerts);
  }

  /**
   * @private
   * @param {import("./gl.js").Format} format
   * @param {number} numVerts
   */
  upload(format, numVerts) {
    const { gl, grid: { width, height }, stack, count, motion } = this;
    const layers = Math.max(1, Math.ceil(count / stack));
    gl.bindTexture(gl.TEXTURE_2D_ARRAY, this.texture);
    gl.pixelStorei(gl.UNPACK_ALIGNMENT, 1);
    gl.texStorage3D(gl.TEXTURE_2D_ARRAY, 1, format.internal, width, stack * height, layers);
    const texels = new Int16Array(width * height * 3);
    for (let component = 0; component < count; component++) {
      for (let axis = 0; axis < 3; axis++) {
        const from = (3 * component + axis) * numVerts;
        for (let vertex = 0; vertex < numVerts; vertex++) texels[3 * vertex + axis] = motion.components[from + vertex];
      }
      const [row, layer] = [(component % stack) * height, Math.floor(component / stack)];
      gl.texSubImage3D(gl.TEXTURE_2D_ARRAY, 0, 0, row, layer, width, height, 1, format.external, format.type, texels);
    }
    unfiltered(gl, gl.TEXTURE_2D_ARRAY);
  }

  /**
   * Uploads the weights of a frame and binds weights and components to the program in use.
   * @param {import("./gl.js").Program} program
   * @param {number} frame
   */
  bind(program, frame) {
    const { gl, count, motion, values } = this;
    motion.weigh(frame, values);
    gl.activeTexture(gl.TEXTURE1);
    gl.bindTexture(gl.TEXTURE_2D, this.weights);
    gl.texSubImage2D(gl.TEXTURE_2D, 0, 0, 0, WEIGHTS_PER_ROW, this.rows, gl.RED, gl.FLOAT, values);
    gl.activeTexture(gl.TEXTURE2);
    gl.bindTexture(gl.TEXTURE_2D_ARRAY, this.texture);
    gl.uniform1i(program.at("weights"), 1);
    gl.uniform1i(program.at("components"), 2);
    gl.uniform1i(program.at("count"), count);
    gl.uniform1i(program.at("stack"), this.stack);
    gl.uniform1i(program.at("rows"), this.grid.height);
  }
}
