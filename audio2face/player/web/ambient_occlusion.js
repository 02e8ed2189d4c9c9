/**
 * Ambient occlusion of each vertex, baked when the page opens, for the mouth closed and the mouth open. It darkens lids,
 * nostrils and the inside of the mouth.
 */
import { bindTextures, dataTexture, framebuffer, link } from "./gl.js";
import { OCCLUSION_FRAGMENT } from "./shaders_draw.js";
import { FULLSCREEN_VERTEX } from "./shaders_deform.js";
import { lightMatrix, Shadow } from "./shadow.js";

/** @typedef {import("./matrix.js").Vector} Vector */
/** @typedef {import("./mesh.js").MeshDeformer} MeshDeformer */
/** @typedef {import("./clip.js").Clip} Clip */

const DIRECTIONS = 48;
const SHADOW_TEXELS = 512;
const LIFT = 0.012; // of the head's radius

/**
 * @param {MeshDeformer} deformer
 * @param {Clip} clip
 * @returns {WebGLTexture[]} of each mesh: visible share of the hemisphere with the mouth closed (red) and open (green)
 */
export function bakeOcclusion(deformer, clip) {
  const { gl, formats } = deformer;
  const program = link(gl, FULLSCREEN_VERTEX, OCCLUSION_FRAGMENT);
  const shadow = new Shadow(deformer, SHADOW_TEXELS);
  const baked = clip.meshes.map(({ geometry: { grid } }) => dataTexture(gl, formats.half4, grid.width, grid.height, null));
  const targets = baked.map((texture) => framebuffer(gl, texture));
  gl.clearColor(0, 0, 0, 0);
  for (const target of targets) {
    gl.bindFramebuffer(gl.FRAMEBUFFER, target);
    gl.clear(gl.COLOR_BUFFER_BIT);
  }
  clip.mouth.forEach((frame, channel) => {
    clip.setFrame(frame);
    for (const towards of spreadDirections(DIRECTIONS)) {
      const light = lightMatrix(clip, towards);
      shadow.cast(clip, light, frame);
      gl.useProgram(program.program);
      gl.uniformMatrix4fv(program.at("light"), false, light);
      gl.uniform3fv(program.at("towards"), towards);
      gl.uniform1f(program.at("share"), 4 / DIRECTIONS); // the mean of max(cos, 0) over a sphere is 1/4
      gl.uniform1f(program.at("lift"), LIFT * clip.bounds.radius);
      gl.colorMask(channel === 0, channel === 1, false, false);
      gl.disable(gl.DEPTH_TEST);
      gl.enable(gl.BLEND);
      gl.blendFunc(gl.ONE, gl.ONE);
      gl.bindVertexArray(deformer.emptyVertexArray);
      clip.meshes.forEach(({ geometry, matrix }, index) => {
        bindTextures(gl, program, { positions: geometry.positions, normals: geometry.normals, shadow: shadow.map });
        gl.uniformMatrix4fv(program.at("model"), false, matrix(frame));
        gl.bindFramebuffer(gl.FRAMEBUFFER, targets[index]);
        gl.viewport(0, 0, geometry.grid.width, geometry.grid.height);
        gl.drawArrays(gl.TRIANGLES, 0, 3);
      });
      gl.colorMask(true, true, true, true);
      gl.disable(gl.BLEND);
    }
  });
  targets.forEach((target) => gl.deleteFramebuffer(target));
  return baked;
}

/** Directions evenly spread over the sphere, on a golden-angle spiral. @param {number} count @returns {Vector[]} */
function spreadDirections(count) {
  const golden = Math.PI * (3 - Math.sqrt(5));
  return Array.from({ length: count }, (_, index) => {
    const height = 1 - (2 * index + 1) / count;
    const across = Math.sqrt(1 - height * height);
    return [across * Math.cos(golden * index), height, across * Math.sin(golden * index)];
  });
}
