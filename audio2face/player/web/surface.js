/**
 * A mesh on the graphics card. A deforming one is posed there: weights times shapes give positions, positions give
 * smooth normals, each in one pass over a texture with a texel for every vertex. Lists are cut into rows, so that no side
 * of a texture exceeds the card's limit.
 */
import { bindTextures, dataTexture, formatsOf, framebuffer, gridOf, link, padded } from "./gl.js";
import { NORMAL_FRAGMENT, POSE_FRAGMENT, WHOLE_VERTEX } from "./shaders_pose.js";
import { Shapes } from "./shapes.js";
import { topologyOf } from "./topology.js";

/** @typedef {import("./gl.js").GL} GL */
/** @typedef {import("./gl.js").Program} Program */

/**
 * @typedef {object} Mesh
 * @property {Float32Array} rest [verts, 3]
 * @property {Int32Array | null} faces polygons; null: points
 * @property {number} corners of a polygon, 3 or 4
 * @property {Uint8Array} colours sRGB, [verts, 3]
 * @property {import("./shapes.js").Motion | null} motion null: it never deforms
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

const NO_POLYGONS = { triangles: new Uint32Array(0), edges: new Uint32Array(0), corners: new Int32Array(2) };

export class Surface {
  /**
   * @param {Poser} poser
   * @param {Mesh} mesh
   */
  constructor(poser, mesh) {
    const { gl, formats, limit } = poser;
    const numVerts = mesh.rest.length / 3;
    const grid = gridOf(numVerts, limit);
    const texture = (/** @type {import("./gl.js").Format} */ format, /** @type {ArrayBufferView | null} */ data) =>
      dataTexture(gl, format, grid.width, grid.height, data);
    this.poser = poser;
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

    this.shapes = mesh.motion && new Shapes(poser, mesh.motion, grid, numVerts);
    this.rest = texture(formats.float4, padded(mesh.rest, 3, grid, 4));
    this.colours = texture(formats.colours, padded(mesh.colours, 3, grid, 4));
    this.positions = mesh.motion ? texture(formats.float4, null) : this.rest;
    this.normals = texture(formats.float4, null);
    this.positionsBuffer = framebuffer(gl, this.positions);
    this.normalsBuffer = framebuffer(gl, this.normals);
    if (!mesh.motion) this.findNormals();
  }

  /** Takes the shape of a frame. @param {number} frame */
  show(frame) {
    if (!this.shapes || frame === this.frame) return;
    this.frame = frame;
    const { gl, pose } = this.poser;
    gl.useProgram(pose.program);
    bindTextures(gl, pose, { rest: this.rest });
    this.shapes.bind(pose, frame);
    this.overAllVertices(this.positionsBuffer);
    this.findNormals();
  }

  /** @private */
  findNormals() {
    const { gl, normal } = this.poser;
    gl.useProgram(normal.program);
    bindTextures(gl, normal, { positions: this.positions, rings: this.rings, corners: this.corners });
    gl.uniform2i(normal.at("widths"), this.grid.width, this.cornersGrid.width);
    this.overAllVertices(this.normalsBuffer);
  }

  /**
   * Runs the program in use once for every vertex.
   * @private
   * @param {WebGLFramebuffer} target
   */
  overAllVertices(target) {
    const { gl, nothing } = this.poser;
    gl.bindVertexArray(nothing);
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
    gl.bindVertexArray(this.numCorners ? this.triangles : nothing);
    if (this.numCorners) gl.drawElements(gl.TRIANGLES, this.numCorners, gl.UNSIGNED_INT, 0);
    else gl.drawArrays(gl.POINTS, 0, this.numVerts);
  }

  /** Draws the edges of polygons with the program in use. */
  drawEdges() {
    const { gl } = this.poser;
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
