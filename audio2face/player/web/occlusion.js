/**
 * How much of the sky each vertex sees, found once when the page opens, for the mouth shut and the mouth open: this is
 * what makes lids, nostrils and the inside of a mouth dark.
 */
import { bindTextures, dataTexture, framebuffer, link } from "./gl.js";
import { OCCLUSION_FRAGMENT } from "./shaders_draw.js";
import { WHOLE_VERTEX } from "./shaders_pose.js";
import { lightMatrix, Shadow } from "./shadow.js";

/** @typedef {import("./matrix.js").Vector} Vector */
/** @typedef {import("./surface.js").Poser} Poser */
/** @typedef {import("./take.js").Take} Take */

const DIRECTIONS = 48;
const SHADOW_TEXELS = 512;
const LIFT = 0.012; // of the head's radius

/**
 * @param {Poser} poser
 * @param {Take} take
 * @returns {WebGLTexture[]} of each piece: how much is seen with the mouth shut (red) and open (green)
 */
export function bakeOcclusion(poser, take) {
  const { gl, formats } = poser;
  const program = link(gl, WHOLE_VERTEX, OCCLUSION_FRAGMENT);
  const shadow = new Shadow(poser, SHADOW_TEXELS);
  const baked = take.pieces.map(({ surface: { grid } }) => dataTexture(gl, formats.half4, grid.width, grid.height, null));
  const targets = baked.map((texture) => framebuffer(gl, texture));
  gl.clearColor(0, 0, 0, 0);
  for (const target of targets) {
    gl.bindFramebuffer(gl.FRAMEBUFFER, target);
    gl.clear(gl.COLOR_BUFFER_BIT);
  }
  take.mouth.forEach((frame, channel) => {
    take.show(frame);
    for (const towards of spreadDirections(DIRECTIONS)) {
      const light = lightMatrix(take, towards);
      shadow.cast(take, light, frame);
      gl.useProgram(program.program);
      gl.uniformMatrix4fv(program.at("light"), false, light);
      gl.uniform3fv(program.at("towards"), towards);
      gl.uniform1f(program.at("share"), 4 / DIRECTIONS); // the mean of max(cos, 0) over a sphere is 1/4
      gl.uniform1f(program.at("lift"), LIFT * take.bounds.radius);
      gl.colorMask(channel === 0, channel === 1, false, false);
      gl.disable(gl.DEPTH_TEST);
      gl.enable(gl.BLEND);
      gl.blendFunc(gl.ONE, gl.ONE);
      gl.bindVertexArray(poser.nothing);
      take.pieces.forEach(({ surface, matrix }, place) => {
        bindTextures(gl, program, { positions: surface.positions, normals: surface.normals, shadow: shadow.map });
        gl.uniformMatrix4fv(program.at("model"), false, matrix(frame));
        gl.bindFramebuffer(gl.FRAMEBUFFER, targets[place]);
        gl.viewport(0, 0, surface.grid.width, surface.grid.height);
        gl.drawArrays(gl.TRIANGLES, 0, 3);
      });
      gl.colorMask(true, true, true, true);
      gl.disable(gl.BLEND);
    }
  });
  targets.forEach((target) => gl.deleteFramebuffer(target));
  return baked;
}

/** Directions evenly spread over the sphere, on a spiral of golden angles. @param {number} count @returns {Vector[]} */
function spreadDirections(count) {
  const golden = Math.PI * (3 - Math.sqrt(5));
  return Array.from({ length: count }, (_, place) => {
    const height = 1 - (2 * place + 1) / count;
    const across = Math.sqrt(1 - height * height);
    return [across * Math.cos(golden * place), height, across * Math.sin(golden * place)];
  });
}
