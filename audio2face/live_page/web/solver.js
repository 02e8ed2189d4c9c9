/**
 * Solves for the weights of blend shapes, frame by frame, as `animation/solver.py` does with its method "cpu": the
 * minimum of |A w - b|² for 0 <= w <= 1, by block principal pivoting that starts from the sets of the frame before.
 */

/**
 * @typedef {object} SolverDescription
 * @property {number[]} active poses that are solved
 * @property {number[][]} matrix A [active, active]
 * @property {number} temporal factor on the weights of the previous frame in b
 * @property {[number, number][]} cancelled pairs that exclude each other
 * @property {number[]} multipliers of the weights [poses]
 * @property {number[]} offsets added to them [poses]
 * @property {number[]} rest b of the face at rest [active]
 * @property {number[][]} responses of b to each weight of the skin's components [components, active]
 */

const CANCELLED = 1e-10; // upper bound of the cancelled pose of a pair
const TOLERANCE = 1e-11; // accepted violation of a bound
const PATIENCE = 6; // guesses without improvement before the slower method
const SWEEPS = 2000; // of the slower method

export class WeightSolver {
  /** @param {SolverDescription} description */
  constructor(description) {
    this.description = description;
    const matrix = description.matrix.map((row) => Float64Array.from(row));
    this.passes = (description.cancelled.length ? [0, 1] : [0]).map(() => new BoundedSquares(matrix));
    this.previous = /** @type {Float64Array} */ (new Float64Array(matrix.length));
  }

  /** The weights of the next frame, [poses]. @param {Float32Array} skin weights of the skin's components */
  next(skin) {
    const { description, previous } = this;
    const right = Float64Array.from(description.rest, (rest, pose) => rest + description.temporal * previous[pose]);
    description.responses.forEach((response, component) => {
      for (let pose = 0; pose < right.length; pose++) right[pose] += response[pose] * skin[component];
    });
    const upper = new Float64Array(right.length).fill(1);
    let weights = this.passes[0].solve(right, upper);
    if (this.passes[1]) {
      for (const [first, second] of description.cancelled) upper[weights[first] < weights[second] ? first : second] = CANCELLED;
      weights = this.passes[1].solve(right, upper);
    }
    this.previous = weights;
    const all = new Float32Array(description.multipliers.length);
    description.active.forEach((pose, index) => { all[pose] = weights[index]; });
    return all.map((weight, pose) => weight * description.multipliers[pose] + description.offsets[pose]);
  }
}

class BoundedSquares {
  /** @param {Float64Array[]} matrix symmetric, positive definite */
  constructor(matrix) {
    this.matrix = matrix;
    const size = matrix.length;
    this.hessian = matrix.map((row) => Float64Array.from({ length: size }, (_, column) => dot(row, matrix[column])));
    this.side = new Int8Array(size); // 0 free, -1 at the lower bound, 1 at the upper
  }

  /** @param {Float64Array} linear b @param {Float64Array} upper @returns {Float64Array} */
  solve(linear, upper) {
    const { side, hessian } = this;
    const target = this.times(linear);
    let [fewest, patience] = [linear.length + 1, PATIENCE];
    for (;;) {
      const weights = this.freeMinimum(target, upper);
      const gradient = Float64Array.from(target, (value, index) => dot(hessian[index], weights) - value);
      const wrong = [...side.keys()].filter((index) => {
        if (side[index] === 0) return weights[index] < -TOLERANCE || weights[index] > upper[index] + TOLERANCE;
        return (gradient[index] * side[index]) / hessian[index][index] > TOLERANCE;
      });
      const clamped = weights.map((weight, index) => Math.max(0, Math.min(upper[index], weight)));
      if (!wrong.length) return clamped;
      if (wrong.length < fewest) [fewest, patience] = [wrong.length, PATIENCE];
      else if (patience-- === 0) return this.sweep(target, upper, clamped);
      for (const index of wrong) side[index] = side[index] !== 0 ? 0 : weights[index] < 0 ? -1 : 1;
    }
  }

  /** The minimum over the free variables, the others at their bounds. @private @param {Float64Array} target @param {Float64Array} upper */
  freeMinimum(target, upper) {
    const { side, hessian } = this;
    const weights = Float64Array.from(upper, (bound, index) => (side[index] === 1 ? bound : 0));
    const free = [...side.keys()].filter((index) => side[index] === 0);
    const right = free.map((index) => target[index] - dot(hessian[index], weights));
    choleskySolve(free.map((row) => free.map((column) => hessian[row][column])), right)
      .forEach((value, index) => { weights[free[index]] = value; });
    return weights;
  }

  /** Coordinate descent from weights between the bounds. @private @param {Float64Array} target @param {Float64Array} upper @param {Float64Array} weights */
  sweep(target, upper, weights) {
    const { hessian, side } = this;
    for (let round = 0; round < SWEEPS; round++) {
      let change = 0;
      for (let index = 0; index < weights.length; index++) {
        const step = (target[index] - dot(hessian[index], weights)) / hessian[index][index];
        const moved = Math.max(0, Math.min(upper[index], weights[index] + step));
        change = Math.max(change, Math.abs(moved - weights[index]));
        weights[index] = moved;
      }
      if (change < TOLERANCE) break;
    }
    weights.forEach((weight, index) => { side[index] = weight <= 0 ? -1 : weight >= upper[index] ? 1 : 0; });
    return weights;
  }

  /** @private @param {Float64Array} vector */
  times(vector) {
    return Float64Array.from(this.matrix, (row) => dot(row, vector));
  }
}

/** @param {Float64Array} one @param {Float64Array} other */
function dot(one, other) {
  let sum = 0;
  for (let index = 0; index < one.length; index++) sum += one[index] * other[index];
  return sum;
}

/** Solves a symmetric positive definite system. @param {number[][]} matrix overwritten @param {number[]} right overwritten */
function choleskySolve(matrix, right) {
  const size = right.length;
  for (let row = 0; row < size; row++) {
    for (let column = 0; column <= row; column++) {
      let sum = matrix[row][column];
      for (let k = 0; k < column; k++) sum -= matrix[row][k] * matrix[column][k];
      matrix[row][column] = row === column ? Math.sqrt(sum) : sum / matrix[column][column];
    }
  }
  for (let row = 0; row < size; row++) {
    for (let k = 0; k < row; k++) right[row] -= matrix[row][k] * right[k];
    right[row] /= matrix[row][row];
  }
  for (let row = size - 1; row >= 0; row--) {
    for (let k = row + 1; k < size; k++) right[row] -= matrix[k][row] * right[k];
    right[row] /= matrix[row][row];
  }
  return right;
}
