/**
 * A face that listens: ties sound, worker, session and post-processing together, and measures what each takes.
 */
import { Animator } from "./animator.js";
import { SessionClock } from "./clock.js";
import { LiveMotion } from "./live_motion.js";
import { Resampler } from "./resampler.js";
import { Session } from "./session.js";
import { Sound } from "./sound.js";
import { LONGEST_TAKE, Take } from "./take.js";

/** @typedef {import("./face.js").PageDescription} PageDescription */
/** @typedef {import("./sound.js").Source} Source */
/** @typedef {import("../../player/web/payload.js").Payload} Payload */

const MEASURED = 300; // frames of which times are kept
const MOST_BEHIND = 2; // seconds; a page that was hidden does not catch up with more
const STEP = 0.01; // seconds by which frames wait longer at least, where the machine was late
const LONGEST_SLACK = 0.5; // seconds
const RECOVERY = 0.005; // of a second by which they wait less again, in a second without delays
const DRAWN = 0.03; // seconds from a frame that is due to its light: the drawing, and half a refresh of the screen

/** What is told to those who show it. */
export class Live extends EventTarget {
  /**
   * Starts the worker, and resolves when the network has made its first frame.
   * @param {PageDescription} face
   * @param {Payload} payload
   * @param {{ program: URL, model: URL, runtime: URL }} addresses
   */
  static async open(face, payload, addresses) {
    const live = new Live(face, payload, addresses);
    await live.ready;
    return live;
  }

  /** @private @param {PageDescription} face @param {Payload} payload @param {{ program: URL, model: URL, runtime: URL }} addresses */
  constructor(face, payload, { program, model, runtime }) {
    super();
    this.face = face;
    const saccades = payload.floats(face.eyes.saccades);
    const poseOf = (/** @type {ArrayLike<number>} */ values) => new Animator(face, saccades).next(Float32Array.from(values));
    const silence = new Float32Array(face.open.length);
    this.motion = new LiveMotion(face, payload, { rest: poseOf(silence), open: poseOf(face.open) });
    this.animator = new Animator(face, saccades);
    this.session = new Session(face.session, face.fps, silence.length, Float32Array.from(face.network.emotion));
    this.session.onRest = () => this.worker.postMessage({ kind: "restart", earliest: this.session.next });
    this.clock = new SessionClock();
    this.slack = face.session.slack;
    this.origin = 0;
    /** Number of the frame that is shown. */
    this.number = 0;
    this.late = 0;
    /** @type {Take | null} */
    this.take = null;
    this.times = { network: new Recent(), ready: new Recent(), face: new Recent(), age: new Recent() };
    this.sound = new Sound(program, (piece) => this.onPiece(piece));
    this.worker = new Worker(new URL("worker.js", program), { type: "module" });
    this.ready = this.start({ model, runtime });
  }

  /** @private @param {{ model: URL, runtime: URL }} addresses */
  start({ model, runtime }) {
    const { network, fps, session } = this.face;
    return new Promise((/** @type {(value: void) => void} */ resolve, reject) => {
      this.worker.onerror = (event) => reject(new Error(`the network's program cannot be loaded: ${event.message ?? "no such file"}`));
      this.worker.onmessage = ({ data }) => {
        if (data.kind === "opened") resolve();
        else if (data.kind === "failed") {
          reject(new Error(data.reason));
          this.tell("failed", data.reason);
        } else this.onMessage(data);
      };
      const graph = new URL("network.onnx", model).href;
      this.worker.postMessage({ kind: "open", network, fps, ease: session.ease, graph, runtime: runtime.href });
    });
  }

  /** Whether somebody may speak. */
  get listening() {
    return this.sound.source !== null;
  }

  /** Opens the microphone. @param {string} [device] its id */
  async listen(device = "") {
    this.sound.stop();
    this.follow(await this.sound.openMicrophone(device));
  }

  /** Plays a recording. @param {Blob} file @param {string} name */
  async play(file, name) {
    this.sound.stop();
    const source = await this.sound.openFile(file, name);
    this.follow(source);
    source.start?.();
  }

  stop() {
    this.sound.stop();
  }

  /** @param {Float32Array} vector */
  feel(vector) {
    this.worker.postMessage({ kind: "emotion", vector });
  }

  /** Starts a take. */
  record() {
    this.take = new Take(this.face);
    this.tell("recording", null);
  }

  /** Ends the take and returns it. */
  finishTake() {
    const take = this.take;
    this.take = null;
    this.tell("recording", null);
    return take;
  }

  /** Lets the face follow a source. @private @param {Source} source */
  follow(source) {
    const { context, worker, delay } = source;
    this.origin = this.clock.follow(() => context.currentTime);
    this.worker.postMessage({ kind: "listen", rate: context.sampleRate, origin: this.origin, live: true, port: worker }, [worker]);
    const { samplerate, lookahead } = this.face.network;
    this.needed = lookahead / samplerate + new Resampler(context.sampleRate, samplerate).delay;
    this.slack = this.face.session.slack;
    this.setWait(context, delay);
    this.late = this.session.held = this.session.gaps = 0;
    this.times.ready = new Recent();
    this.times.age = new Recent();
    this.tell("source", source);
  }

  /** Face and sound agree: the sound of a recording waits for the face, or the face for loudspeakers with a long delay. @private @param {AudioContext} context @param {DelayNode} [delay] */
  setWait(context, delay) {
    const computed = (this.needed ?? 0) + this.slack;
    const output = delay ? outputDelay(context) : 0;
    this.session.wait = Math.max(computed, output - DRAWN);
    if (delay) delay.delayTime.value = Math.max(0, this.session.wait + DRAWN - output);
  }

  /** @private @param {import("./sound.js").Piece} piece */
  onPiece({ samples, time = 0, ended }) {
    if (samples) {
      const rate = this.sound.source?.context.sampleRate ?? this.face.network.samplerate;
      this.take?.addSound(this.origin + time, samples, rate);
      this.dispatchEvent(new CustomEvent("samples", { detail: { samples, time: this.origin + time, rate } }));
    }
    if (ended) {
      this.clock.release();
      this.tell("source", null);
    }
  }

  /** @private @param {any} message of the worker */
  onMessage(message) {
    if (message.kind === "began") this.session.begin(message.first);
    if (message.kind === "ended") this.session.finish();
    if (message.kind === "behind") this.tell("behind", null);
    if (message.kind === "checked") this.tell("checked", message);
    if (message.kind !== "frame") return;
    const ready = this.clock.time - message.number / this.face.fps - (this.needed ?? 0);
    this.times.network.add(message.taken);
    this.times.ready.add(1000 * ready);
    this.adapt(ready);
    this.session.add(message);
    if (document.hidden) this.advance(); // a hidden page is not drawn, but it records
  }

  /** Lets frames wait longer on a machine that is late, and less again. @private @param {number} ready seconds from the last needed sample to the frame */
  adapt(ready) {
    const { source } = this.sound;
    if (!source) return;
    const least = this.face.session.slack;
    if (ready > this.slack) this.slack = Math.min(LONGEST_SLACK, Math.max(this.slack + STEP, ready));
    else if (this.slack > least && source.kind === "microphone") this.slack = Math.max(least, this.slack - RECOVERY / this.face.fps);
    else return;
    this.setWait(source.context, source.delay);
  }

  /** Makes the frames that are due, and returns whether there is a new one. */
  advance() {
    const { session, face } = this;
    const due = session.due(this.clock.time);
    const behind = due - session.next;
    if (behind < 0) return false;
    if (behind > MOST_BEHIND * face.fps) session.next = due;
    else if (behind > 0 && !document.hidden) this.late += behind;
    while (session.next <= due) {
      const started = performance.now();
      const { number, values, emotion } = session.advance();
      this.motion.pose = this.animator.next(values);
      this.times.face.add(performance.now() - started);
      this.number = number;
      this.keep(emotion);
      this.dispatchEvent(new CustomEvent("frame", { detail: { number, pose: this.motion.pose, emotion } }));
    }
    this.times.age.add(1000 * (this.clock.time - this.number / face.fps));
    return true;
  }

  /** @private @param {Float32Array} emotion */
  keep(emotion) {
    if (!this.take) return;
    this.take.addFrame(this.number, this.motion.pose, emotion);
    if (this.take.seconds >= LONGEST_TAKE) this.tell("full", this.finishTake());
  }

  /** @private @param {string} kind @param {unknown} detail */
  tell(kind, detail) {
    this.dispatchEvent(new CustomEvent(kind, { detail }));
  }
}

/** Seconds from the sound's clock to the loudspeaker, as the browser states it. @param {AudioContext} context */
export function outputDelay(context) {
  return (context.outputLatency || 0) + (context.baseLatency || 0);
}

/** The last values of something that is measured. */
export class Recent {
  constructor() {
    this.values = new Float64Array(MEASURED);
    this.count = 0;
  }

  /** @param {number} value */
  add(value) {
    this.values[this.count++ % MEASURED] = value;
  }

  /** @param {number} share from 0 to 1 @returns {number} NaN before the first value */
  quantile(share) {
    const sorted = this.values.slice(0, Math.min(this.count, MEASURED)).sort();
    return sorted.length ? sorted[Math.min(sorted.length - 1, Math.floor(share * sorted.length))] : NaN;
  }
}
