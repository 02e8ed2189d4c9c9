/**
 * The picture: canvas, renderer, camera and view options. It is drawn when something changed.
 */
import { Camera } from "./camera.js";
import { Renderer } from "./renderer.js";
import { MeshDeformer } from "./mesh.js";

const MAX_PIXEL_RATIO = 2; // pixels drawn per CSS pixel
const MIN_PIXEL_RATIO = 0.5;
const SLOW_MS = 45; // between two draws; beyond it, moving pictures are drawn at a lower resolution
const PIXEL_RATIO_STEP = 0.7;
const HEAD_MARGIN = 1.1; // visible height by height of the head
const MOUTH_CM = 5.2; // radius of the mouth close-up

/**
 * @template {import("./clip.js").Clip} Face
 */
export class Stage {
  /**
   * @param {HTMLCanvasElement} canvas
   * @param {import("./mesh.js").Limits} limits on top of the graphics card's own
   * @param {(deformer: MeshDeformer) => Face[]} openFaces
   */
  constructor(canvas, limits, openFaces) {
    this.canvas = canvas;
    const gl = createContext(canvas);
    const deformer = new MeshDeformer(gl, limits);
    this.gl = gl;
    this.clips = openFaces(deformer);
    this.renderer = new Renderer(canvas, deformer, this.clips);
    const { centre, reach } = this.clips[0].bounds;
    this.camera = new Camera(centre, HEAD_MARGIN * reach);
    this.camera.changed = () => this.requestRedraw();
    this.camera.attach(canvas);
    /** @type {import("./renderer.js").ViewOptions} */
    this.options = { shown: [...this.clips.keys()], edges: false, glass: false, heat: false, heatTop: 1 };
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

  /** Switches between a close-up of a point and the whole head. @param {[number, number, number] | null} mouth */
  toggleCloseUp(mouth) {
    if (mouth && this.camera.distance > this.camera.distanceOf(2 * MOUTH_CM)) this.camera.focusOn(mouth, MOUTH_CM);
    else this.camera.lookFrom(this.camera.yaw, this.camera.pitch);
  }

  /**
   * Draws a frame if it is another one, or something changed. Called before every refresh of the screen.
   * @param {number} frame
   * @param {boolean} moving whether frames follow by themselves: the resolution then adapts to slow machines
   */
  show(frame, moving) {
    this.adaptResolution(moving);
    this.resize();
    if (this.needsRedraw || frame !== this.frame) this.drawFrame(frame);
  }

  /** @param {number} frame */
  drawFrame(frame) {
    this.frame = frame;
    this.needsRedraw = false;
    this.renderer.draw(frame, this.camera, this.options);
    for (const listener of this.listeners) listener();
  }

  /**
   * Lowers the resolution on machines that cannot keep up.
   * @private
   * @param {boolean} moving
   */
  adaptResolution(moving) {
    const now = performance.now();
    this.frameInterval += 0.25 * (now - this.lastTick - this.frameInterval);
    this.lastTick = now;
    if (!moving) {
      this.pixelRatio = MAX_PIXEL_RATIO;
      this.frameInterval = 0;
    } else if (this.frameInterval > SLOW_MS) {
      this.pixelRatio = Math.max(MIN_PIXEL_RATIO, PIXEL_RATIO_STEP * Math.min(this.pixelRatio, devicePixelRatio));
      this.frameInterval = 0;
    }
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

  /**
   * Pixels of the picture, RGBA, row by row from the bottom.
   * @param {number} left
   * @param {number} bottom
   * @param {number} width
   * @param {number} height
   */
  readPixels(left, bottom, width, height) {
    const { gl } = this;
    this.drawFrame(this.frame);
    const pixels = new Uint8Array(4 * width * height);
    gl.readPixels(left, bottom, width, height, gl.RGBA, gl.UNSIGNED_BYTE, pixels);
    return pixels;
  }
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
