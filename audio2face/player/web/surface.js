/**
 * A mesh on the graphics card. A deforming one is posed there: weights times shapes give positions, positions give
 * smooth normals, each one pass over a texture with a texel for every vertex. Lists are cut into rows, and shapes
 * stacked, so that no side of a texture exceeds the card's limit.
 */
import { bindTextures, dataTexture, formatsOf, framebuffer, gridOf, link, padded, unfiltered } from "./gl.js";
import { NORMAL_FRAGMENT, POSE_FRAGMENT, WHOLE_VERTEX } from "./shaders_pose.js";
import { topologyOf } from "./topology.js";

/** @typedef {import("./gl.js").GL} GL */
/** @typedef {import("./gl.js").Program} Program */

const WEIGHTS_PER_ROW = 64;

/**
 * @typedef {object} Motion
 * @property {Int16Array} shapes [shapes, 3, verts]
 * @property {Int16Array} weights [shapes, frames]
 * @property {Float32Array} scales [shapes]
 */

/**
 * @typedef {object} Mesh
 * @property {Float32Array} rest [verts, 3]
 * @property {Int32Array | null} faces polygons; null: points
 * @property {number} corners of a polygon, 3 or 4
 * @property {Uint8Array} colours sRGB, [verts, 3]
 * @property {Motion | null} motion null: it never deforms
 */

/** @typedef {{ side: number, layers: number }} Limits of textures: texels on a side, and layers */

/** What all surfaces of a page share. */
export class Poser {
  /**
   * @param {GL} gl
   * @param {Limits} limits beside the graphics card's own
   */
  constructor(gl, limits) {
    this.gl = gl;
    this.limit = Math.min(limits.side, gl.getParameter(gl.MAX_TEXTURE_SIZE));
    this.layers = Math.min(limits.layers, gl.getParameter(gl.MAX_ARRAY_TEXTURE_LAYERS));
    this.formats = formatsOf(gl);
    this.pose = link(gl, WHOLE_VERTEX, POSE_FRAGMENT);
    this.normal = link(gl, WHOLE_VERTEX, NORMAL_FRAGMENT);
    this.nothing = gl.createVertexArray();
  }
}

export class Surface {
  /**
   * @param {Poser} poser
   * @param {Mesh} mesh
   */
  constructor(poser, mesh) {
    const { gl, formats, limit } = poser;
    const numVerts = mesh.rest.length / 3;
    this.poser = poser;
    this.motion = mesh.motion;
    this.numVerts = numVerts;
    this.grid = gridOf(numVerts, limit);
    this.frame = -1;
    const texture = (/** @type {import("./gl.js").Format} */ format, /** @type {ArrayBufferView | null} */ data) =>
      dataTexture(gl, format, this.grid.width, this.grid.height, data);
    this.rest = texture(formats.float4, padded(mesh.rest, 3, this.grid, 4));
    this.colours = texture(formats.colours, padded(mesh.colours, 3, this.grid, 4));
    this.positions = this.motion ? texture(formats.float4, null) : this.rest;
    this.normals = texture(formats.float4, null);
    this.positionsBuffer = this.motion ? framebuffer(gl, this.positions) : null;
    this.normalsBuffer = framebuffer(gl, this.normals);
    this.upload(mesh);
    if (this.motion) this.uploadShapes(this.motion);
    else this.findNormals();
  }

  /**
   * Polygons.
   * @private
   * @param {Mesh} mesh
   */
  upload(mesh) {
    const { gl, formats, limit } = this.poser;
    const found = mesh.faces && topologyOf(mesh.faces, mesh.corners, this.numVerts);
    this.numCorners = found ? found.triangles.length : 0;
    this.numEdgeEnds = found ? found.edges.length : 0;
    this.triangles = indexed(gl, found ? found.triangles : new Uint32Array(0));
    this.edges = indexed(gl, found ? found.edges : new Uint32Array(0));
    const rings = found ? found.rings : new Int32Array(2 * this.numVerts);
    const corners = found ? found.corners : new Int32Array(2);
    const grid = gridOf(corners.length / 2, limit);
    this.rings = dataTexture(gl, formats.pairs, this.grid.width, this.grid.height, padded(rings, 2, this.grid));
    this.corners = dataTexture(gl, formats.pairs, grid.width, grid.height, padded(corners, 2, grid));
    this.cornersWidth = grid.width;
  }

  /**
   * Shapes, several above each other in every layer of one texture.
   * @private
   * @param {Motion} motion
   */
  uploadShapes(motion) {
    const { gl, formats, limit, layers } = this.poser;
    const { width, height } = this.grid;
    const count = motion.scales.length;
    this.stack = Math.max(1, Math.ceil(count / layers));
    if (this.stack * height > limit) throw new Error(`${count} shapes of ${this.numVerts} vertices exceed the graphics card`);
    const used = Math.max(1, Math.ceil(count / this.stack));
    this.shapes = gl.createTexture();
    gl.bindTexture(gl.TEXTURE_2D_ARRAY, this.shapes);
    gl.pixelStorei(gl.UNPACK_ALIGNMENT, 1);
    gl.texStorage3D(gl.TEXTURE_2D_ARRAY, 1, formats.shorts.internal, width, this.stack * height, used);
    const texels = new Int16Array(width * height * 3);
    for (let shape = 0; shape < count; shape++) {
      const from = shape * 3 * this.numVerts;
      for (let axis = 0; axis < 3; axis++) {
        for (let vertex = 0; vertex < this.numVerts; vertex++) {
          texels[3 * vertex + axis] = motion.shapes[from + axis * this.numVerts + vertex];
        }
      }
      const row = (shape % this.stack) * height;
      const layer = Math.floor(shape / this.stack);
      const { external, type } = formats.shorts;
      gl.texSubImage3D(gl.TEXTURE_2D_ARRAY, 0, 0, row, layer, width, height, 1, external, type, texels);
    }
    unfiltered(gl, gl.TEXTURE_2D_ARRAY);
    this.weightRows = Math.max(1, Math.ceil(count / WEIGHTS_PER_ROW));
    this.weightValues = new Float32Array(this.weightRows * WEIGHTS_PER_ROW);
    this.weights = dataTexture(gl, formats.float1, WEIGHTS_PER_ROW, this.weightRows, this.weightValues);
  }

  /** Takes the shape of a frame. @param {number} frame */
  show(frame) {
    const { motion, weightValues } = this;
    if (!motion || !weightValues || frame === this.frame) return;
    this.frame = frame;
    const { gl, pose, formats, nothing } = this.poser;
    const count = motion.scales.length;
    const frames = count ? motion.weights.length / count : 0;
    for (let shape = 0; shape < count; shape++) {
      weightValues[shape] = motion.scales[shape] * motion.weights[shape * frames + frame];
    }
    gl.useProgram(pose.program);
    bindTextures(gl, pose, { rest: this.rest, weights: this.weights ?? null });
    gl.activeTexture(gl.TEXTURE1);
    const rows = this.weightRows ?? 1;
    gl.texSubImage2D(gl.TEXTURE_2D, 0, 0, 0, WEIGHTS_PER_ROW, rows, formats.float1.external, gl.FLOAT, weightValues);
    gl.activeTexture(gl.TEXTURE2);
    gl.bindTexture(gl.TEXTURE_2D_ARRAY, this.shapes ?? null);
    gl.uniform1i(pose.at("shapes"), 2);
    gl.uniform1i(pose.at("count"), count);
    gl.uniform1i(pose.at("stack"), this.stack ?? 1);
    gl.uniform1i(pose.at("rows"), this.grid.height);
    gl.bindVertexArray(nothing);
    this.overAllVertices(this.positionsBuffer);
    this.findNormals();
  }

  /** @private */
  findNormals() {
    const { gl, normal, nothing } = this.poser;
    gl.useProgram(normal.program);
    bindTextures(gl, normal, { positions: this.positions, rings: this.rings ?? null, corners: this.corners ?? null });
    gl.uniform2i(normal.at("widths"), this.grid.width, this.cornersWidth ?? 1);
    gl.bindVertexArray(nothing);
    this.overAllVertices(this.normalsBuffer);
  }

  /**
   * Runs the program in use once for every vertex.
   * @private
   * @param {WebGLFramebuffer | null} target
   */
  overAllVertices(target) {
    const { gl } = this.poser;
    gl.bindFramebuffer(gl.FRAMEBUFFER, target);
    gl.viewport(0, 0, this.grid.width, this.grid.height);
    gl.disable(gl.DEPTH_TEST);
    gl.disable(gl.BLEND);
    gl.drawArrays(gl.TRIANGLES, 0, 3);
    gl.bindFramebuffer(gl.FRAMEBUFFER, null);
  }

  /** Draws triangles, or points where there are no polygons, with the program in use. */
  draw() {
    const { gl, nothing } = this.poser;
    if (this.numCorners) {
      gl.bindVertexArray(this.triangles ?? null);
      gl.drawElements(gl.TRIANGLES, this.numCorners, gl.UNSIGNED_INT, 0);
    } else {
      gl.bindVertexArray(nothing);
      gl.drawArrays(gl.POINTS, 0, this.numVerts);
    }
  }

  /** Draws the edges of polygons with the program in use. */
  drawEdges() {
    const { gl } = this.poser;
    gl.bindVertexArray(this.edges ?? null);
    gl.drawElements(gl.LINES, this.numEdgeEnds ?? 0, gl.UNSIGNED_INT, 0);
  }
}

/**
 * @param {GL} gl
 * @param {Uint32Array} indices
 */
function indexed(gl, indices) {
  const array = gl.createVertexArray();
  gl.bindVertexArray(array);
  gl.bindBuffer(gl.ELEMENT_ARRAY_BUFFER, gl.createBuffer());
  gl.bufferData(gl.ELEMENT_ARRAY_BUFFER, indices, gl.STATIC_DRAW);
  gl.bindVertexArray(null);
  return array;
}
