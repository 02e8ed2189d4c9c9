/**
 * Opens the page: reads what it carries, sets the stage and the controls, and then draws whatever time it is.
 */
import { readDescription } from "./description.js";
import { element } from "./dom.js";
import { addControls } from "./controls.js";
import { openPayload, Payload } from "./payload.js";
import { addOverlays } from "./overlays.js";
import { addPanel } from "./panel.js";
import { Player } from "./player.js";
import { addTimeline } from "./timeline.js";

// Limits in the page's address, #side=256&layers=2, stand for a graphics card with smaller textures.
const LIMITS_IN_ADDRESS = { side: /\bside=(\d+)/, layers: /\blayers=(\d+)/ };

async function open() {
  const description = readDescription();
  const payload = new Payload(await openPayload(element("payload").textContent ?? ""));
  element("payload").textContent = "";
  const limit = (/** @type {"side" | "layers"} */ name) =>
    Number(LIMITS_IN_ADDRESS[name].exec(location.hash)?.[1] ?? Infinity);
  const canvas = /** @type {HTMLCanvasElement} */ (element("view"));
  const player = new Player(canvas, description, payload, { side: limit("side"), layers: limit("layers") });
  await player.clock.ready();
  addControls(player);
  addTimeline(player, payload);
  addPanel(player, payload);
  addOverlays(player);
  const loop = () => {
    player.tick();
    requestAnimationFrame(loop);
  };
  loop();
  const status = element("status");
  status.hidden = true;
  canvas.addEventListener("webglcontextlost", () => {
    status.textContent = "The graphics card was taken away. Load the page again.";
    status.hidden = false;
  });
  return player;
}

/** What other programs may do with the page. */
class Remote {
  constructor() {
    /** Resolves when everything is drawn for the first time. */
    this.ready = open().then((player) => {
      this.player = player;
    });
  }

  /** @private */
  get opened() {
    if (!this.player) throw new Error("await player.ready first");
    return this.player;
  }

  /** The frame on the screen. */
  get frame() {
    return this.opened.frame;
  }

  /** Seconds from the start: where the sound is. */
  get time() {
    return this.opened.clock.time;
  }

  /** Shows another time, at once. @param {number} seconds */
  seek(seconds) {
    this.opened.seek(seconds);
    this.opened.tick();
  }

  play() {
    return this.opened.clock.play();
  }

  pause() {
    this.opened.clock.pause();
  }

  /** Changes how it looks, at once. @param {Partial<import("./stage.js").Look>} look */
  set(look) {
    this.opened.set(look);
    this.opened.tick();
  }

  /**
   * Pixels of the picture: red, green, blue and opacity, row by row from the bottom.
   * @param {number} left
   * @param {number} bottom
   * @param {number} width
   * @param {number} height
   */
  readPixels(left, bottom, width, height) {
    const { gl } = this.opened;
    this.opened.draw();
    const pixels = new Uint8Array(4 * width * height);
    gl.readPixels(left, bottom, width, height, gl.RGBA, gl.UNSIGNED_BYTE, pixels);
    return pixels;
  }

  /** Where a point of space is in the picture, pixels from the left and the bottom. @param {[number, number, number]} point */
  project(point) {
    const { camera, stage, look } = this.opened;
    const [view] = stage.views(look.shown.length);
    const matrix = camera.matrix(view.width / view.height);
    const [x, y, w] = [0, 1, 3].map((row) => matrix[row] * point[0] + matrix[4 + row] * point[1] + matrix[8 + row] * point[2] + matrix[12 + row]);
    return [view.left + (0.5 + (0.5 * x) / w) * view.width, view.bottom + (0.5 + (0.5 * y) / w) * view.height];
  }
}

const remote = new Remote();
remote.ready.catch((/** @type {Error} */ error) => {
  element("status").textContent = error.message;
  console.error(error);
});
Object.assign(window, { player: remote });
