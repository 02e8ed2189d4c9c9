/**
 * Curves over time below the picture: sound, lips, error. Time runs from left to right; a line marks the current time.
 */
import { element, make, timeText } from "./dom.js";

/** @typedef {import("./player.js").Player} Player */
/** @typedef {import("./payload.js").Payload} Payload */

/**
 * @typedef {object} Curve
 * @property {Float32Array} values one per frame
 * @property {string} colour name of a custom property of the style sheet
 * @property {boolean} [filled]
 * @property {boolean} [dashed]
 */

/**
 * @typedef {object} Track
 * @property {string} name
 * @property {string} unit
 * @property {number} height relative
 * @property {Curve[]} curves empty for the waveform
 */

const GUTTER = 62; // pixels left of the curves, for names and numbers
const AXIS = 18; // pixels above them, for times
const GAP = 6;
const TICKS = [0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 20, 30, 60, 120]; // seconds
const TICK_PIXELS = 70;

/** @param {Player} player @param {Payload} payload */
export function addTimeline(player, payload) {
  const { description } = player;
  const timeline = element("timeline");
  const waveform = description.waveform && payload.bytes(description.waveform);
  const curves = new TimelineCanvas(timeline, tracksOf(player, Boolean(waveform)), waveform, description);
  const range = make("div", { class: "range" });
  const playhead = make("div", { class: "playhead" });
  const hover = make("output", { class: "hover" });
  hover.hidden = true;
  timeline.append(range, playhead, hover);
  timeline.setAttribute("aria-valuemax", description.seconds.toFixed(3));
  new ResizeObserver(() => { curves.draw(); player.requestRedraw(); }).observe(timeline);
  listen(player, timeline, curves, hover);
  player.onUpdate(() => {
    const { time, range: selection } = player.clock;
    playhead.style.transform = `translateX(${curves.left(time)}px)`;
    range.hidden = !selection;
    if (selection) {
      range.style.left = `${curves.left(selection[0])}px`;
      range.style.width = `${curves.left(selection[1]) - curves.left(selection[0])}px`;
    }
    timeline.setAttribute("aria-valuenow", time.toFixed(3));
    timeline.setAttribute("aria-valuetext", `${timeText(time)}, frame ${player.frame}`);
  });
}

/**
 * @param {Player} player
 * @param {boolean} hasSound
 * @returns {Track[]}
 */
function tracksOf(player, hasSound) {
  const { clips, errors } = player;
  /** @type {Track[]} */
  const tracks = [];
  if (hasSound) tracks.push({ name: "Sound", unit: "", height: 1, curves: [] });
  /** @type {Curve[]} */
  const lips = clips.flatMap(({ motion: { lips: values } }, index) => (values ? [{ values, colour: `--clip-${index}`, dashed: index > 0 }] : []));
  if (lips.length) tracks.push({ name: "Lips", unit: "mm", height: 1.5, curves: lips.reverse() });
  if (errors) {
    tracks.push({ name: "Error", unit: "mm", height: 1.1, curves: [
      { values: errors.largest, colour: "--error-line" }, { values: errors.mean, colour: "--error", filled: true },
    ] });
  }
  return tracks;
}

/**
 * Seeks with the pointer; with Shift selects a range.
 * @param {Player} player
 * @param {HTMLElement} timeline
 * @param {TimelineCanvas} curves
 * @param {HTMLElement} hover
 */
function listen(player, timeline, curves, hover) {
  /** @type {{ from: number, selects: boolean, resumes: boolean } | null} */
  let drag = null;
  const timeAt = (/** @type {PointerEvent} */ event) => curves.time(event.clientX - timeline.getBoundingClientRect().left);
  const move = (/** @type {PointerEvent} */ event) => {
    const time = timeAt(event);
    if (drag?.selects) player.clock.range = drag.from < time ? [drag.from, time] : [time, drag.from];
    if (drag) player.seek(drag.selects ? Math.min(drag.from, time) : time);
  };
  timeline.addEventListener("pointerdown", (event) => {
    if (event.button !== 0) return;
    timeline.setPointerCapture(event.pointerId);
    drag = { from: timeAt(event), selects: event.shiftKey, resumes: player.clock.playing };
    player.clock.pause();
    move(event);
  });
  timeline.addEventListener("pointermove", (event) => {
    move(event);
    hover.hidden = false;
    hover.textContent = curves.valuesAt(timeAt(event));
    const left = Math.min(curves.left(timeAt(event)) + 10, timeline.clientWidth - hover.offsetWidth - 4);
    hover.style.transform = `translateX(${left}px)`;
  });
  timeline.addEventListener("pointerleave", () => { hover.hidden = true; });
  const release = () => {
    const range = player.clock.range;
    if (drag?.selects && range && range[1] - range[0] < 2 / player.description.fps) player.clock.range = null;
    if (drag?.resumes) void player.clock.play();
    drag = null;
    player.requestRedraw();
  };
  timeline.addEventListener("pointerup", release);
  timeline.addEventListener("pointercancel", release);
}

/** The curves, redrawn when the size changes. */
class TimelineCanvas {
  /**
   * @param {HTMLElement} parent
   * @param {Track[]} tracks
   * @param {Uint8Array | null} waveform
   * @param {import("./description.js").Description} description
   */
  constructor(parent, tracks, waveform, description) {
    this.parent = parent;
    this.tracks = tracks;
    this.waveform = waveform;
    this.description = description;
    this.canvas = make("canvas", { "aria-hidden": "true" });
    parent.append(this.canvas);
  }

  /** Width of the curves, pixels. @private */
  get span() {
    return Math.max(1, this.parent.clientWidth - GUTTER - 14);
  }

  /** @param {number} time */
  left(time) {
    return GUTTER + (time / this.description.seconds) * this.span;
  }

  /** @param {number} left pixels */
  time(left) {
    return Math.max(0, Math.min(1, (left - GUTTER) / this.span)) * this.description.seconds;
  }

  /** Values of all curves at a time, as text. @param {number} time */
  valuesAt(time) {
    const frame = Math.min(this.description.frames - 1, Math.round(time * this.description.fps));
    const parts = this.tracks.filter(({ curves }) => curves.length).map(({ name, unit, curves }) =>
      `${name.toLowerCase()} ${[...curves].reverse().map(({ values }) => values[frame].toFixed(2)).join(" / ")} ${unit}`);
    return [timeText(time), ...parts].join("  ·  ");
  }

  draw() {
    const { canvas, parent, tracks } = this;
    const ratio = devicePixelRatio;
    const [width, height] = [parent.clientWidth, parent.clientHeight];
    [canvas.width, canvas.height] = [Math.round(width * ratio), Math.round(height * ratio)];
    const pen = /** @type {CanvasRenderingContext2D} */ (canvas.getContext("2d"));
    pen.scale(ratio, ratio);
    pen.font = "11px system-ui, sans-serif";
    this.drawAxis(pen, height);
    const whole = tracks.reduce((sum, track) => sum + track.height, 0);
    let top = AXIS;
    for (const track of tracks) {
      const tall = ((height - AXIS - GAP) * track.height) / whole - GAP;
      this.drawTrack(pen, track, top, tall);
      top += tall + GAP;
    }
  }

  /** @private @param {CanvasRenderingContext2D} pen @param {number} height */
  drawAxis(pen, height) {
    const { seconds } = this.description;
    const step = TICKS.find((tick) => (tick / seconds) * this.span >= TICK_PIXELS) ?? 300;
    pen.textAlign = "center";
    for (let count = 0; count * step <= seconds; count++) {
      const left = Math.round(this.left(count * step)) + 0.5;
      pen.fillStyle = this.colour("--grid");
      pen.fillRect(left - 0.5, AXIS, 1, height - AXIS - GAP);
      pen.fillStyle = this.colour("--faint");
      pen.fillText(`${Number((count * step).toFixed(2))} s`, left, 12);
    }
  }

  /**
   * @private
   * @param {CanvasRenderingContext2D} pen
   * @param {Track} track
   * @param {number} top
   * @param {number} tall
   */
  drawTrack(pen, track, top, tall) {
    pen.fillStyle = this.colour("--track");
    pen.fillRect(GUTTER, top, this.span, tall);
    pen.textAlign = "left";
    pen.fillStyle = this.colour("--muted");
    pen.fillText(track.name, 12, top + tall / 2 + 4);
    if (!track.curves.length) {
      this.drawWaveform(pen, top, tall);
      return;
    }
    const all = track.curves.flatMap(({ values }) => [...extent(values)]);
    const [low, high] = [Math.min(0, ...all), Math.max(...all, 1e-6)];
    const heightOf = (/** @type {number} */ value) => top + tall - 3 - ((value - low) / (high - low)) * (tall - 6);
    pen.textAlign = "right";
    pen.fillStyle = this.colour("--faint");
    pen.fillText(`${Number(high.toPrecision(2))}`, GUTTER - 5, top + 9);
    pen.fillText(track.unit, GUTTER - 5, top + tall - 1);
    for (const curve of track.curves) this.drawCurve(pen, curve, heightOf, top + tall);
  }

  /** @private @param {CanvasRenderingContext2D} pen @param {number} top @param {number} tall */
  drawWaveform(pen, top, tall) {
    const { waveform, description } = this;
    if (!waveform) return;
    pen.fillStyle = this.colour("--sound");
    const columns = waveform.length / 2;
    for (let pixel = 0; pixel < this.span; pixel++) {
      const [from, to] = [pixel, pixel + 1].map((index) => Math.floor((index / this.span) * description.seconds * description.waveformRate));
      let [low, high] = [128, 128];
      for (let column = from; column < Math.max(to, from + 1) && column < columns; column++) {
        low = Math.min(low, waveform[2 * column]);
        high = Math.max(high, waveform[2 * column + 1]);
      }
      const heightOf = (/** @type {number} */ value) => top + tall / 2 - ((value - 128) / 128) * (tall / 2 - 1);
      pen.fillRect(GUTTER + pixel, heightOf(high), 1, Math.max(1, heightOf(low) - heightOf(high)));
    }
  }

  /**
   * @private
   * @param {CanvasRenderingContext2D} pen
   * @param {Curve} curve
   * @param {(value: number) => number} heightOf
   * @param {number} bottom
   */
  drawCurve(pen, curve, heightOf, bottom) {
    const line = new Path2D();
    const { fps } = this.description;
    curve.values.forEach((value, frame) => line.lineTo(this.left(frame / fps), heightOf(value)));
    pen.lineWidth = 1.5;
    pen.lineJoin = "round";
    pen.strokeStyle = this.colour(curve.colour);
    pen.setLineDash(curve.dashed ? [4, 3] : []);
    pen.stroke(line);
    pen.setLineDash([]);
    if (!curve.filled) return;
    line.lineTo(this.left((curve.values.length - 1) / fps), bottom);
    line.lineTo(this.left(0), bottom);
    pen.globalAlpha = 0.25;
    pen.fillStyle = this.colour(curve.colour);
    pen.fill(line);
    pen.globalAlpha = 1;
  }

  /** @private @param {string} name */
  colour(name) {
    return getComputedStyle(this.parent).getPropertyValue(name);
  }
}

/** @param {Float32Array} values @returns {[number, number]} */
function extent(values) {
  return values.reduce(([low, high], value) => [Math.min(low, value), Math.max(high, value)], /** @type {[number, number]} */ ([Infinity, -Infinity]));
}
