/**
 * The panel beside the picture: measures of the frame, emotion, blend shapes, and how the animation was made.
 */
import { element, make } from "./dom.js";

/** @typedef {import("./player.js").Player} Player */
/** @typedef {import("./payload.js").Payload} Payload */
/** @typedef {import("./description.js").TakeDescription} TakeDescription */

const MOST_POSES = 12; // shown at a time: those that matter most over the whole animation

/** @param {Player} player @param {Payload} payload */
export function addPanel(player, payload) {
  const panel = element("panel");
  const { takes } = player.description;
  const first = takes[0];
  const refreshers = [addMeasures(player, panel)];
  if (first.emotions.length) {
    refreshers.push(addBars(panel, "Emotion", first.emotions, payload.floats(first.emotion), first.emotions.length));
  }
  if (first.poseWeights) {
    refreshers.push(addBars(panel, "Blend shapes", first.poses, payload.floats(first.poseWeights), MOST_POSES));
  }
  takes.forEach((take, place) => addFacts(panel, take, place));
  addAccuracy(panel, takes);
  player.watch(() => refreshers.forEach((refresh) => refresh(player.frame)));
}

/**
 * @param {Player} player
 * @param {HTMLElement} panel
 */
function addMeasures(player, panel) {
  const { takes, errors } = player;
  /** @type {[string, (frame: number) => string, string][]} */
  const rows = [];
  takes.forEach(({ label, lips }, place) => {
    if (lips) rows.push([`Lips, ${label.toLowerCase()}`, (frame) => `${lips[frame].toFixed(2)} mm`, `take-${place}`]);
  });
  if (errors) {
    rows.push(["Error, mean", (frame) => `${errors.mean[frame].toFixed(3)} mm`, ""]);
    rows.push(["Error, worst vertex", (frame) => `${errors.largest[frame].toFixed(2)} mm`, ""]);
    const mean = errors.mean.reduce((sum, value) => sum + value, 0) / errors.mean.length;
    rows.push(["Error, mean of all frames", () => `${mean.toFixed(3)} mm`, ""]);
  }
  if (!rows.length) return () => {};
  const values = rows.map(([, , kind]) => make("dd", kind ? { class: kind } : {}));
  panel.append(make("h2", {}, "This frame"), make("dl", { class: "pairs" }, ...rows.flatMap(([name], place) => [make("dt", {}, name), values[place]])));
  return (/** @type {number} */ frame) => rows.forEach(([, value], place) => {
    values[place].textContent = value(frame);
  });
}

/**
 * Bars that follow values from 0 to 1.
 * @param {HTMLElement} panel
 * @param {string} title
 * @param {string[]} names
 * @param {Float32Array} values [frames, names]
 * @param {number} most bars
 */
function addBars(panel, title, names, values, most) {
  const sums = names.map((_, column) => {
    let sum = 0;
    for (let place = column; place < values.length; place += names.length) sum += Math.abs(values[place]);
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
 * @param {TakeDescription} take
 * @param {number} place
 */
function addFacts(panel, take, place) {
  panel.append(make("h2", { class: `take-${place}` }, take.label));
  const simple = take.facts.flatMap(([name, value]) => (typeof value === "string" ? [pair(name, value)] : []));
  panel.append(make("dl", { class: "pairs" }, ...simple.flat()));
  for (const [name, group] of take.facts) {
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
 * @param {TakeDescription[]} takes
 */
function addAccuracy(panel, takes) {
  const meshes = takes.flatMap((take) => take.meshes);
  const mean = Math.max(...meshes.map((mesh) => mesh.meanError));
  const worst = Math.max(...meshes.map((mesh) => mesh.worstError));
  panel.append(make("p", { class: "note" },
    `Drawn to within ${mean.toFixed(3)} mm of the exact animation on average and ${worst.toFixed(2)} mm at worst. `
    + "Curves and numbers come from the exact one."));
}
