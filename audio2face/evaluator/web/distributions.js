/**
 * Distributions of a metric: per emotion as boxes and points, per recording as points and as a table.
 */
import { choice, drawn, make, numberText, ticks } from "./dom.js";
import { metricOptions, metricText } from "./data.js";
import { legend, mark } from "./legend.js";
import { sortable } from "./sorting.js";

/** @typedef {import("./data.js").Data} Data */
/** @typedef {{ low: number, high: number, place: (value: number) => string }} Scale */

const ROW = 22; // pixels of a row of points
const JITTER = 5; // pixels by which points of a row part

/** @param {Data} data */
export function addDistributions(data) {
  const place = document.getElementById("distributions-plots");
  if (!place || !data.recordings.length) return;
  let metric = metricOptions(data)[0][0];
  const shown = new Set(data.subjects.flatMap((subject, index) => (subject.shown ? [index] : [])));
  const plots = make("div");
  const draw = () => {
    const order = [...shown].sort((one, other) => one - other);
    const isOpen = plots.querySelector("details")?.open ?? false;
    plots.replaceChildren(...(order.length ? drawAll(data, metric, order) : []));
    plots.querySelector("details")?.toggleAttribute("open", isOpen);
  };
  const pick = choice("Metric", metricOptions(data), (value) => { metric = value; draw(); });
  place.append(make("div", { class: "controls" }, pick, legend(data.subjects, shown, draw)), plots);
  draw();
}

/**
 * @param {Data} data
 * @param {string} metric
 * @param {number[]} order places of the subjects
 */
function drawAll(data, metric, order) {
  const all = order.flatMap((subject) => data.scores[metric][subject]).filter((value) => value !== null);
  if (!all.length) return [make("p", { class: "empty" }, "None of these subjects has a value of this metric.")];
  const scale = scaleOf(/** @type {number[]} */ (all));
  const emotions = [...new Set(data.recordings.map(({ emotion }) => emotion))];
  return [
    make("h3", {}, "By emotion", make("small", {}, metricText(data.metrics[metric]))),
    make("div", { class: "strips" }, ...emotions.flatMap((emotion) => emotionRows(data, metric, order, emotion, scale)), axis(scale)),
    make("h3", {}, "By recording", make("small", {}, metricText(data.metrics[metric]))),
    make("div", { class: "strips dots" }, ...data.recordings.map((_, index) => recordingRow(data, metric, order, index, scale)), axis(scale)),
    make("details", {}, make("summary", {}, "Table of all recordings"), recordingTable(data, metric, order)),
  ];
}

/** @param {number[]} values @returns {Scale} */
function scaleOf(values) {
  const [least, most] = [Math.min(...values), Math.max(...values)];
  const margin = 0.05 * (most - least) || 0.05 * Math.abs(most) || 1;
  const [low, high] = [least - margin, most + margin];
  return { low, high, place: (value) => `${(100 * (value - low)) / (high - low)}%` };
}

/** @param {Scale} scale */
function gridOf({ low, high, place }) {
  return ticks(low, high, 6).map(({ value }) => drawn("line", { x1: place(value), x2: place(value), y1: 0, y2: "100%", class: "grid" }));
}

/** @param {Scale} scale */
function axis({ low, high, place }) {
  const labels = ticks(low, high, 6).map(({ value, text }) => make("span", { style: `left: ${place(value)}` }, text));
  return make("div", { class: "strip axis-row" }, make("span"), make("div", { class: "axis-labels" }, ...labels));
}

/**
 * @param {Data} data
 * @param {string} metric
 * @param {number[]} order
 * @param {string} emotion
 * @param {Scale} scale
 */
function emotionRows(data, metric, order, emotion, scale) {
  const places = data.recordings.flatMap((recording, index) => (recording.emotion === emotion ? [index] : []));
  const title = make("div", { class: "strip-title" }, emotion || "no emotion", make("small", {}, `${places.length} ${places.length === 1 ? "recording" : "recordings"}`));
  const rows = order.map((subject) => {
    const { name, style } = data.subjects[subject];
    const points = places.map((index) => ({ value: data.scores[metric][subject][index], title: data.recordings[index].name }));
    return strip(name, drawStrip(points, style, scale, data.metrics[metric].decimals), summaryText(name, points, data.metrics[metric].decimals));
  });
  return [title, ...rows];
}

/** @typedef {{ value: number | null, title: string }} Point */

/** @param {string} label @param {SVGElement} plot @param {string} text */
function strip(label, plot, text) {
  plot.setAttribute("role", "img");
  plot.setAttribute("aria-label", text);
  return make("div", { class: "strip" }, make("span", { title: label }, label), plot);
}

/**
 * @param {Point[]} points
 * @param {string} style
 * @param {Scale} scale
 * @param {number} decimals
 */
function drawStrip(points, style, scale, decimals) {
  const values = finite(points);
  const parts = gridOf(scale);
  if (values.length >= 4) parts.push(...box(values, style, scale));
  points.forEach(({ value, title }, index) => {
    if (value === null) return;
    const y = ROW / 2 + (values.length > 3 ? JITTER * (((index * 0.618) % 1) - 0.5) : 0);
    parts.push(pointAt(value, y, style, scale, `${title}: ${numberText(value, decimals)}`));
  });
  return drawn("svg", { height: ROW }, ...parts);
}

/**
 * @param {number} value
 * @param {number} y
 * @param {string} style
 * @param {Scale} scale
 * @param {string} title
 */
function pointAt(value, y, style, scale, title) {
  const label = drawn("title");
  label.textContent = title;
  return drawn("svg", { x: scale.place(value), y, overflow: "visible", width: 1, height: 1 }, mark(style), label);
}

/** @param {number[]} values @param {string} style @param {Scale} scale */
function box(values, style, scale) {
  const [first, median, third] = [0.25, 0.5, 0.75].map((share) => quantile(values, share));
  const width = (100 * (third - first)) / (scale.high - scale.low);
  return [
    drawn("rect", { x: scale.place(first), width: `${width}%`, y: 2, height: ROW - 4, rx: 3, class: `box ${style}` }),
    drawn("line", { x1: scale.place(median), x2: scale.place(median), y1: 2, y2: ROW - 2, class: `median ${style}` }),
  ];
}

/** @param {number[]} values @param {number} share */
function quantile(values, share) {
  const sorted = [...values].sort((one, other) => one - other);
  const at = share * (sorted.length - 1);
  const below = Math.floor(at);
  return sorted[below] + (at - below) * ((sorted[below + 1] ?? sorted[below]) - sorted[below]);
}

/** @param {Point[]} points */
function finite(points) {
  return points.flatMap(({ value }) => (value === null ? [] : [value]));
}

/** @param {string} name @param {Point[]} points @param {number} decimals */
function summaryText(name, points, decimals) {
  const values = finite(points);
  if (!values.length) return `${name}: no values`;
  const [low, median, high] = [0, 0.5, 1].map((share) => numberText(quantile(values, share), decimals));
  return `${name}: median ${median}, ${low} to ${high}, ${values.length} recordings`;
}

/**
 * @param {Data} data
 * @param {string} metric
 * @param {number[]} order
 * @param {number} index of the recording
 * @param {Scale} scale
 */
function recordingRow(data, metric, order, index, scale) {
  const { decimals } = data.metrics[metric];
  const points = order.map((subject) => ({ style: data.subjects[subject].style, title: data.subjects[subject].name, value: data.scores[metric][subject][index] }));
  const parts = [...gridOf(scale), drawn("line", { x1: 0, x2: "100%", y1: ROW / 2, y2: ROW / 2, class: "guide" })];
  for (const { value, style, title } of points) {
    if (value !== null) parts.push(pointAt(value, ROW / 2, style, scale, `${title}: ${numberText(value, decimals)}`));
  }
  const { name } = data.recordings[index];
  const text = points.map(({ title, value }) => `${title} ${numberText(value, decimals)}`).join(", ");
  return strip(name, drawn("svg", { height: ROW }, ...parts), `${name}: ${text}`);
}

/** @param {Data} data @param {string} metric @param {number[]} order */
function recordingTable(data, metric, order) {
  const { decimals } = data.metrics[metric];
  const heads = ["Recording", "Emotion", "Seconds", ...order.map((subject) => data.subjects[subject].name)];
  const rows = data.recordings.map((recording, index) => {
    const values = order.map((subject) => data.scores[metric][subject][index]);
    const figures = [recording.seconds, ...values].map((value, place) => {
      const sort = value === null ? "" : String(value);
      return make("td", { class: "num", "data-sort": sort }, numberText(value, place ? decimals : 2));
    });
    return make("tr", {}, make("th", { scope: "row" }, recording.name), make("td", {}, recording.emotion), ...figures);
  });
  const head = heads.map((label, place) => make("th", { scope: "col", class: place > 1 ? "num" : "" }, label));
  const table = make("table", {}, make("thead", {}, make("tr", {}, ...head)), make("tbody", {}, ...rows));
  sortable(table);
  return make("div", { class: "scroll", role: "region", "aria-label": "All recordings", tabindex: "0" }, table);
}
