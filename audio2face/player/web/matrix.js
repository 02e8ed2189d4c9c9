/**
 * 4 x 4 matrices as WebGL takes them: 16 numbers, column by column.
 */

/** @typedef {Float32Array} Matrix */
/** @typedef {[number, number, number]} Vector */

/** @returns {Matrix} */
export function identity() {
  return new Float32Array([1, 0, 0, 0, 0, 1, 0, 0, 0, 0, 1, 0, 0, 0, 0, 1]);
}

/**
 * @param {Matrix} left
 * @param {Matrix} right
 * @returns {Matrix} left times right
 */
export function multiply(left, right) {
  const product = new Float32Array(16);
  for (let column = 0; column < 4; column++) {
    for (let row = 0; row < 4; row++) {
      let sum = 0;
      for (let k = 0; k < 4; k++) sum += left[4 * k + row] * right[4 * column + k];
      product[4 * column + row] = sum;
    }
  }
  return product;
}

/**
 * Perspective projection of a camera at the origin that looks along -z.
 * @param {number} angle height of the view, radians
 * @param {number} aspect width by height
 * @param {number} near
 * @param {number} far
 * @returns {Matrix}
 */
export function perspective(angle, aspect, near, far) {
  const scale = 1 / Math.tan(angle / 2);
  const depth = 1 / (near - far);
  return new Float32Array([
    scale / aspect, 0, 0, 0, 0, scale, 0, 0, 0, 0, (near + far) * depth, -1, 0, 0, 2 * near * far * depth, 0,
  ]);
}

/**
 * Orthographic projection of a cube about the origin.
 * @param {number} radius half an edge
 * @returns {Matrix}
 */
export function orthographic(radius) {
  const scale = 1 / radius;
  return new Float32Array([scale, 0, 0, 0, 0, scale, 0, 0, 0, 0, -scale, 0, 0, 0, 0, 1]);
}

/**
 * View matrix of a camera that looks at a target with +y upwards.
 * @param {Vector} eye
 * @param {Vector} target
 * @returns {Matrix}
 */
export function lookAt(eye, target) {
  const back = normalised(minus(eye, target));
  const upright = Math.abs(back[1]) > 0.999 ? /** @type {Vector} */ ([0, 0, 1]) : /** @type {Vector} */ ([0, 1, 0]);
  const right = normalised(cross(upright, back));
  const up = cross(back, right);
  return new Float32Array([
    right[0], up[0], back[0], 0, right[1], up[1], back[1], 0, right[2], up[2], back[2], 0,
    -dot(right, eye), -dot(up, eye), -dot(back, eye), 1,
  ]);
}

/**
 * Rotation about a point: first pitch about x, then yaw about y.
 * @param {Vector} pivot
 * @param {number} pitch degrees
 * @param {number} yaw degrees
 * @returns {Matrix}
 */
export function rotationAbout(pivot, pitch, yaw) {
  const [sx, cx] = [Math.sin((pitch * Math.PI) / 180), Math.cos((pitch * Math.PI) / 180)];
  const [sy, cy] = [Math.sin((yaw * Math.PI) / 180), Math.cos((yaw * Math.PI) / 180)];
  const turn = new Float32Array([cy, 0, -sy, 0, sy * sx, cx, cy * sx, 0, sy * cx, -sx, cy * cx, 0, 0, 0, 0, 1]);
  for (let row = 0; row < 3; row++) {
    turn[12 + row] = pivot[row] - turn[row] * pivot[0] - turn[4 + row] * pivot[1] - turn[8 + row] * pivot[2];
  }
  return turn;
}

/**
 * @param {Float32Array} rows 16 numbers row by row
 * @returns {Matrix}
 */
export function fromRows(rows) {
  return new Float32Array([0, 4, 8, 12, 1, 5, 9, 13, 2, 6, 10, 14, 3, 7, 11, 15].map((index) => rows[index]));
}

/**
 * @param {Vector} a
 * @param {Vector} b
 * @returns {Vector}
 */
export function minus(a, b) {
  return [a[0] - b[0], a[1] - b[1], a[2] - b[2]];
}

/**
 * @param {Vector} a
 * @param {Vector} b
 */
export function dot(a, b) {
  return a[0] * b[0] + a[1] * b[1] + a[2] * b[2];
}

/**
 * @param {Vector} a
 * @param {Vector} b
 * @returns {Vector}
 */
export function cross(a, b) {
  return [a[1] * b[2] - a[2] * b[1], a[2] * b[0] - a[0] * b[2], a[0] * b[1] - a[1] * b[0]];
}

/**
 * @param {Vector} a
 * @returns {Vector}
 */
export function normalised(a) {
  const length = Math.hypot(...a) || 1;
  return [a[0] / length, a[1] / length, a[2] / length];
}
