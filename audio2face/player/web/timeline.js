/**
 * Curves over time below the picture: sound, lips, error. Time runs from left to right; a line shows where the page is.
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
 * @property {number} height share of the whole
 * @property {Curve[]} curves none: the sound's outline
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
  const outline = description.outline && payload.bytes(description.outline);
  const drawing = new Drawing(timeline, tracksOf(player, Boolean(outline)), outline, description);
  const range = make("div", { class: "range" });
  const playhead = make("div", { class: "playhead" });
  const hover = make("output", { class: "hover" });
  hover.hidden = true;
  timeline.append(range, playhead, hover);
  timeline.setAttribute("aria-valuemax", description.seconds.toFixed(3));
  new ResizeObserver(() => { drawing.draw(); player.touch(); }).observe(timeline);
  listen(player, timeline, drawing, hover);
  player.watch(() => {
    const { time, range: chosen } = player.clock;
    playhead.style.transform = `translateX(${drawing.left(time)}px)`;
    range.hidden = !chosen;
    if (chosen) {
      range.style.left = `${drawing.left(chosen[0])}px`;
      range.style.width = `${drawing.left(chosen[1]) - drawing.left(chosen[0])}px`;
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
  const { takes, errors } = player;
  /** @type {Track[]} */
  const tracks = [];
  if (hasSound) tracks.push({ name: "Sound", unit: "", height: 1, curves: [] });
  /** @type {Curve[]} */
  const lips = takes.flatMap(({ lips: values }, place) => (values ? [{ values, colour: `--take-${place}`, dashed: place > 0 }] : []));
  if (lips.length) tracks.push({ name: "Lips", unit: "mm", height: 1.5, curves: lips.reverse() });
  if (errors) {
    tracks.push({ name: "Error", unit: "mm", height: 1.1, curves: [
      { values: errors.largest, colour: "--error-line" }, { values: errors.mean, colour: "--error", filled: true },
    ] });
  }
  return tracks;
}

/**
 * Moves through time with pointer; with Shift chooses a part.
 * @param {Player} player
 * @param {HTMLElement} timeline
 * @param {Drawing} drawing
 * @param {HTMLElement} hover
 */
function listen(player, timeline, drawing, hover) {
  /** @type {{ from: number, chooses: boolean, plays: boolean } | null} */
  let held = null;
  const timeAt = (/** @type {PointerEvent} */ event) => drawing.time(event.clientX - timeline.getBoundingClientRect().left);
  const move = (/** @type {PointerEvent} */ event) => {
    const time = timeAt(event);
    if (held?.chooses) player.clock.range = held.from < time ? [held.from, time] : [time, held.from];
    if (held) player.seek(held.chooses ? Math.min(held.from, time) : time);
  };
  timeline.addEventListener("pointerdown", (event) => {
    if (event.button !== 0) return;
    timeline.setPointerCapture(event.pointerId);
    held = { from: timeAt(event), chooses: event.shiftKey, plays: player.clock.playing };
    player.clock.pause();
    move(event);
  });
  timeline.addEventListener("pointermove", (event) => {
    move(event);
    hover.hidden = false;
    hover.textContent = drawing.valuesAt(timeAt(event));
    const left = Math.min(drawing.left(timeAt(event)) + 10, timeline.clientWidth - hover.offsetWidth - 4);
    hover.style.transform = `translateX(${left}px)`;
  });
  timeline.addEventListener("pointerleave", () => { hover.hidden = true; });
  const release = () => {
    const range = player.clock.range;
    if (held?.chooses && range && range[1] - range[0] < 2 / player.description.fps) player.clock.range = null;
    if (held?.plays) void player.clock.play();
    held = null;
    player.touch();
  };
  timeline.addEventListener("pointerup", release);
  timeline.addEventListener("pointercancel", release);
}

/** The curves, drawn when the size changes. */
class Drawing {
  /**
   * @param {HTMLElement} parent
   * @param {Track[]} tracks
   * @param {Uint8Array | null} outline of the sound
   * @param {import("./description.js").Description} description
   */
  constructor(parent, tracks, outline, description) {
    this.parent = parent;
    this.tracks = tracks;
    this.outline = outline;
    this.description = description;
    this.canvas = make("canvas", { "aria-hidden": "true" });
    parent.append(this.canvas);
  }

  /** Pixels of the curves from left to right. @private */
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

  /** What the curves say at a time. @param {number} time */
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
      this.drawOutline(pen, top, tall);
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
  drawOutline(pen, top, tall) {
    const { outline, description } = this;
    if (!outline) return;
    pen.fillStyle = this.colour("--sound");
    const columns = outline.length / 2;
    for (let pixel = 0; pixel < this.span; pixel++) {
      const [from, to] = [pixel, pixel + 1].map((place) => Math.floor((place / this.span) * description.seconds * description.outlineRate));
      let [low, high] = [128, 128];
      for (let column = from; column < Math.max(to, from + 1) && column < columns; column++) {
        low = Math.min(low, outline[2 * column]);
        high = Math.max(high, outline[2 * column + 1]);
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
