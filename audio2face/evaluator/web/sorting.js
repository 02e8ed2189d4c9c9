/**
 * Tables that sort by a column when its head is pressed.
 */
import { make } from "./dom.js";

/** @param {HTMLTableElement} table */
export function sortable(table) {
  const heads = [...(table.tHead?.rows[0].cells ?? [])];
  heads.forEach((head, column) => {
    const button = make("button", { type: "button", class: "sort" }, ...head.childNodes);
    head.replaceChildren(button);
    button.addEventListener("click", () => {
      const rises = head.getAttribute("aria-sort") !== "ascending";
      for (const other of heads) other.removeAttribute("aria-sort");
      head.setAttribute("aria-sort", rises ? "ascending" : "descending");
      sort(table.tBodies[0], column, rises);
    });
  });
}

/**
 * Sorts rows by a column; cells without a value come last both ways.
 * @param {HTMLTableSectionElement} body
 * @param {number} column
 * @param {boolean} rises
 */
function sort(body, column, rises) {
  const key = (/** @type {HTMLTableRowElement} */ row) => row.cells[column].dataset.sort ?? row.cells[column].textContent ?? "";
  const compare = (/** @type {HTMLTableRowElement} */ one, /** @type {HTMLTableRowElement} */ other) => {
    const [first, second] = [key(one), key(other)];
    if (!first || !second) return Number(!first) - Number(!second);
    const order = first.localeCompare(second, "en", { numeric: true });
    const [a, b] = [Number(first), Number(second)];
    return (rises ? 1 : -1) * (Number.isNaN(a) || Number.isNaN(b) ? order : a - b);
  };
  body.append(...[...body.rows].sort(compare));
}
