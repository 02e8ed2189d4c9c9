/**
 * Depths as a parallel light sees them: what lies behind is in shadow.
 */
import { bindTextures, dataTexture, framebuffer, link } from "./gl.js";
import { identity, lookAt, multiply, parallel } from "./matrix.js";
import { NOTHING_FRAGMENT, PLAIN_VERTEX } from "./shaders_draw.js";

/** @typedef {import("./matrix.js").Matrix} Matrix */
/** @typedef {import("./matrix.js").Vector} Vector */
/** @typedef {import("./surface.js").Poser} Poser */
/** @typedef {import("./take.js").Take} Take */

export class Shadow {
  /**
   * @param {Poser} poser
   * @param {number} texels on a side
   */
  constructor(poser, texels) {
    const { gl, formats } = poser;
    this.gl = gl;
    this.texels = texels;
    this.program = link(gl, PLAIN_VERTEX, NOTHING_FRAGMENT);
    this.map = dataTexture(gl, formats.depth, texels, texels, null);
    gl.texParameteri(gl.TEXTURE_2D, gl.TEXTURE_COMPARE_MODE, gl.COMPARE_REF_TO_TEXTURE);
    gl.texParameteri(gl.TEXTURE_2D, gl.TEXTURE_MIN_FILTER, gl.LINEAR);
    gl.texParameteri(gl.TEXTURE_2D, gl.TEXTURE_MAG_FILTER, gl.LINEAR);
    this.buffer = framebuffer(gl, null, this.map);
  }

  /**
   * Draws what the light sees of a frame that the take shows.
   * @param {Take} take
   * @param {Matrix} light
   * @param {number} frame
   */
  cast(take, light, frame) {
    const { gl, program, texels } = this;
    gl.bindFramebuffer(gl.FRAMEBUFFER, this.buffer);
    gl.viewport(0, 0, texels, texels);
    gl.enable(gl.DEPTH_TEST);
    gl.disable(gl.BLEND);
    gl.clear(gl.DEPTH_BUFFER_BIT);
    gl.useProgram(program.program);
    gl.uniformMatrix4fv(program.at("camera"), false, light);
    for (const { surface, matrix } of take.pieces) {
      bindTextures(gl, program, { positions: surface.positions });
      gl.uniform1i(program.at("width"), surface.grid.width);
      gl.uniformMatrix4fv(program.at("model"), false, matrix(frame));
      surface.draw();
    }
    gl.bindFramebuffer(gl.FRAMEBUFFER, null);
  }
}

/**
 * World to the unit cube, for light from a direction on the whole of a take.
 * @param {Take} take
 * @param {Vector} towards the light
 * @returns {Matrix}
 */
export function lightMatrix(take, towards) {
  const { centre, radius } = take.bounds;
  const eye = /** @type {Vector} */ (centre.map((value, axis) => value + towards[axis]));
  const forward = identity();
  forward[14] = 1; // the centre lies 1 in front of the eye; it belongs in the middle of the cube
  return multiply(parallel(1.05 * radius), multiply(forward, lookAt(eye, centre)));
}
