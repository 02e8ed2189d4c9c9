/**
 * The last seconds of sound and mouth, which move to the left: sound as it is captured, the mouth as it is shown.
 */
import { make } from "../../player/web/dom.js";

/** @typedef {import("./live.js").Live} Live */

const SECONDS = 8;
const COLUMNS = 100; // of the sound, per second
const GUTTER = 62; // pixels left of the curves, as in the player
const LEVEL = 2.5; // speech reaches a third of full scale

/** @param {Live} live @param {HTMLElement} parent @returns {() => void} draws */
export function addStrip(live, parent) {
  const canvas = make("canvas");
  parent.append(canvas);
  /** @type {{ time: number, value: number }[]} */
  const loudness = [];
  /** @type {{ time: number, value: number }[]} */
  const lips = [];
  live.addEventListener("samples", (event) => {
    const { samples, time, rate } = /** @type {CustomEvent} */ (event).detail;
    const width = Math.round(rate / COLUMNS);
    for (let first = 0; first < samples.length; first += width) {
      let peak = 0;
      for (const value of samples.subarray(first, first + width)) peak = Math.max(peak, Math.abs(value));
      loudness.push({ time: time + first / rate, value: Math.min(1, LEVEL * peak) });
    }
    if (loudness.length > 2 * SECONDS * COLUMNS) loudness.splice(0, SECONDS * COLUMNS);
  });
  live.addEventListener("frame", (event) => {
    const { number, pose } = /** @type {CustomEvent} */ (event).detail;
    lips.push({ time: number / live.face.fps, value: opening(live, pose.lips) });
    if (lips.length > 2 * SECONDS * live.face.fps) lips.splice(0, SECONDS * live.face.fps);
  });
  return () => draw(canvas, live, loudness, lips);
}

/** @param {Live} live @param {number} lips millimetres */
function opening({ motion: { rest, open } }, lips) {
  return Math.max(0, Math.min(1, (lips - rest.lips) / Math.max(1e-3, open.lips - rest.lips)));
}

/** @param {HTMLCanvasElement} canvas @param {Live} live @param {{ time: number, value: number }[]} loudness @param {{ time: number, value: number }[]} lips */
function draw(canvas, live, loudness, lips) {
  const ratio = Math.min(devicePixelRatio, 2);
  const [width, height] = [Math.round(canvas.clientWidth * ratio), Math.round(canvas.clientHeight * ratio)];
  if (!width || !height) return;
  if (canvas.width !== width || canvas.height !== height) [canvas.width, canvas.height] = [width, height];
  const pen = /** @type {CanvasRenderingContext2D} */ (canvas.getContext("2d"));
  const style = getComputedStyle(canvas);
  const colour = (/** @type {string} */ name) => style.getPropertyValue(name);
  const now = live.clock.time;
  const left = (/** @type {number} */ time) => (GUTTER + (1 - (now - time) / SECONDS) * (canvas.clientWidth - GUTTER)) * ratio;
  const [soundTop, soundHeight] = [0.06 * height, 0.42 * height];
  const [lipsTop, lipsHeight] = [0.54 * height, 0.38 * height];
  pen.clearRect(0, 0, width, height);
  pen.fillStyle = colour("--track");
  pen.fillRect(GUTTER * ratio, soundTop, width, soundHeight);
  pen.fillRect(GUTTER * ratio, lipsTop, width, lipsHeight);
  pen.fillStyle = colour("--faint");
  pen.font = `${11 * ratio}px system-ui, sans-serif`;
  pen.textBaseline = "middle";
  pen.fillText("Sound", 14 * ratio, soundTop + soundHeight / 2);
  pen.fillText("Mouth", 14 * ratio, lipsTop + lipsHeight / 2);
  pen.save();
  pen.beginPath();
  pen.rect(GUTTER * ratio, 0, width, height);
  pen.clip();
  pen.strokeStyle = colour("--grid");
  pen.lineWidth = ratio;
  for (let second = Math.ceil(now - SECONDS); second <= now; second++) line(pen, left(second), 0, height);
  pen.fillStyle = colour("--sound");
  const bar = Math.max(ratio, left(1 / COLUMNS) - left(0) - 0.4 * ratio);
  for (const { time, value } of loudness) {
    const tall = Math.max(ratio, value * soundHeight);
    if (now - time < SECONDS) pen.fillRect(left(time), soundTop + (soundHeight - tall) / 2, bar, tall);
  }
  pen.strokeStyle = colour("--clip-0");
  pen.lineWidth = 1.6 * ratio;
  pen.lineJoin = "round";
  pen.beginPath();
  for (const { time, value } of lips) {
    if (now - time < SECONDS + 0.2) pen.lineTo(left(time), lipsTop + lipsHeight - ratio - value * (lipsHeight - 2 * ratio));
  }
  pen.stroke();
  pen.restore();
}

/** @param {CanvasRenderingContext2D} pen @param {number} left @param {number} top @param {number} bottom */
function line(pen, left, top, bottom) {
  pen.beginPath();
  pen.moveTo(left, top);
  pen.lineTo(left, bottom);
  pen.stroke();
}
