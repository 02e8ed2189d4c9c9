/**
 * Draws one or two animations in a canvas, lit, with shadows; as glass, with edges, or coloured by their difference.
 */
import { bindTextures, link } from "./gl.js";
import { normalised } from "./matrix.js";
import { bakeOcclusion } from "./occlusion.js";
import { EDGE_FRAGMENT, FACE_FRAGMENT, FACE_VERTEX, GROUND_FRAGMENT, PLAIN_VERTEX } from "./shaders_draw.js";
import { WHOLE_VERTEX } from "./shaders_pose.js";
import { lightMatrix, Shadow } from "./shadow.js";

/** @typedef {import("./camera.js").Camera} Camera */
/** @typedef {import("./matrix.js").Matrix} Matrix */
/** @typedef {import("./surface.js").Poser} Poser */
/** @typedef {import("./take.js").Take} Take */
/** @typedef {import("./take.js").Piece} Piece */

/**
 * @typedef {object} Look
 * @property {number[]} shown numbers of the takes, side by side
 * @property {boolean} edges wireframe
 * @property {boolean} glass skin one sees through
 * @property {boolean} heat first take coloured by its distance from the second
 * @property {number} heatTop millimetres at the top of the colours
 */

/** @typedef {{ left: number, bottom: number, width: number, height: number }} View pixels of the canvas */

const MATERIALS = { skin: 0, tongue: 1, teeth: 2, eye: 3, marker: 4 };
const SHADOW_TEXELS = 1024;
const SHADOW_LIFT = 0.012; // of the head's radius
const KEY = normalised([-0.5, 0.62, 0.78]);
const DOTS = 2.2; // pixels

export class Stage {
  /**
   * @param {HTMLCanvasElement} canvas
   * @param {Poser} poser
   * @param {Take[]} takes
   */
  constructor(canvas, poser, takes) {
    const { gl } = poser;
    this.canvas = canvas;
    this.gl = gl;
    this.poser = poser;
    this.takes = takes;
    this.face = link(gl, FACE_VERTEX, FACE_FRAGMENT);
    this.edge = link(gl, PLAIN_VERTEX, EDGE_FRAGMENT);
    this.ground = link(gl, WHOLE_VERTEX, GROUND_FRAGMENT);
    this.shadows = takes.map(() => new Shadow(poser, SHADOW_TEXELS));
    this.lights = takes.map((take) => lightMatrix(take, KEY));
    this.sky = takes.map((take) => bakeOcclusion(poser, take));
  }

  /** Sides of the views in the canvas, next to each other, or above each other in a tall one. @param {number} count @returns {View[]} */
  views(count) {
    const { width, height } = this.canvas;
    const tall = height > 1.15 * width;
    return Array.from({ length: count }, (_, place) => {
      const [across, down] = tall ? [1, count] : [count, 1];
      const [w, h] = [Math.floor(width / across), Math.floor(height / down)];
      return { left: tall ? 0 : place * w, bottom: tall ? height - (place + 1) * h : 0, width: w, height: h };
    });
  }

  /**
   * @param {number} frame
   * @param {Camera} camera
   * @param {Look} look
   */
  draw(frame, camera, look) {
    const { gl, canvas } = this;
    const needed = new Set(look.heat ? this.takes.keys() : look.shown);
    for (const take of needed) this.takes[take].show(frame);
    for (const take of look.shown) {
      this.shadows[take].cast(this.takes[take], this.lights[take], frame);
    }
    gl.bindFramebuffer(gl.FRAMEBUFFER, null);
    gl.viewport(0, 0, canvas.width, canvas.height);
    gl.clearColor(0.06, 0.067, 0.076, 1);
    gl.clear(gl.COLOR_BUFFER_BIT | gl.DEPTH_BUFFER_BIT);
    this.views(look.shown.length).forEach((view, place) => this.drawView(view, look.shown[place], frame, camera, look));
  }

  /**
   * Says where a piece stands and what looks at it.
   * @private
   * @param {import("./gl.js").Program} program
   * @param {Piece} piece
   * @param {number} frame
   * @param {Matrix} camera
   */
  place(program, piece, frame, camera) {
    const { gl } = this;
    bindTextures(gl, program, { positions: piece.surface.positions });
    gl.uniform1i(program.at("width"), piece.surface.grid.width);
    gl.uniformMatrix4fv(program.at("model"), false, piece.matrix(frame));
    gl.uniformMatrix4fv(program.at("camera"), false, camera);
  }

  /**
   * @private
   * @param {View} view
   * @param {number} number of the take
   * @param {number} frame
   * @param {Camera} camera
   * @param {Look} look
   */
  drawView(view, number, frame, camera, look) {
    const { gl, ground, poser } = this;
    const take = this.takes[number];
    const matrix = camera.matrix(view.width / view.height);
    gl.viewport(view.left, view.bottom, view.width, view.height);
    gl.disable(gl.DEPTH_TEST);
    gl.disable(gl.BLEND);
    gl.useProgram(ground.program);
    gl.uniform4f(ground.at("place"), view.left, view.bottom, view.width, view.height);
    gl.bindVertexArray(poser.nothing);
    gl.drawArrays(gl.TRIANGLES, 0, 3);
    gl.enable(gl.DEPTH_TEST);
    this.setUpFaces(number, frame, camera, matrix, look);
    gl.enable(gl.POLYGON_OFFSET_FILL); // edges and tongue lie in front of what they touch
    gl.polygonOffset(1, 1);
    const [skin, ...rest] = take.pieces;
    for (const piece of look.glass ? rest : take.pieces) this.drawPiece(piece, number, frame, look);
    if (look.glass) this.drawGlass(skin, number, frame, look);
    gl.disable(gl.POLYGON_OFFSET_FILL);
    if (look.edges) this.drawEdges(skin, frame, matrix);
  }

  /**
   * @private
   * @param {number} number
   * @param {number} frame
   * @param {Camera} camera
   * @param {Matrix} matrix
   * @param {Look} look
   */
  setUpFaces(number, frame, camera, matrix, look) {
    const { gl, face } = this;
    const take = this.takes[number];
    gl.useProgram(face.program);
    gl.activeTexture(gl.TEXTURE8);
    gl.bindTexture(gl.TEXTURE_2D, this.shadows[number].map);
    gl.uniform1i(face.at("shadow"), 8);
    gl.uniformMatrix4fv(face.at("light"), false, this.lights[number]);
    gl.uniformMatrix4fv(face.at("camera"), false, matrix);
    gl.uniform3fv(face.at("eye"), camera.eye);
    gl.uniform3fv(face.at("key"), KEY);
    gl.uniform1f(face.at("texelSize"), 1 / SHADOW_TEXELS);
    gl.uniform1f(face.at("lift"), SHADOW_LIFT * take.bounds.radius);
    gl.uniform1f(face.at("opened"), take.opened(frame));
    gl.uniform1f(face.at("pointSize"), DOTS * Math.min(devicePixelRatio, 2));
    gl.uniform1f(face.at("heatTop"), look.heat && number === 0 ? look.heatTop : 0);
    gl.uniform1f(face.at("veil"), 0);
  }

  /**
   * @private
   * @param {Piece} piece
   * @param {number} number of the take
   * @param {number} frame
   * @param {Look} look
   */
  drawPiece(piece, number, frame, look) {
    const { gl, face } = this;
    const { surface } = piece;
    const place = this.takes[number].pieces.indexOf(piece);
    const twin = look.heat && number === 0 ? this.takes[1].pieces.find((other) => other.material === piece.material) : null;
    const matches = twin?.surface.numVerts === surface.numVerts && surface.shapes;
    bindTextures(gl, face, {
      positions: surface.positions,
      normals: surface.normals,
      colours: surface.colours,
      occlusion: this.sky[number][place],
      others: matches && twin ? twin.surface.positions : surface.positions,
    });
    gl.uniform1i(face.at("width"), surface.grid.width);
    gl.uniform1i(face.at("material"), MATERIALS[piece.material]);
    gl.uniform1f(face.at("flatness"), surface.numCorners ? 0 : 1);
    gl.uniform1f(face.at("bare"), look.glass || !surface.numCorners ? 1 : 0);
    gl.uniformMatrix4fv(face.at("model"), false, piece.matrix(frame));
    surface.draw();
  }

  /**
   * The skin in front of everything, seen through: its far side is left out, so that no order is needed.
   * @private
   * @param {Piece} skin
   * @param {number} number
   * @param {number} frame
   * @param {Look} look
   */
  drawGlass(skin, number, frame, look) {
    const { gl, face } = this;
    gl.enable(gl.BLEND);
    gl.blendFunc(gl.SRC_ALPHA, gl.ONE_MINUS_SRC_ALPHA);
    gl.enable(gl.CULL_FACE);
    gl.depthMask(false);
    gl.uniform1f(face.at("veil"), 1);
    this.drawPiece(skin, number, frame, look);
    gl.depthMask(true);
    gl.disable(gl.CULL_FACE);
    gl.disable(gl.BLEND);
  }

  /**
   * @private
   * @param {Piece} skin
   * @param {number} frame
   * @param {Matrix} matrix
   */
  drawEdges(skin, frame, matrix) {
    const { gl, edge } = this;
    gl.useProgram(edge.program);
    this.place(edge, skin, frame, matrix);
    gl.uniform4f(edge.at("ink"), 0.05, 0.07, 0.09, 0.55);
    gl.enable(gl.BLEND);
    gl.blendFunc(gl.SRC_ALPHA, gl.ONE_MINUS_SRC_ALPHA);
    skin.surface.drawEdges();
    gl.disable(gl.BLEND);
  }
}
