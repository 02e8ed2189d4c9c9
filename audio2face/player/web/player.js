/**
 * The state of the page: what time it is, what is shown and how. Controls change it, and are told when it changed.
 */
import { Camera } from "./camera.js";
import { Clock } from "./clock.js";
import { Stage } from "./stage.js";
import { Poser } from "./surface.js";
import { Take } from "./take.js";

/** @typedef {import("./description.js").Description} Description */
/** @typedef {import("./payload.js").Payload} Payload */

const HEAT_TOPS = [0.1, 0.2, 0.5, 1, 2, 3, 5, 10, 20, 50]; // millimetres
const MOST_RATIO = 2; // pixels drawn per pixel of the page, at most
const LEAST_RATIO = 0.5;
const SLOW_MS = 45; // between two drawings: while it plays, fewer pixels are drawn
const COARSER = 0.7;
const AROUND = 1.1; // what is seen of a head, by what there is
const MOUTH_CM = 5.2; // radius of what is seen when looking at the mouth

export class Player {
  /**
   * @param {HTMLCanvasElement} canvas
   * @param {Description} description
   * @param {Payload} payload
   * @param {import("./surface.js").Limits} limits beside the graphics card's own
   */
  constructor(canvas, description, payload, limits) {
    this.canvas = canvas;
    this.description = description;
    const gl = openGraphics(canvas);
    const poser = new Poser(gl, limits);
    this.gl = gl;
    this.takes = description.takes.map((take) => new Take(poser, take, payload));
    this.stage = new Stage(canvas, poser, this.takes);
    const sound = description.sound && new Blob([payload.bytes(description.sound)], { type: "audio/flac" });
    this.clock = new Clock(description.seconds, sound);
    const { centre, reach } = this.takes[0].bounds;
    this.camera = new Camera(centre, AROUND * reach);
    this.camera.changed = () => this.touch();
    this.camera.listen(canvas);
    this.errors = description.difference && {
      mean: payload.floats(description.difference.mean),
      largest: payload.floats(description.difference.largest),
    };
    /** @type {import("./stage.js").Look} */
    this.look = {
      shown: [...this.takes.keys()],
      edges: false,
      glass: false,
      heat: false,
      heatTop: topFor(description.difference?.usual ?? 1),
    };
    this.frame = -1;
    this.stale = true;
    this.ratio = MOST_RATIO;
    this.interval = 0;
    this.drawnAt = 0;
    /** @type {(() => void)[]} */
    this.watchers = [];
  }

  /** Calls back after every drawing and every change. @param {() => void} watcher */
  watch(watcher) {
    this.watchers.push(watcher);
  }

  /** Has everything drawn anew. */
  touch() {
    this.stale = true;
  }

  /** Changes how it looks. @param {Partial<import("./stage.js").Look>} change */
  set(change) {
    Object.assign(this.look, change);
    this.touch();
  }

  /** The frame whose time is nearest to the clock's. */
  get frameNow() {
    return Math.min(this.description.frames - 1, Math.round(this.clock.time * this.description.fps));
  }

  /** @param {number} seconds */
  seek(seconds) {
    this.clock.seek(seconds);
    this.touch();
  }

  /** Goes some frames on, and stands. @param {number} frames */
  step(frames) {
    const frame = Math.max(0, Math.min(this.description.frames - 1, this.frameNow + frames));
    this.clock.pause();
    this.seek(frame / this.description.fps);
  }

  /** Plays, or stands. */
  async toggle() {
    if (this.clock.playing) this.clock.pause();
    else await this.clock.play();
    this.touch();
  }

  /** Comes near the mouth, or goes back to the whole. */
  lookAtMouth() {
    const { mouth } = this.description.takes[0];
    if (mouth && this.camera.distance > this.camera.distanceOf(2 * MOUTH_CM)) this.camera.approach(mouth, MOUTH_CM);
    else this.camera.look(this.camera.yaw, this.camera.pitch);
  }

  /** Changes the top of the heat map's scale. @param {number} steps */
  stepHeatTop(steps) {
    const place = HEAT_TOPS.indexOf(this.look.heatTop) + steps;
    this.set({ heatTop: HEAT_TOPS[Math.max(0, Math.min(HEAT_TOPS.length - 1, place))] });
  }

  /** Draws where something changed. Called before every refresh of the screen. */
  tick() {
    this.clock.turnAround();
    this.adapt();
    this.fit();
    if (this.stale || this.frameNow !== this.frame) this.draw();
  }

  /** Draws fewer pixels where a machine without a graphics card could not keep up. @private */
  adapt() {
    const now = performance.now();
    this.interval += 0.25 * (now - this.drawnAt - this.interval);
    this.drawnAt = now;
    if (!this.clock.playing) {
      this.ratio = MOST_RATIO;
      this.interval = 0;
    } else if (this.interval > SLOW_MS) {
      this.ratio = Math.max(LEAST_RATIO, COARSER * Math.min(this.ratio, devicePixelRatio));
      this.interval = 0;
    }
  }

  draw() {
    this.frame = this.frameNow;
    this.stale = false;
    this.stage.draw(this.frame, this.camera, this.look);
    for (const watcher of this.watchers) watcher();
  }

  /** Gives the canvas as many pixels as it covers. @private */
  fit() {
    const { canvas } = this;
    const ratio = Math.min(devicePixelRatio, this.ratio);
    const [width, height] = [Math.round(canvas.clientWidth * ratio), Math.round(canvas.clientHeight * ratio)];
    if (!width || !height || (canvas.width === width && canvas.height === height)) return;
    [canvas.width, canvas.height] = [width, height];
    this.touch();
  }
}

/** The top of a scale for distances. @param {number} usual what nearly all stay within, millimetres */
function topFor(usual) {
  return HEAT_TOPS.find((top) => top >= usual) ?? HEAT_TOPS[HEAT_TOPS.length - 1];
}

/** @param {HTMLCanvasElement} canvas */
function openGraphics(canvas) {
  const gl = canvas.getContext("webgl2", { antialias: true, alpha: false, powerPreference: "high-performance" });
  if (!gl) throw new Error("This browser offers no WebGL 2, which draws the face.");
  if (!gl.getExtension("EXT_color_buffer_float")) {
    throw new Error("This graphics card cannot draw into textures of floats, which pose the face.");
  }
  return gl;
}
