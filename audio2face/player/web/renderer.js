/**
 * Draws one or two animations in a canvas with lights and shadows: shaded, transparent, as wireframe or as a heat map.
 */
import { bindTextures, link } from "./gl.js";
import { normalised } from "./matrix.js";
import { bakeOcclusion } from "./ambient_occlusion.js";
import { EDGE_FRAGMENT, LIT_FRAGMENT, LIT_VERTEX, BACKGROUND_FRAGMENT, POSITION_VERTEX } from "./shaders_draw.js";
import { FULLSCREEN_VERTEX } from "./shaders_deform.js";
import { lightMatrix, Shadow } from "./shadow.js";

/** @typedef {import("./camera.js").Camera} Camera */
/** @typedef {import("./matrix.js").Matrix} Matrix */
/** @typedef {import("./mesh.js").MeshDeformer} MeshDeformer */
/** @typedef {import("./clip.js").Clip} Clip */
/** @typedef {import("./clip.js").MeshInstance} MeshInstance */

/**
 * @typedef {object} ViewOptions
 * @property {number[]} shown numbers of the clips, side by side
 * @property {boolean} edges wireframe
 * @property {boolean} glass transparent skin
 * @property {boolean} heat first clip coloured by its distance from the second
 * @property {number} heatTop millimetres at the top of the colour scale
 */

/** @typedef {{ left: number, bottom: number, width: number, height: number }} View pixels of the canvas */

const MATERIALS = { skin: 0, tongue: 1, teeth: 2, eye: 3, marker: 4 };
const SHADOW_TEXELS = 1024;
const SHADOW_LIFT = 0.012; // of the head's radius
const KEY_LIGHT = normalised([-0.5, 0.62, 0.78]);
const POINT_SIZE = 2.2; // pixels

export class Renderer {
  /**
   * @param {HTMLCanvasElement} canvas
   * @param {MeshDeformer} deformer
   * @param {Clip[]} clips
   */
  constructor(canvas, deformer, clips) {
    const { gl } = deformer;
    this.canvas = canvas;
    this.gl = gl;
    this.deformer = deformer;
    this.clips = clips;
    this.face = link(gl, LIT_VERTEX, LIT_FRAGMENT);
    this.edge = link(gl, POSITION_VERTEX, EDGE_FRAGMENT);
    this.background = link(gl, FULLSCREEN_VERTEX, BACKGROUND_FRAGMENT);
    this.shadows = clips.map(() => new Shadow(deformer, SHADOW_TEXELS));
    this.lights = clips.map((clip) => lightMatrix(clip, KEY_LIGHT));
    this.ambientOcclusion = clips.map((clip) => bakeOcclusion(deformer, clip));
  }

  /** Viewports in the canvas, side by side, or stacked in a tall canvas. @param {number} count @returns {View[]} */
  views(count) {
    const { width, height } = this.canvas;
    const tall = height > 1.15 * width;
    return Array.from({ length: count }, (_, index) => {
      const [across, down] = tall ? [1, count] : [count, 1];
      const [w, h] = [Math.floor(width / across), Math.floor(height / down)];
      return { left: tall ? 0 : index * w, bottom: tall ? height - (index + 1) * h : 0, width: w, height: h };
    });
  }

  /**
   * @param {number} frame
   * @param {Camera} camera
   * @param {ViewOptions} options
   */
  draw(frame, camera, options) {
    const { gl, canvas } = this;
    const needed = new Set(options.heat ? this.clips.keys() : options.shown);
    for (const clip of needed) this.clips[clip].setFrame(frame);
    for (const clip of options.shown) {
      this.shadows[clip].cast(this.clips[clip], this.lights[clip], frame);
    }
    gl.bindFramebuffer(gl.FRAMEBUFFER, null);
    gl.viewport(0, 0, canvas.width, canvas.height);
    gl.clearColor(0.06, 0.067, 0.076, 1);
    gl.clear(gl.COLOR_BUFFER_BIT | gl.DEPTH_BUFFER_BIT);
    this.views(options.shown.length).forEach((view, index) => this.drawView(view, options.shown[index], frame, camera, options));
  }

  /**
   * Sets positions, model matrix and camera matrix of a program.
   * @private
   * @param {import("./gl.js").Program} program
   * @param {MeshInstance} mesh
   * @param {number} frame
   * @param {Matrix} camera
   */
  setTransforms(program, mesh, frame, camera) {
    const { gl } = this;
    bindTextures(gl, program, { positions: mesh.geometry.positions });
    gl.uniform1i(program.at("width"), mesh.geometry.grid.width);
    gl.uniformMatrix4fv(program.at("model"), false, mesh.matrix(frame));
    gl.uniformMatrix4fv(program.at("camera"), false, camera);
  }

  /**
   * @private
   * @param {View} view
   * @param {number} number index of the clip
   * @param {number} frame
   * @param {Camera} camera
   * @param {ViewOptions} options
   */
  drawView(view, number, frame, camera, options) {
    const { gl, background, deformer } = this;
    const clip = this.clips[number];
    const matrix = camera.matrix(view.width / view.height);
    gl.viewport(view.left, view.bottom, view.width, view.height);
    gl.disable(gl.DEPTH_TEST);
    gl.disable(gl.BLEND);
    gl.useProgram(background.program);
    gl.uniform4f(background.at("viewport"), view.left, view.bottom, view.width, view.height);
    gl.bindVertexArray(deformer.emptyVertexArray);
    gl.drawArrays(gl.TRIANGLES, 0, 3);
    gl.enable(gl.DEPTH_TEST);
    this.setUpShading(number, frame, camera, matrix, options);
    gl.enable(gl.POLYGON_OFFSET_FILL); // draws edges and tongue in front of the surfaces they touch
    gl.polygonOffset(1, 1);
    const [skin, ...rest] = clip.meshes;
    for (const mesh of options.glass ? rest : clip.meshes) this.drawPiece(mesh, number, frame, options);
    if (options.glass) this.drawGlass(skin, number, frame, options);
    gl.disable(gl.POLYGON_OFFSET_FILL);
    if (options.edges) this.drawEdges(skin, frame, matrix);
  }

  /**
   * @private
   * @param {number} number
   * @param {number} frame
   * @param {Camera} camera
   * @param {Matrix} matrix
   * @param {ViewOptions} options
   */
  setUpShading(number, frame, camera, matrix, options) {
    const { gl, face } = this;
    const clip = this.clips[number];
    gl.useProgram(face.program);
    gl.activeTexture(gl.TEXTURE8);
    gl.bindTexture(gl.TEXTURE_2D, this.shadows[number].map);
    gl.uniform1i(face.at("shadow"), 8);
    gl.uniformMatrix4fv(face.at("light"), false, this.lights[number]);
    gl.uniformMatrix4fv(face.at("camera"), false, matrix);
    gl.uniform3fv(face.at("eye"), camera.eye);
    gl.uniform3fv(face.at("keyLight"), KEY_LIGHT);
    gl.uniform1f(face.at("texelSize"), 1 / SHADOW_TEXELS);
    gl.uniform1f(face.at("lift"), SHADOW_LIFT * clip.bounds.radius);
    gl.uniform1f(face.at("mouthOpen"), clip.mouthOpen(frame));
    gl.uniform1f(face.at("pointSize"), POINT_SIZE * Math.min(devicePixelRatio, 2));
    gl.uniform1f(face.at("heatTop"), options.heat && number === 0 ? options.heatTop : 0);
    gl.uniform1f(face.at("glass"), 0);
  }

  /**
   * @private
   * @param {MeshInstance} mesh
   * @param {number} number index of the clip
   * @param {number} frame
   * @param {ViewOptions} options
   */
  drawPiece(mesh, number, frame, options) {
    const { gl, face } = this;
    const { geometry } = mesh;
    const index = this.clips[number].meshes.indexOf(mesh);
    const twin = options.heat && number === 0 ? this.clips[1].meshes.find((other) => other.material === mesh.material) : null;
    const matches = twin?.geometry.numVerts === geometry.numVerts && geometry.components;
    bindTextures(gl, face, {
      positions: geometry.positions,
      normals: geometry.normals,
      colours: geometry.colours,
      occlusion: this.ambientOcclusion[number][index],
      otherPositions: matches && twin ? twin.geometry.positions : geometry.positions,
    });
    gl.uniform1i(face.at("width"), geometry.grid.width);
    gl.uniform1i(face.at("material"), MATERIALS[mesh.material]);
    gl.uniform1f(face.at("isPoint"), geometry.numCorners ? 0 : 1);
    gl.uniform1f(face.at("unshadowed"), options.glass || !geometry.numCorners ? 1 : 0);
    gl.uniformMatrix4fv(face.at("model"), false, mesh.matrix(frame));
    geometry.draw();
  }

  /**
   * The transparent skin, drawn last. Back faces are culled, so that triangles need no depth sorting.
   * @private
   * @param {MeshInstance} skin
   * @param {number} number
   * @param {number} frame
   * @param {ViewOptions} options
   */
  drawGlass(skin, number, frame, options) {
    const { gl, face } = this;
    gl.enable(gl.BLEND);
    gl.blendFunc(gl.SRC_ALPHA, gl.ONE_MINUS_SRC_ALPHA);
    gl.enable(gl.CULL_FACE);
    gl.depthMask(false);
    gl.uniform1f(face.at("glass"), 1);
    this.drawPiece(skin, number, frame, options);
    gl.depthMask(true);
    gl.disable(gl.CULL_FACE);
    gl.disable(gl.BLEND);
  }

  /**
   * @private
   * @param {MeshInstance} skin
   * @param {number} frame
   * @param {Matrix} matrix
   */
  drawEdges(skin, frame, matrix) {
    const { gl, edge } = this;
    gl.useProgram(edge.program);
    this.setTransforms(edge, skin, frame, matrix);
    gl.uniform4f(edge.at("lineColour"), 0.05, 0.07, 0.09, 0.55);
    gl.enable(gl.BLEND);
    gl.blendFunc(gl.SRC_ALPHA, gl.ONE_MINUS_SRC_ALPHA);
    skin.geometry.drawEdges();
    gl.disable(gl.BLEND);
  }
}
