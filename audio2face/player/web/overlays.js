/**
 * What lies over the picture: names of the faces, and the scale of the heat map.
 */
import { element, make } from "./dom.js";
import { heatList } from "./heat_colours.js";

/** @typedef {import("./player.js").Player} Player */

/** @param {Player} player */
export function addOverlays(player) {
  const refreshers = [addCaptions(player), addScale(player)];
  player.watch(() => refreshers.forEach((refresh) => refresh()));
}

/** @param {Player} player */
function addCaptions(player) {
  const captions = player.takes.map((take, place) =>
    make("p", { class: `caption take-${place}` }, take.label, make("span", {}, player.description.takes[place].actor)));
  element("captions").append(...captions);
  return () => {
    const { shown } = player.look;
    const { width, height } = player.canvas;
    const views = player.stage.views(shown.length);
    captions.forEach((caption, place) => {
      const view = views[shown.indexOf(place)];
      caption.hidden = !view;
      if (!view) return;
      caption.style.left = `${(100 * view.left) / width}%`;
      caption.style.top = `${100 - (100 * (view.bottom + view.height)) / height}%`;
    });
    const names = shown.map((take) => player.takes[take].label).join(" beside ");
    player.canvas.setAttribute("aria-label", `Animated face: ${names}`);
  };
}

/** @param {Player} player */
function addScale(player) {
  const scale = element("heat");
  const bar = make("div", { class: "colours" });
  bar.style.setProperty("--colours", heatList());
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
    const { look, errors, frame } = player;
    scale.hidden = !look.heat || !look.shown.includes(0);
    if (scale.hidden || !errors) return;
    numbers.forEach((number, place) => {
      number.textContent = String(Number((look.heatTop * (1 - place / 4)).toPrecision(3)));
    });
    now.textContent = `mean ${errors.mean[frame].toFixed(2)}\nworst ${errors.largest[frame].toFixed(2)}`;
  };
}
