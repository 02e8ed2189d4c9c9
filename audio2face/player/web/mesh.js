/**
 * A mesh on the graphics card. Deformation runs there: weights times components give positions, positions give smooth
 * normals, each in one pass over a texture with a texel for every vertex. Lists are wrapped into rows, so that no side of
 * a texture exceeds the card's limit.
 */
import { bindTextures, dataTexture, formatsOf, framebuffer, gridOf, link, padded } from "./gl.js";
import { DEFORM_FRAGMENT, FULLSCREEN_VERTEX, NORMAL_FRAGMENT } from "./shaders_deform.js";
import { Components } from "./components.js";
import { topologyOf } from "./topology.js";

/** @typedef {import("./gl.js").GL} GL */
/** @typedef {import("./gl.js").Program} Program */

/**
 * @typedef {object} MeshData
 * @property {Float32Array} base positions before deformation, [verts, 3]
 * @property {Int32Array | null} faces polygons; null: points
 * @property {number} corners of a polygon, 3 or 4
 * @property {Uint8Array} colours sRGB, [verts, 3]
 * @property {import("./components.js").Motion | null} motion null: a rigid mesh
 */

/** @typedef {{ side: number, layers: number }} Limits of textures: texels on a side, and layers */

/** Programs, formats and limits that all meshes of a page share. */
export class MeshDeformer {
  /**
   * @param {GL} gl
   * @param {Limits} limits on top of the graphics card's own
   */
  constructor(gl, limits) {
    this.gl = gl;
    this.limit = Math.min(limits.side, gl.getParameter(gl.MAX_TEXTURE_SIZE));
    this.layers = Math.min(limits.layers, gl.getParameter(gl.MAX_ARRAY_TEXTURE_LAYERS));
    this.formats = formatsOf(gl);
    this.deform = link(gl, FULLSCREEN_VERTEX, DEFORM_FRAGMENT);
    this.normals = link(gl, FULLSCREEN_VERTEX, NORMAL_FRAGMENT);
    this.emptyVertexArray = gl.createVertexArray();
  }
}

const NO_POLYGONS = { triangles: new Uint32Array(0), edges: new Uint32Array(0), corners: new Int32Array(2) };

export class GpuMesh {
  /**
   * @param {MeshDeformer} deformer
   * @param {MeshData} mesh
   */
  constructor(deformer, mesh) {
    const { gl, formats, limit } = deformer;
    const numVerts = mesh.base.length / 3;
    const grid = gridOf(numVerts, limit);
    const texture = (/** @type {import("./gl.js").Format} */ format, /** @type {ArrayBufferView | null} */ data) =>
      dataTexture(gl, format, grid.width, grid.height, data);
    this.deformer = deformer;
    this.numVerts = numVerts;
    this.grid = grid;
    this.frame = -1;

    const polygons = mesh.faces
      ? topologyOf(mesh.faces, mesh.corners, numVerts)
      : { ...NO_POLYGONS, rings: new Int32Array(2 * numVerts) };
    this.numCorners = polygons.triangles.length;
    this.numEdgeEnds = polygons.edges.length;
    this.triangles = indexed(gl, polygons.triangles);
    this.edges = indexed(gl, polygons.edges);
    this.rings = texture(formats.pairs, padded(polygons.rings, 2, grid));
    this.cornersGrid = gridOf(polygons.corners.length / 2, limit);
    const { width, height } = this.cornersGrid;
    this.corners = dataTexture(gl, formats.pairs, width, height, padded(polygons.corners, 2, this.cornersGrid));

    this.components = mesh.motion && new Components(deformer, mesh.motion, grid, numVerts);
    this.base = texture(formats.float4, padded(mesh.base, 3, grid, 4));
    this.colours = texture(formats.colours, padded(mesh.colours, 3, grid, 4));
    this.positions = mesh.motion ? texture(formats.float4, null) : this.base;
    this.normals = texture(formats.float4, null);
    this.positionsBuffer = framebuffer(gl, this.positions);
    this.normalsBuffer = framebuffer(gl, this.normals);
    if (!mesh.motion) this.computeNormals();
  }

  /** Deforms the mesh to a frame. @param {number} frame */
  setFrame(frame) {
    if (!this.components || frame === this.frame) return;
    this.frame = frame;
    const { gl, deform } = this.deformer;
    gl.useProgram(deform.program);
    bindTextures(gl, deform, { base: this.base });
    this.components.bind(deform, frame);
    this.runPerVertex(this.positionsBuffer);
    this.computeNormals();
  }

  /** @private */
  computeNormals() {
    const { gl, normals } = this.deformer;
    gl.useProgram(normals.program);
    bindTextures(gl, normals, { positions: this.positions, rings: this.rings, corners: this.corners });
    gl.uniform2i(normals.at("widths"), this.grid.width, this.cornersGrid.width);
    this.runPerVertex(this.normalsBuffer);
  }

  /**
   * Runs the program in use once for every vertex.
   * @private
   * @param {WebGLFramebuffer} target
   */
  runPerVertex(target) {
    const { gl, emptyVertexArray } = this.deformer;
    gl.bindVertexArray(emptyVertexArray);
    gl.bindFramebuffer(gl.FRAMEBUFFER, target);
    gl.viewport(0, 0, this.grid.width, this.grid.height);
    gl.disable(gl.DEPTH_TEST);
    gl.disable(gl.BLEND);
    gl.drawArrays(gl.TRIANGLES, 0, 3);
    gl.bindFramebuffer(gl.FRAMEBUFFER, null);
  }

  /** Draws triangles, or points where there are no polygons, with the program in use. */
  draw() {
    const { gl, emptyVertexArray } = this.deformer;
    gl.bindVertexArray(this.numCorners ? this.triangles : emptyVertexArray);
    if (this.numCorners) gl.drawElements(gl.TRIANGLES, this.numCorners, gl.UNSIGNED_INT, 0);
    else gl.drawArrays(gl.POINTS, 0, this.numVerts);
  }

  /** Draws the edges of polygons with the program in use. */
  drawEdges() {
    const { gl } = this.deformer;
    gl.bindVertexArray(this.edges);
    gl.drawElements(gl.LINES, this.numEdgeEnds, gl.UNSIGNED_INT, 0);
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
