/**
 * The colours of the heat map, for the page's style sheet and for the shaders.
 */

/** @type {[number, number, number][]} sRGB from 0 to 1, evenly spread from no error to the top of the scale */
const STOPS = [
  [0.17, 0.2, 0.36],
  [0.13, 0.44, 0.62],
  [0.42, 0.71, 0.52],
  [0.96, 0.79, 0.34],
  [0.86, 0.27, 0.2],
];

/** As a list of CSS colours, for a gradient. */
export function heatMapCss() {
  return STOPS.map((stop) => `rgb(${stop.map((value) => Math.round(255 * value)).join(" ")})`).join(", ");
}

/** A GLSL function `vec3 heat(float share)`. */
export function heatMapGlsl() {
  const stops = STOPS.map((stop) => `vec3(${stop.map((value) => value.toFixed(3)).join(", ")})`);
  return `vec3 heat(float share) {
  vec3 stops[${stops.length}] = vec3[](${stops.join(", ")});
  float position = clamp(share, 0.0, 1.0) * ${(stops.length - 1).toFixed(1)};
  int below = min(int(position), ${stops.length - 2});
  return mix(stops[below], stops[below + 1], position - float(below));
}`;
}
