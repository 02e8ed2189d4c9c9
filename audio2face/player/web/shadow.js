/**
 * Shadow map of a directional light.
 */
import { bindTextures, dataTexture, framebuffer, link } from "./gl.js";
import { identity, lookAt, multiply, orthographic } from "./matrix.js";
import { DEPTH_FRAGMENT, POSITION_VERTEX } from "./shaders_draw.js";

/** @typedef {import("./matrix.js").Matrix} Matrix */
/** @typedef {import("./matrix.js").Vector} Vector */
/** @typedef {import("./mesh.js").MeshDeformer} MeshDeformer */
/** @typedef {import("./clip.js").Clip} Clip */

export class Shadow {
  /**
   * @param {MeshDeformer} deformer
   * @param {number} texels on a side
   */
  constructor(deformer, texels) {
    const { gl, formats } = deformer;
    this.gl = gl;
    this.texels = texels;
    this.program = link(gl, POSITION_VERTEX, DEPTH_FRAGMENT);
    this.map = dataTexture(gl, formats.depth, texels, texels, null);
    gl.texParameteri(gl.TEXTURE_2D, gl.TEXTURE_COMPARE_MODE, gl.COMPARE_REF_TO_TEXTURE);
    gl.texParameteri(gl.TEXTURE_2D, gl.TEXTURE_MIN_FILTER, gl.LINEAR);
    gl.texParameteri(gl.TEXTURE_2D, gl.TEXTURE_MAG_FILTER, gl.LINEAR);
    this.buffer = framebuffer(gl, null, this.map);
  }

  /**
   * Renders the depth of the current frame of the clip from the light.
   * @param {Clip} clip
   * @param {Matrix} light
   * @param {number} frame
   */
  cast(clip, light, frame) {
    const { gl, program, texels } = this;
    gl.bindFramebuffer(gl.FRAMEBUFFER, this.buffer);
    gl.viewport(0, 0, texels, texels);
    gl.enable(gl.DEPTH_TEST);
    gl.disable(gl.BLEND);
    gl.clear(gl.DEPTH_BUFFER_BIT);
    gl.useProgram(program.program);
    gl.uniformMatrix4fv(program.at("camera"), false, light);
    for (const { geometry, matrix } of clip.meshes) {
      bindTextures(gl, program, { positions: geometry.positions });
      gl.uniform1i(program.at("width"), geometry.grid.width);
      gl.uniformMatrix4fv(program.at("model"), false, matrix(frame));
      geometry.draw();
    }
    gl.bindFramebuffer(gl.FRAMEBUFFER, null);
  }
}

/**
 * World to clip space of a directional light that covers the whole head.
 * @param {Clip} clip
 * @param {Vector} towards the light
 * @returns {Matrix}
 */
export function lightMatrix(clip, towards) {
  const { centre, radius } = clip.bounds;
  const eye = /** @type {Vector} */ (centre.map((value, axis) => value + towards[axis]));
  const forward = identity();
  forward[14] = 1; // moves the centre, 1 in front of the eye, to the middle of the cube
  return multiply(orthographic(1.05 * radius), multiply(forward, lookAt(eye, centre)));
}
