/**
 * The rigid motion that fits moved points best, as `animation/rigid.py` finds it, here by the unit quaternion that is the
 * eigenvector of the largest eigenvalue of a symmetric matrix (B. K. P. Horn, J. Opt. Soc. Am. A 4, 1987).
 */

const SWEEPS = 30; // of Jacobi's method, which needs about six

/**
 * @param {Float64Array} neutral points [points, 3]
 * @param {Float64Array} posed points [points, 3]
 * @returns {Float32Array} rows of a matrix [4, 4]: p' = M p
 */
export function fitRigid(neutral, posed) {
  const [from, to] = [centreOf(neutral), centreOf(posed)];
  const s = [0, 0, 0, 0, 0, 0, 0, 0, 0];
  for (let point = 0; point < neutral.length; point += 3) {
    for (let row = 0; row < 3; row++) {
      for (let column = 0; column < 3; column++) {
        s[3 * row + column] += (neutral[point + row] - from[row]) * (posed[point + column] - to[column]);
      }
    }
  }
  const [xx, xy, xz, yx, yy, yz, zx, zy, zz] = s;
  const q = topEigenvector([
    [xx + yy + zz, yz - zy, zx - xz, xy - yx],
    [yz - zy, xx - yy - zz, xy + yx, zx + xz],
    [zx - xz, xy + yx, yy - xx - zz, yz + zy],
    [xy - yx, zx + xz, yz + zy, zz - xx - yy],
  ]);
  return matrixOf(q, from, to);
}

/** @param {Float64Array} points */
function centreOf(points) {
  const sum = [0, 0, 0];
  for (let index = 0; index < points.length; index++) sum[index % 3] += points[index];
  return sum.map((value) => (value * 3) / points.length);
}

/** Eigenvector of the largest eigenvalue, by Jacobi's rotations. @param {number[][]} a symmetric [4, 4] */
function topEigenvector(a) {
  const v = [[1, 0, 0, 0], [0, 1, 0, 0], [0, 0, 1, 0], [0, 0, 0, 1]];
  const size = Math.max(...a.flat().map(Math.abs));
  for (let sweep = 0; sweep < SWEEPS; sweep++) {
    let off = 0;
    for (let p = 0; p < 3; p++) for (let q = p + 1; q < 4; q++) off += Math.abs(a[p][q]);
    if (off <= 1e-15 * size) break;
    for (let p = 0; p < 3; p++) for (let q = p + 1; q < 4; q++) rotate(a, v, p, q);
  }
  let best = 0;
  for (let column = 1; column < 4; column++) if (a[column][column] > a[best][best]) best = column;
  return v.map((row) => row[best]);
}

/** @param {number[][]} a @param {number[][]} v @param {number} p @param {number} q */
function rotate(a, v, p, q) {
  if (a[p][q] === 0) return;
  const theta = (a[q][q] - a[p][p]) / (2 * a[p][q]);
  const t = (theta >= 0 ? 1 : -1) / (Math.abs(theta) + Math.sqrt(theta * theta + 1));
  const c = 1 / Math.sqrt(t * t + 1);
  const s = t * c;
  for (let k = 0; k < 4; k++) [a[k][p], a[k][q]] = [c * a[k][p] - s * a[k][q], s * a[k][p] + c * a[k][q]];
  for (let k = 0; k < 4; k++) [a[p][k], a[q][k]] = [c * a[p][k] - s * a[q][k], s * a[p][k] + c * a[q][k]];
  for (let k = 0; k < 4; k++) [v[k][p], v[k][q]] = [c * v[k][p] - s * v[k][q], s * v[k][p] + c * v[k][q]];
}

/** @param {number[]} q w, x, y, z @param {number[]} from @param {number[]} to */
function matrixOf([w, x, y, z], from, to) {
  const rows = [
    [1 - 2 * (y * y + z * z), 2 * (x * y - w * z), 2 * (x * z + w * y)],
    [2 * (x * y + w * z), 1 - 2 * (x * x + z * z), 2 * (y * z - w * x)],
    [2 * (x * z - w * y), 2 * (y * z + w * x), 1 - 2 * (x * x + y * y)],
  ];
  const matrix = new Float32Array(16);
  rows.forEach((row, axis) => {
    matrix.set(row, 4 * axis);
    matrix[4 * axis + 3] = to[axis] - row[0] * from[0] - row[1] * from[1] - row[2] * from[2];
  });
  matrix[15] = 1;
  return matrix;
}
