/**
 * Opens the page: reads its data, builds renderer and controls, and starts the drawing loop.
 */
import { readDescription } from "./description.js";
import { element } from "./dom.js";
import { addControls } from "./controls.js";
import { openPayload, Payload } from "./payload.js";
import { addOverlays } from "./overlays.js";
import { addPanel } from "./panel.js";
import { Player } from "./player.js";
import { addTimeline } from "./timeline.js";

// Limits in the page's address, #side=256&layers=2, emulate a graphics card with smaller textures.
const LIMITS_IN_ADDRESS = { side: /\bside=(\d+)/, layers: /\blayers=(\d+)/ };
// A time in the page's address, #t=12.3, in seconds: the page stands still there.
const TIME_IN_ADDRESS = /\bt=(\d+(?:\.\d+)?)/;

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
  seekToAddress(player);
  addEventListener("hashchange", () => seekToAddress(player));
  const loop = () => {
    player.tick();
    requestAnimationFrame(loop);
  };
  loop();
  const status = element("status");
  status.hidden = true;
  canvas.addEventListener("webglcontextlost", () => {
    status.textContent = "The connection to the graphics card was lost. Reload the page.";
    status.hidden = false;
  });
  return player;
}

/** Pauses at the time in the page's address, where there is one. @param {Player} player */
function seekToAddress(player) {
  const found = TIME_IN_ADDRESS.exec(location.hash);
  if (!found) return;
  player.clock.pause();
  player.seek(Number(found[1]));
}

/** The scripting interface, `window.player`. */
class PlayerApi {
  constructor() {
    /** Resolves after the first draw. */
    this.ready = open().then((player) => {
      this.player = player;
    });
  }

  /** @private */
  get loaded() {
    if (!this.player) throw new Error("await player.ready first");
    return this.player;
  }

  /** The frame on the screen. */
  get frame() {
    return this.loaded.frame;
  }

  /** Seconds from the start. */
  get time() {
    return this.loaded.clock.time;
  }

  /** Seeks and draws at once. @param {number} seconds */
  seek(seconds) {
    this.loaded.seek(seconds);
    this.loaded.tick();
  }

  play() {
    return this.loaded.clock.play();
  }

  pause() {
    this.loaded.clock.pause();
  }

  /** Changes view options and draws at once. @param {Partial<import("./renderer.js").ViewOptions>} options */
  set(options) {
    this.loaded.set(options);
    this.loaded.tick();
  }

  /**
   * Pixels of the picture, RGBA, row by row from the bottom.
   * @param {number} left
   * @param {number} bottom
   * @param {number} width
   * @param {number} height
   */
  readPixels(left, bottom, width, height) {
    return this.loaded.readPixels(left, bottom, width, height);
  }

  /** Projects a point to pixels from the left and the bottom. @param {[number, number, number]} point */
  project(point) {
    const { camera, renderer, options } = this.loaded;
    const [view] = renderer.views(options.shown.length);
    const matrix = camera.matrix(view.width / view.height);
    const [x, y, w] = [0, 1, 3].map((row) => matrix[row] * point[0] + matrix[4 + row] * point[1] + matrix[8 + row] * point[2] + matrix[12 + row]);
    return [view.left + (0.5 + (0.5 * x) / w) * view.width, view.bottom + (0.5 + (0.5 * y) / w) * view.height];
  }
}

const api = new PlayerApi();
api.ready.catch((/** @type {Error} */ error) => {
  element("status").textContent = error.message;
  console.error(error);
});
Object.assign(window, { player: api });
