/**
 * Overlays of the picture: names of the faces, and the scale of the heat map.
 */
import { element, make } from "./dom.js";
import { heatMapCss } from "./heat_map_colours.js";

/** @typedef {import("./player.js").Player} Player */

/** @param {Player} player */
export function addOverlays(player) {
  const refreshers = [addCaptions(player), addScale(player)];
  player.onUpdate(() => refreshers.forEach((refresh) => refresh()));
}

/** @param {Player} player */
function addCaptions(player) {
  const captions = player.clips.map((clip, index) =>
    make("p", { class: `caption clip-${index}` }, clip.label, make("span", {}, player.description.clips[index].actor)));
  element("captions").append(...captions);
  return () => {
    const { shown } = player.options;
    const { width, height } = player.canvas;
    const views = player.renderer.views(shown.length);
    captions.forEach((caption, index) => {
      const view = views[shown.indexOf(index)];
      caption.hidden = !view;
      if (!view) return;
      caption.style.left = `${(100 * view.left) / width}%`;
      caption.style.top = `${100 - (100 * (view.bottom + view.height)) / height}%`;
    });
    const names = shown.map((clip) => player.clips[clip].label).join(" beside ");
    player.canvas.setAttribute("aria-label", `Animated face: ${names}`);
  };
}

/** @param {Player} player */
function addScale(player) {
  const scale = element("heat");
  const bar = make("div", { class: "colours" });
  bar.style.setProperty("--colours", heatMapCss());
  const numbers = [1, 0.75, 0.5, 0.25, 0].map(() => make("span"));
  const finer = make("button", { type: "button", "aria-label": "Finer scale", title: "finer scale ([)" }, "−");
  const coarser = make("button", { type: "button", "aria-label": "Coarser scale", title: "coarser scale (])" }, "+");
  finer.addEventListener("click", () => player.stepHeatTop(-1));
  coarser.addEventListener("click", () => player.stepHeatTop(1));
  const now = make("p", { class: "now" });
  scale.append(
    make("h2", {}, "Error, mm"),
    make("div", { class: "scale" }, bar, make("div", { class: "numbers" }, ...numbers)),
    make("div", { class: "steps" }, finer, coarser),
    now,
  );
  return () => {
    const { options, errors, frame } = player;
    scale.hidden = !options.heat || !options.shown.includes(0);
    if (scale.hidden || !errors) return;
    numbers.forEach((number, index) => {
      number.textContent = String(Number((options.heatTop * (1 - index / 4)).toPrecision(3)));
    });
    now.textContent = `mean ${errors.mean[frame].toFixed(2)}\nworst ${errors.largest[frame].toFixed(2)}`;
  };
}
