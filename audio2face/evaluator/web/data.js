/**
 * The types of the JSON that `page_data.py` writes. Lists go by the places of subjects and recordings.
 */
import { element } from "./dom.js";

/**
 * @typedef {object} Metric
 * @property {string} label
 * @property {string} unit
 * @property {"lower" | "higher" | "zero" | "one" | "descriptive"} better
 * @property {string} definition
 * @property {string} source
 * @property {number} decimals
 */

/**
 * @typedef {object} Subject
 * @property {string} name
 * @property {"model" | "baseline"} kind
 * @property {string} style class of its colour and mark
 * @property {boolean} shown whether plots show it from the start
 */

/**
 * @typedef {object} Recording
 * @property {string} name
 * @property {string} emotion
 * @property {number | null} seconds
 */

/** @typedef {(number | null)[]} Values */

/**
 * @typedef {object} Curves
 * @property {number} fps
 * @property {Values} truth mouth opening, millimetres
 * @property {Values[]} subjects an empty list for a subject without a curve
 * @property {number[]} lag milliseconds
 * @property {Values[]} correlation at each shift
 */

/**
 * @typedef {object} Data
 * @property {string[]} main names of the main metrics
 * @property {Record<string, Metric>} metrics
 * @property {Subject[]} subjects
 * @property {Recording[]} recordings
 * @property {Record<string, Values[]>} scores metric to subject to recording
 * @property {Record<string, Curves>} curves by name of a recording
 */

/** @returns {Data} the JSON inside the page */
export function readData() {
  return JSON.parse(element("data").textContent ?? "");
}

/** @param {Metric} metric */
export function metricText(metric) {
  return metric.unit ? `${metric.label}, ${metric.unit}` : metric.label;
}

/**
 * The metrics for a choice: the main ones first.
 * @param {Data} data
 * @returns {[string, string][]}
 */
export function metricOptions(data) {
  const names = [...data.main, ...Object.keys(data.metrics).filter((name) => !data.main.includes(name))];
  return names.map((name) => [name, metricText(data.metrics[name])]);
}
