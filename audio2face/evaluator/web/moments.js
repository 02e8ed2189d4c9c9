/**
 * The worst moments: a link opens the player at its moment in a frame below the table, which is made on the first click.
 */
import { make } from "./dom.js";

export function addMoments() {
  for (const part of document.querySelectorAll(".worst-of")) {
    const place = part.querySelector(".player");
    if (place instanceof HTMLElement) {
      for (const link of part.querySelectorAll("a.moment")) {
        if (link instanceof HTMLAnchorElement) addLink(link, part, place);
      }
    }
  }
}

/**
 * @param {HTMLAnchorElement} link
 * @param {Element} part the moments of one model
 * @param {HTMLElement} place of the frame
 */
function addLink(link, part, place) {
  link.addEventListener("click", (event) => {
    if (event.ctrlKey || event.metaKey || event.shiftKey) return; // a new tab or window
    event.preventDefault();
    for (const other of part.querySelectorAll("tr.current")) other.classList.remove("current");
    link.closest("tr")?.classList.add("current");
    const title = link.getAttribute("aria-label") ?? "";
    const frame = place.querySelector("iframe") ?? make("iframe", { allow: "autoplay; fullscreen" });
    frame.title = title.split(": ")[0];
    frame.src = link.href;
    if (!frame.isConnected) place.append(frame, closeButton(part, place));
    place.hidden = false;
    place.scrollIntoView({ block: "nearest", behavior: "smooth" });
  });
}

/** @param {Element} part @param {HTMLElement} place */
function closeButton(part, place) {
  const button = make("button", { type: "button", class: "close" }, "Close the player");
  button.addEventListener("click", () => {
    place.replaceChildren();
    place.hidden = true;
    for (const row of part.querySelectorAll("tr.current")) row.classList.remove("current");
  });
  return button;
}
