/**
 * The panel beside the picture: metrics of the frame, emotion, blend shapes, and metadata of the animation.
 */
import { element, make } from "./dom.js";

/** @typedef {import("./player.js").Player} Player */
/** @typedef {import("./payload.js").Payload} Payload */
/** @typedef {import("./description.js").ClipDescription} ClipDescription */

const MAX_POSES = 12; // with the largest weights over the whole animation

/** @param {Player} player @param {Payload} payload */
export function addPanel(player, payload) {
  const panel = element("panel");
  const { clips } = player.description;
  const first = clips[0];
  const refreshers = [addMetrics(player, panel)];
  if (first.emotions.length) {
    refreshers.push(addBars(panel, "Emotion", first.emotions, payload.floats(first.emotion), first.emotions.length));
  }
  if (first.poseWeights) {
    refreshers.push(addBars(panel, "Blend shapes", first.poses, payload.floats(first.poseWeights), MAX_POSES));
  }
  clips.forEach((clip, index) => addMetadata(panel, clip, index));
  addAccuracy(panel, clips);
  player.onUpdate(() => refreshers.forEach((refresh) => refresh(player.frame)));
}

/**
 * @param {Player} player
 * @param {HTMLElement} panel
 */
function addMetrics(player, panel) {
  const { clips, errors } = player;
  /** @type {[string, (frame: number) => string, string][]} */
  const rows = [];
  clips.forEach(({ label, motion: { lips } }, index) => {
    if (lips) rows.push([`Lips, ${label.toLowerCase()}`, (frame) => `${lips[frame].toFixed(2)} mm`, `clip-${index}`]);
  });
  if (errors) {
    rows.push(["Error, mean", (frame) => `${errors.mean[frame].toFixed(3)} mm`, ""]);
    rows.push(["Error, worst vertex", (frame) => `${errors.largest[frame].toFixed(2)} mm`, ""]);
    const mean = errors.mean.reduce((sum, value) => sum + value, 0) / errors.mean.length;
    rows.push(["Error, mean of all frames", () => `${mean.toFixed(3)} mm`, ""]);
  }
  if (!rows.length) return () => {};
  const values = rows.map(([, , kind]) => make("dd", kind ? { class: kind } : {}));
  panel.append(make("h2", {}, "This frame"), make("dl", { class: "pairs" }, ...rows.flatMap(([name], index) => [make("dt", {}, name), values[index]])));
  return (/** @type {number} */ frame) => rows.forEach(([, value], index) => {
    values[index].textContent = value(frame);
  });
}

/**
 * Bars of values from 0 to 1.
 * @param {HTMLElement} panel
 * @param {string} title
 * @param {string[]} names
 * @param {Float32Array} values [frames, names]
 * @param {number} most number of bars
 */
function addBars(panel, title, names, values, most) {
  const sums = names.map((_, column) => {
    let sum = 0;
    for (let index = column; index < values.length; index += names.length) sum += Math.abs(values[index]);
    return sum;
  });
  const order = [...names.keys()].sort((one, other) => sums[other] - sums[one]).slice(0, most);
  const bars = order.map((column) => ({ column, fill: make("i"), number: make("b") }));
  const heading = order.length < names.length ? make("h2", {}, title, make("small", {}, `${order.length} strongest of ${names.length}`)) : make("h2", {}, title);
  panel.append(heading, make("ul", { class: "bars" }, ...bars.map(({ column, fill, number }) =>
    make("li", {}, make("span", {}, names[column]), make("div", {}, fill), number))));
  return (/** @type {number} */ frame) => {
    for (const { column, fill, number } of bars) {
      const value = values[frame * names.length + column];
      fill.style.transform = `scaleX(${Math.max(0, Math.min(1, value))})`;
      number.textContent = value.toFixed(2);
    }
  };
}

/**
 * @param {HTMLElement} panel
 * @param {ClipDescription} clip
 * @param {number} index
 */
function addMetadata(panel, clip, index) {
  panel.append(make("h2", { class: `clip-${index}` }, clip.label));
  const simple = clip.facts.flatMap(([name, value]) => (typeof value === "string" ? [pair(name, value)] : []));
  panel.append(make("dl", { class: "pairs" }, ...simple.flat()));
  for (const [name, group] of clip.facts) {
    if (typeof group === "string") continue;
    const rows = group.flatMap(([key, value]) => pair(key, value));
    const summary = make("summary", {}, name, make("small", {}, String(group.length)));
    panel.append(make("details", {}, summary, make("dl", { class: "pairs" }, ...rows)));
  }
}

/** @param {string} name @param {string} value */
function pair(name, value) {
  return [make("dt", {}, name), make("dd", {}, value)];
}

/**
 * @param {HTMLElement} panel
 * @param {ClipDescription[]} clips
 */
function addAccuracy(panel, clips) {
  const meshes = clips.flatMap((clip) => clip.meshes);
  const mean = Math.max(...meshes.map((mesh) => mesh.meanError));
  const worst = Math.max(...meshes.map((mesh) => mesh.worstError));
  panel.append(make("p", { class: "note" },
    `Compressed to within ${mean.toFixed(3)} mm of the exact animation on average and ${worst.toFixed(2)} mm at worst. `
    + "Curves and numbers are computed from the exact animation."));
}
