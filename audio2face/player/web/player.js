/**
 * The state of the page: time, view options, camera. Controls change it and are notified of changes.
 */
import { Camera } from "./camera.js";
import { Clock } from "./clock.js";
import { Renderer } from "./renderer.js";
import { MeshDeformer } from "./mesh.js";
import { Clip } from "./clip.js";

/** @typedef {import("./description.js").Description} Description */
/** @typedef {import("./payload.js").Payload} Payload */

const HEAT_TOPS = [0.1, 0.2, 0.5, 1, 2, 3, 5, 10, 20, 50]; // millimetres
const MAX_PIXEL_RATIO = 2; // pixels drawn per CSS pixel
const MIN_PIXEL_RATIO = 0.5;
const SLOW_MS = 45; // between two draws; beyond it, playback lowers the resolution
const PIXEL_RATIO_STEP = 0.7;
const HEAD_MARGIN = 1.1; // visible height by height of the head
const MOUTH_CM = 5.2; // radius of the mouth close-up

export class Player {
  /**
   * @param {HTMLCanvasElement} canvas
   * @param {Description} description
   * @param {Payload} payload
   * @param {import("./mesh.js").Limits} limits on top of the graphics card's own
   */
  constructor(canvas, description, payload, limits) {
    this.canvas = canvas;
    this.description = description;
    const gl = createContext(canvas);
    const deformer = new MeshDeformer(gl, limits);
    this.gl = gl;
    this.clips = description.clips.map((clip) => new Clip(deformer, clip, payload));
    this.renderer = new Renderer(canvas, deformer, this.clips);
    const sound = description.sound && new Blob([payload.bytes(description.sound)], { type: "audio/flac" });
    this.clock = new Clock(description.seconds, sound);
    const { centre, reach } = this.clips[0].bounds;
    this.camera = new Camera(centre, HEAD_MARGIN * reach);
    this.camera.changed = () => this.requestRedraw();
    this.camera.attach(canvas);
    this.errors = description.difference && {
      mean: payload.floats(description.difference.mean),
      largest: payload.floats(description.difference.largest),
    };
    /** @type {import("./renderer.js").ViewOptions} */
    this.options = {
      shown: [...this.clips.keys()],
      edges: false,
      glass: false,
      heat: false,
      heatTop: heatTopFor(description.difference?.usual ?? 1),
    };
    this.frame = -1;
    this.needsRedraw = true;
    this.pixelRatio = MAX_PIXEL_RATIO;
    this.frameInterval = 0;
    this.lastTick = 0;
    /** @type {(() => void)[]} */
    this.listeners = [];
  }

  /** Registers a callback that runs after every draw. @param {() => void} listener */
  onUpdate(listener) {
    this.listeners.push(listener);
  }

  /** Marks the picture for redrawing. */
  requestRedraw() {
    this.needsRedraw = true;
  }

  /** Changes view options. @param {Partial<import("./renderer.js").ViewOptions>} change */
  set(change) {
    Object.assign(this.options, change);
    this.requestRedraw();
  }

  /** The frame nearest to the clock's time. */
  get currentFrame() {
    return Math.min(this.description.frames - 1, Math.round(this.clock.time * this.description.fps));
  }

  /** @param {number} seconds */
  seek(seconds) {
    this.clock.seek(seconds);
    this.requestRedraw();
  }

  /** Pauses and moves by a number of frames. @param {number} frames */
  step(frames) {
    const frame = Math.max(0, Math.min(this.description.frames - 1, this.currentFrame + frames));
    this.clock.pause();
    this.seek(frame / this.description.fps);
  }

  /** Plays or pauses. */
  async toggle() {
    if (this.clock.playing) this.clock.pause();
    else await this.clock.play();
    this.requestRedraw();
  }

  /** Switches between a close-up of the mouth and the whole head. */
  toggleMouthCloseUp() {
    const { mouth } = this.description.clips[0];
    if (mouth && this.camera.distance > this.camera.distanceOf(2 * MOUTH_CM)) this.camera.focusOn(mouth, MOUTH_CM);
    else this.camera.lookFrom(this.camera.yaw, this.camera.pitch);
  }

  /** Changes the top of the heat map's scale. @param {number} steps */
  stepHeatTop(steps) {
    const index = HEAT_TOPS.indexOf(this.options.heatTop) + steps;
    this.set({ heatTop: HEAT_TOPS[Math.max(0, Math.min(HEAT_TOPS.length - 1, index))] });
  }

  /** Draws if something changed. Called before every refresh of the screen. */
  tick() {
    this.clock.loopOrStop();
    this.adaptResolution();
    this.resize();
    if (this.needsRedraw || this.currentFrame !== this.frame) this.draw();
  }

  /** Lowers the resolution on machines that cannot keep up. @private */
  adaptResolution() {
    const now = performance.now();
    this.frameInterval += 0.25 * (now - this.lastTick - this.frameInterval);
    this.lastTick = now;
    if (!this.clock.playing) {
      this.pixelRatio = MAX_PIXEL_RATIO;
      this.frameInterval = 0;
    } else if (this.frameInterval > SLOW_MS) {
      this.pixelRatio = Math.max(MIN_PIXEL_RATIO, PIXEL_RATIO_STEP * Math.min(this.pixelRatio, devicePixelRatio));
      this.frameInterval = 0;
    }
  }

  draw() {
    this.frame = this.currentFrame;
    this.needsRedraw = false;
    this.renderer.draw(this.frame, this.camera, this.options);
    for (const listener of this.listeners) listener();
  }

  /** Matches the size of the canvas to the pixels it covers. @private */
  resize() {
    const { canvas } = this;
    const pixelRatio = Math.min(devicePixelRatio, this.pixelRatio);
    const [width, height] = [Math.round(canvas.clientWidth * pixelRatio), Math.round(canvas.clientHeight * pixelRatio)];
    if (!width || !height || (canvas.width === width && canvas.height === height)) return;
    [canvas.width, canvas.height] = [width, height];
    this.requestRedraw();
  }
}

/** Top of the heat map for a usual distance. @param {number} usual millimetres */
function heatTopFor(usual) {
  return HEAT_TOPS.find((top) => top >= usual) ?? HEAT_TOPS[HEAT_TOPS.length - 1];
}

/** @param {HTMLCanvasElement} canvas */
function createContext(canvas) {
  const gl = canvas.getContext("webgl2", { antialias: true, alpha: false, powerPreference: "high-performance" });
  if (!gl) throw new Error("This browser does not support WebGL 2, which draws the face.");
  if (!gl.getExtension("EXT_color_buffer_float")) {
    throw new Error("This graphics card cannot render to float textures, which deform the face.");
  }
  return gl;
}
