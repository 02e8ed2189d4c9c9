/**
 * Post-processing, frame by frame, of what the network gives: the parts of `animation/` that have a state or are not
 * linear. All else is in the maps that `face.py` measured.
 */
import { fitRigid } from "./rigid.js";
import { WeightSolver } from "./solver.js";

/** @typedef {import("./face.js").PageDescription} PageDescription */

/**
 * @typedef {object} Pose of one frame
 * @property {Float32Array} skin weights of the skin's components
 * @property {Float32Array} tongue weights of the tongue's components
 * @property {Float32Array} jaw rows of a matrix [4, 4]
 * @property {Float32Array} eyes degrees: pitch and yaw of the right eye, then of the left
 * @property {number} lips their distance, millimetres
 * @property {Float32Array | null} weights of the blend shapes
 */

export class Animator {
  /**
   * @param {PageDescription} face
   * @param {Float32Array} saccades degrees [rows, 2]
   */
  constructor(face, saccades) {
    this.face = face;
    const inputs = face.network.sizes[0];
    this.halves = face.skin.filters.map((factor) => ({
      motion: new Filter(inputs, factor),
      blink: new Filter(1, factor),
    }));
    this.eyes = new Eyes(face, saccades);
    this.blinks = face.blink && new Blinks(face.blink, face.fps);
    this.neutralJaw = Float64Array.from(face.jaw.neutral.flat());
    this.solver = face.weights?.solver ? new WeightSolver(face.weights.solver) : null;
  }

  /** The next frame. @param {Float32Array} values of the network @returns {Pose} */
  next(values) {
    const [skin, tongue, jaw, eyes] = this.split(values);
    const closure = Math.min(1, this.face.skin.blinkOffset + (this.blinks?.next() ?? 0));
    const moved = this.skin(skin, closure);
    return {
      skin: moved,
      tongue: Float32Array.from(tongue),
      jaw: this.jaw(jaw),
      eyes: this.eyes.next(eyes),
      lips: this.lips(moved),
      weights: this.weights(moved),
    };
  }

  /** @private @param {Float32Array} values */
  split(values) {
    let end = 0;
    return this.face.network.sizes.map((size) => values.subarray(end, (end += size)));
  }

  /** @private @param {Float32Array} motion @param {number} closure */
  skin(motion, closure) {
    const moved = this.halves.map((half) => half.motion.next(motion));
    const shut = this.halves.map((half) => half.blink.next([closure])[0]);
    const { shapes } = this.face.skin;
    if (!shapes) return Float32Array.from([...moved[0], ...moved[1], ...shut]);
    return Float32Array.from(shapes.rest, (rest, shape) => {
      let weight = rest;
      for (const half of [0, 1]) weight += shapes.gains[half][shape] * moved[half][shape] + shapes.blinks[half][shape] * shut[half];
      return Math.max(0, Math.min(1, weight));
    });
  }

  /** @private @param {Float32Array} delta of the key points */
  jaw(delta) {
    const { strength, offset } = this.face.jaw;
    return fitRigid(this.neutralJaw, this.neutralJaw.map((value, index) => value + strength * delta[index] + offset[index % 3]));
  }

  /** @private @param {Float32Array} skin */
  lips(skin) {
    const { lips } = this.face;
    return lips ? lips.components.reduce((sum, component, index) => sum + component * skin[index], lips.rest) : 0;
  }

  /** @private @param {Float32Array} skin */
  weights(skin) {
    if (this.solver) return this.solver.next(skin);
    return this.face.weights ? skin : null;
  }
}

/** Two cascaded filters, `s += (input - s) a`, that begin with their first input. */
class Filter {
  /** @param {number} size @param {number} factor a; 1 disables filtering */
  constructor(size, factor) {
    this.factor = factor;
    this.states = [new Float64Array(size), new Float64Array(size)];
    this.isFirst = true;
  }

  /** @param {ArrayLike<number>} input @returns {ArrayLike<number> & Iterable<number>} */
  next(input) {
    if (this.isFirst) for (const state of this.states) state.set(input);
    this.isFirst = false;
    let given = input;
    for (const state of this.states) {
      for (let index = 0; index < state.length; index++) state[index] += (given[index] - state[index]) * this.factor;
      given = state;
    }
    return this.states[1];
  }
}

/** Rotations of the eyes with offsets and saccades, whose clock is float32 as in the SDK. */
class Eyes {
  /** @param {PageDescription} face @param {Float32Array} saccades */
  constructor({ eyes, fps }, saccades) {
    this.settings = eyes;
    this.saccades = saccades;
    this.step = Math.fround(Math.fround(1 / fps) * Math.fround(eyes.rate));
    this.clock = 0;
  }

  /** @param {Float32Array} rotations degrees */
  next(rotations) {
    const rows = this.saccades.length / 2;
    const row = Math.floor(Math.fround(this.settings.seed + this.clock) % rows);
    this.clock = Math.fround(Math.fround(this.clock + this.step) % rows);
    return rotations.map((angle, index) =>
      angle * this.settings.strength + this.settings.offset[index] + this.saccades[2 * row + (index % 2)]);
  }
}

/** Closure of the eyes by blinks, whose pauses are given. */
class Blinks {
  /** @param {NonNullable<PageDescription["blink"]>} blink @param {number} fps */
  constructor(blink, fps) {
    this.blink = blink;
    this.fps = fps;
    this.peak = blink.keys.indexOf(Math.max(...blink.keys)) / blink.rate;
    this.seconds = (blink.keys.length - 1) / blink.rate;
    this.frame = 0;
    this.count = 0;
    this.due = 0;
    this.shutFrame = 0;
    this.schedule(blink.pauses[0] / 2);
  }

  /** 0 open to 1 shut. */
  next() {
    const since = () => (this.frame - this.shutFrame) / this.fps + this.peak;
    while (since() > this.seconds + 1e-9) this.schedule(this.blink.pauses[this.count % this.blink.pauses.length]);
    const place = since() * this.blink.rate;
    this.frame++;
    if (place < 0) return 0;
    const [key, part] = [Math.min(Math.floor(place + 1e-9), this.blink.keys.length - 1), place - Math.floor(place + 1e-9)];
    const after = this.blink.keys[Math.min(key + 1, this.blink.keys.length - 1)];
    return this.blink.keys[key] * (1 - part) + after * part;
  }

  /** @private @param {number} pause */
  schedule(pause) {
    this.count++;
    this.due += pause;
    this.shutFrame = Math.round((this.due + this.peak) * this.fps);
  }
}
