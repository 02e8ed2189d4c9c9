/**
 * Opens the page: reads what it carries, sets the stage, and draws whatever time it is.
 */
import { Camera } from "./camera.js";
import { Clock } from "./clock.js";
import { element, readDescription, textOf } from "./description.js";
import { openPayload, Payload } from "./payload.js";
import { Stage } from "./stage.js";
import { Poser } from "./surface.js";
import { Take } from "./take.js";

const LIMIT_IN_ADDRESS = /texture-limit=(\d+)/; // for tests: a graphics card with smaller textures than this one

class Player {
  /** @param {import("./description.js").Description} description @param {Payload} payload */
  constructor(description, payload) {
    this.description = description;
    this.canvas = /** @type {HTMLCanvasElement} */ (element("view"));
    const gl = this.canvas.getContext("webgl2", { antialias: true, alpha: false });
    if (!gl) throw new Error("this browser offers no WebGL 2, which draws the face");
    if (!gl.getExtension("EXT_color_buffer_float")) throw new Error("this graphics card cannot draw numbers (EXT_color_buffer_float)");
    this.gl = gl;
    const limit = Number(LIMIT_IN_ADDRESS.exec(location.hash)?.[1] ?? Infinity);
    const poser = new Poser(gl, Math.min(limit, gl.getParameter(gl.MAX_TEXTURE_SIZE)));
    this.takes = description.takes.map((take) => new Take(poser, take, payload));
    this.stage = new Stage(this.canvas, poser, this.takes);
    this.clock = new Clock(description.seconds, description.sound && new Blob([payload.bytes(description.sound)], { type: "audio/flac" }));
    const { centre, radius } = this.takes[0].bounds;
    this.camera = new Camera(centre, radius);
    this.camera.changed = () => { this.stale = true; };
    this.camera.listen(this.canvas);
    /** @type {import("./stage.js").Look} */
    this.look = { shown: [...this.takes.keys()], edges: false, glass: false, heat: false, heatTop: 3 };
    this.stale = true;
    this.frame = -1;
  }

  get frameNow() {
    return Math.min(this.description.frames - 1, Math.round(this.clock.time * this.description.fps));
  }

  tick() {
    this.clock.turnAround();
    const ratio = Math.min(devicePixelRatio, 2);
    const [width, height] = [Math.round(this.canvas.clientWidth * ratio), Math.round(this.canvas.clientHeight * ratio)];
    if (this.canvas.width !== width || this.canvas.height !== height) {
      [this.canvas.width, this.canvas.height] = [width, height];
      this.stale = true;
    }
    if (this.stale || this.frameNow !== this.frame) this.draw();
  }

  draw() {
    this.frame = this.frameNow;
    this.stage.draw(this.frame, this.camera, this.look);
    this.stale = false;
  }
}

async function open() {
  const description = readDescription();
  const player = new Player(description, new Payload(await openPayload(textOf("payload"))));
  await player.clock.ready();
  const loop = () => { player.tick(); requestAnimationFrame(loop); };
  loop();
  element("status").hidden = true;
  return player;
}

const ready = open();
ready.catch((error) => { element("status").textContent = String(error.message ?? error); });
Object.assign(window, { player: { ready } });
