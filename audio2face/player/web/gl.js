/**
 * Helpers for WebGL 2: programs, data textures and framebuffers.
 */

/** @typedef {WebGL2RenderingContext} GL */
/** @typedef {{ program: WebGLProgram, at: (name: string) => WebGLUniformLocation | null }} Program */

/**
 * @typedef {object} Format of a texture that holds data
 * @property {number} internal
 * @property {number} external
 * @property {number} type
 */

/**
 * Texture formats by content.
 * @param {GL} gl
 */
export function formatsOf(gl) {
  return {
    float1: { internal: gl.R32F, external: gl.RED, type: gl.FLOAT },
    float4: { internal: gl.RGBA32F, external: gl.RGBA, type: gl.FLOAT },
    half4: { internal: gl.RGBA16F, external: gl.RGBA, type: gl.HALF_FLOAT },
    pairs: { internal: gl.RG32I, external: gl.RG_INTEGER, type: gl.INT },
    shorts: { internal: gl.RGB16I, external: gl.RGB_INTEGER, type: gl.SHORT },
    colours: { internal: gl.SRGB8_ALPHA8, external: gl.RGBA, type: gl.UNSIGNED_BYTE },
    depth: { internal: gl.DEPTH_COMPONENT24, external: gl.DEPTH_COMPONENT, type: gl.UNSIGNED_INT },
  };
}

/**
 * @param {GL} gl
 * @param {string} vertex
 * @param {string} fragment
 * @returns {Program}
 */
export function link(gl, vertex, fragment) {
  const program = gl.createProgram();
  for (const [kind, source] of /** @type {const} */ ([[gl.VERTEX_SHADER, vertex], [gl.FRAGMENT_SHADER, fragment]])) {
    const shader = /** @type {WebGLShader} */ (gl.createShader(kind));
    gl.shaderSource(shader, source);
    gl.compileShader(shader);
    if (!gl.getShaderParameter(shader, gl.COMPILE_STATUS)) throw new Error(`shader: ${gl.getShaderInfoLog(shader)}`);
    gl.attachShader(program, shader);
  }
  gl.linkProgram(program);
  if (!gl.getProgramParameter(program, gl.LINK_STATUS)) throw new Error(`program: ${gl.getProgramInfoLog(program)}`);
  /** @type {Map<string, WebGLUniformLocation | null>} */
  const locations = new Map();
  const at = (/** @type {string} */ name) => {
    const cached = locations.get(name);
    if (cached !== undefined) return cached;
    const location = gl.getUniformLocation(program, name);
    locations.set(name, location);
    return location;
  };
  return { program, at };
}

/**
 * A texture for texelFetch.
 * @param {GL} gl
 * @param {Format} format
 * @param {number} width
 * @param {number} height
 * @param {ArrayBufferView | null} data exactly as many values as the texture holds; null: undefined content
 */
export function dataTexture(gl, format, width, height, data) {
  const texture = gl.createTexture();
  gl.bindTexture(gl.TEXTURE_2D, texture);
  gl.pixelStorei(gl.UNPACK_ALIGNMENT, 1);
  gl.texImage2D(gl.TEXTURE_2D, 0, format.internal, width, height, 0, format.external, format.type, data);
  unfiltered(gl, gl.TEXTURE_2D);
  return texture;
}

/**
 * @param {GL} gl
 * @param {number} target
 */
export function unfiltered(gl, target) {
  gl.texParameteri(target, gl.TEXTURE_MIN_FILTER, gl.NEAREST);
  gl.texParameteri(target, gl.TEXTURE_MAG_FILTER, gl.NEAREST);
  gl.texParameteri(target, gl.TEXTURE_WRAP_S, gl.CLAMP_TO_EDGE);
  gl.texParameteri(target, gl.TEXTURE_WRAP_T, gl.CLAMP_TO_EDGE);
}

/**
 * A framebuffer with a colour or depth attachment.
 * @param {GL} gl
 * @param {WebGLTexture | null} colour
 * @param {WebGLTexture | null} [depth]
 */
export function framebuffer(gl, colour, depth = null) {
  const buffer = gl.createFramebuffer();
  gl.bindFramebuffer(gl.FRAMEBUFFER, buffer);
  if (colour) gl.framebufferTexture2D(gl.FRAMEBUFFER, gl.COLOR_ATTACHMENT0, gl.TEXTURE_2D, colour, 0);
  else gl.drawBuffers([gl.NONE]);
  if (depth) gl.framebufferTexture2D(gl.FRAMEBUFFER, gl.DEPTH_ATTACHMENT, gl.TEXTURE_2D, depth, 0);
  const status = gl.checkFramebufferStatus(gl.FRAMEBUFFER);
  if (status !== gl.FRAMEBUFFER_COMPLETE) throw new Error(`the graphics card cannot draw into a texture (${status})`);
  gl.bindFramebuffer(gl.FRAMEBUFFER, null);
  return buffer;
}

/**
 * Binds textures to the samplers of a program.
 * @param {GL} gl
 * @param {Program} program
 * @param {Record<string, WebGLTexture | null>} textures by the name of the sampler
 * @param {number} [first] texture unit
 */
export function bindTextures(gl, program, textures, first = 0) {
  Object.entries(textures).forEach(([name, texture], index) => {
    gl.activeTexture(gl.TEXTURE0 + first + index);
    gl.bindTexture(gl.TEXTURE_2D, texture);
    gl.uniform1i(program.at(name), first + index);
  });
}

/**
 * Width and height of a texture that holds a list, row by row.
 * @param {number} count items
 * @param {number} limit most texels in a row or column
 */
export function gridOf(count, limit) {
  const width = Math.max(1, Math.min(limit, count, 2048));
  const height = Math.max(1, Math.ceil(count / width));
  if (height > limit) throw new Error(`${count} items do not fit into a texture of ${limit} by ${limit}`);
  return { width, height };
}

/**
 * A list of items with `values` numbers each, padded with zeros to a whole grid.
 * @template {Float32Array | Int32Array | Uint8Array} List
 * @param {List} list
 * @param {number} values
 * @param {{ width: number, height: number }} grid
 * @param {number} [padded] numbers per item in the result, the given ones first
 * @returns {List}
 */
export function padded(list, values, grid, padded = values) {
  const whole = /** @type {List} */ (new /** @type {any} */ (list.constructor)(grid.width * grid.height * padded));
  if (values === padded) whole.set(list);
  else {
    for (let from = 0, to = 0; from < list.length; from += values, to += padded) {
      for (let value = 0; value < values; value++) whole[to + value] = list[from + value];
    }
  }
  return whole;
}
