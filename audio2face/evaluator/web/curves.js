/**
 * Curves of a recording: the mouth opening over time, and the correlation over the shift of the animation.
 */
import { choice, drawn, make, numberText, ticks } from "./dom.js";
import { legend, sample } from "./legend.js";

/** @typedef {import("./data.js").Data} Data */
/** @typedef {import("./data.js").Values} Values */
/** @typedef {{ name: string, style: string, values: Values }} Line */

/**
 * @typedef {object} Plot
 * @property {string} label
 * @property {string} unit of the vertical axis
 * @property {string} along name and unit of the horizontal axis
 * @property {number[]} positions of the values along the horizontal axis
 * @property {Line[]} lines
 * @property {[number, number]} range of the vertical axis
 * @property {number} decimals of the values
 * @property {number} stepDecimals of the positions
 */

/** @param {Data} data */
export function addCurves(data) {
  const place = document.getElementById("curves-plots");
  const names = data.recordings.map(({ name }) => name).filter((name) => Object.hasOwn(data.curves, name));
  if (!place || !names.length) return;
  let recording = names[0];
  const shown = new Set(data.subjects.flatMap((subject, index) => (subject.shown ? [index] : [])));
  const plots = make("div", { class: "curve-plots" });
  const draw = () => plots.replaceChildren(...plotsOf(data, recording, shown).map(drawPlot));
  const pick = choice("Recording", names.map((name) => [name, name]), (value) => { recording = value; draw(); });
  const truth = make("span", { class: "truth-key" }, sample("truth", true), "recorded face");
  const keys = make("div", { class: "keys" }, truth, legend(data.subjects, shown, draw, true));
  place.append(make("div", { class: "controls" }, pick, keys), plots);
  draw();
}

/**
 * @param {Data} data
 * @param {string} recording
 * @param {Set<number>} shown
 * @returns {Plot[]}
 */
function plotsOf(data, recording, shown) {
  const curves = data.curves[recording];
  const lines = (/** @type {Values[]} */ all) =>
    data.subjects.flatMap(({ name, style }, index) => (shown.has(index) && all[index].length ? [{ name, style, values: all[index] }] : []));
  const openings = [...lines(curves.subjects), { name: "recorded face", style: "truth", values: curves.truth }];
  /** @type {Plot[]} */
  const plots = [{
    label: "Mouth opening",
    unit: "mm",
    along: "seconds",
    positions: curves.truth.map((_, frame) => (frame + 0.5) / curves.fps),
    lines: openings,
    range: rangeOf([...curves.subjects.flat(), ...curves.truth], 0),
    decimals: 1,
    stepDecimals: 2,
  }];
  const correlations = lines(curves.correlation);
  if (curves.lag.length && correlations.length) {
    plots.push({
      label: "Correlation over shift",
      unit: "",
      along: "animation is late by, milliseconds",
      positions: curves.lag,
      lines: correlations,
      range: rangeOf(curves.correlation.flat(), 0),
      decimals: 2,
      stepDecimals: 0,
    });
  }
  return plots;
}

/** @param {Values} values @param {number} always a value that the range holds @returns {[number, number]} */
function rangeOf(values, always) {
  let [low, high] = [always, always];
  for (const value of values) {
    if (value !== null) [low, high] = [Math.min(low, value), Math.max(high, value)];
  }
  const margin = 0.04 * (high - low) || 1;
  return [low - (low < always ? margin : 0), high + margin];
}

/** @param {Plot} plot */
function drawPlot(plot) {
  const { positions, range: [low, high] } = plot;
  const [first, last] = [Math.min(0, positions[0]), positions[positions.length - 1]];
  const x = (/** @type {number} */ value) => (100 * (value - first)) / (last - first || 1);
  const y = (/** @type {number} */ value) => 100 - (100 * (value - low)) / (high - low);
  const across = ticks(low, high, 5);
  const along = ticks(first, last, 6);
  const grid = [
    ...across.map(({ value }) => drawn("path", { d: `M0 ${y(value)}H100`, class: value === 0 ? "grid zero" : "grid" })),
    ...along.map(({ value }) => drawn("path", { d: `M${x(value)} 0V100`, class: value === 0 && first < 0 ? "grid zero" : "grid" })),
  ];
  const lines = plot.lines.map(({ values, style }) => drawn("path", { d: pathOf(values, positions, x, y), class: `curve ${style}` }));
  const svg = drawn("svg", { viewBox: "0 0 100 100", preserveAspectRatio: "none", "aria-hidden": "true" }, ...grid, ...lines);
  const area = make("div", { class: "area", role: "img", "aria-label": `${plot.label} of ${plot.lines.map(({ name }) => name).join(", ")}` });
  area.append(svg);
  addReadout(area, plot, x, first, last);
  return make("figure", { class: "plot-frame" },
    make("figcaption", {}, make("b", {}, plot.label), make("small", {}, plot.unit)),
    make("div", { class: "y-labels" }, ...across.map(({ value, text }) => make("span", { style: `top: ${y(value)}%` }, text))),
    area,
    make("div", { class: "x-labels" }, ...along.map(({ value, text }) => make("span", { style: `left: ${x(value)}%` }, text))),
    make("div", { class: "x-name" }, plot.along),
  );
}

/**
 * A path through the values; a missing one breaks it.
 * @param {Values} values
 * @param {number[]} positions
 * @param {(value: number) => number} x
 * @param {(value: number) => number} y
 */
function pathOf(values, positions, x, y) {
  let [path, pen] = ["", "M"];
  values.forEach((value, index) => {
    if (value === null || index >= positions.length) {
      pen = "M";
      return;
    }
    path += `${pen}${x(positions[index]).toFixed(2)} ${y(value).toFixed(2)}`;
    pen = "L";
  });
  return path;
}

/**
 * Shows the values at the pointer.
 * @param {HTMLElement} area
 * @param {Plot} plot
 * @param {(value: number) => number} x
 * @param {number} first
 * @param {number} last
 */
function addReadout(area, plot, x, first, last) {
  const { positions, lines, decimals, stepDecimals } = plot;
  const line = make("div", { class: "cursor" });
  const box = make("div", { class: "readout" });
  line.hidden = box.hidden = true;
  area.append(line, box);
  const show = (/** @type {PointerEvent} */ event) => {
    const bounds = area.getBoundingClientRect();
    const at = first + ((event.clientX - bounds.left) / bounds.width) * (last - first);
    const step = (positions[positions.length - 1] - positions[0]) / Math.max(1, positions.length - 1) || 1;
    const index = Math.max(0, Math.min(positions.length - 1, Math.round((at - positions[0]) / step)));
    const rows = [...lines].reverse().map(({ name, style, values }) => make("div", {}, sample(style, true), make("span", {}, name), make("b", {}, numberText(values[index], decimals))));
    box.replaceChildren(make("div", { class: "at" }, `${numberText(positions[index], stepDecimals)} ${stepDecimals ? "s" : "ms"}`), ...rows);
    line.style.left = `${x(positions[index])}%`;
    box.classList.toggle("left", x(positions[index]) > 50);
    line.hidden = box.hidden = false;
  };
  area.addEventListener("pointermove", show);
  area.addEventListener("pointerdown", show);
  area.addEventListener("pointerleave", () => { line.hidden = box.hidden = true; });
}
