/**
 * Opens the page: draws distributions and curves, and makes definitions and players answer.
 */
import { addCurves } from "./curves.js";
import { readData } from "./data.js";
import { addDistributions } from "./distributions.js";
import { addMoments } from "./moments.js";
import { addTerms } from "./terms.js";

const data = readData();
addDistributions(data);
addCurves(data);
addMoments();
addTerms(data);
for (const part of document.querySelectorAll("details")) {
  // Printed pages show everything.
  addEventListener("beforeprint", () => { part.dataset.closed = String(!part.open); part.open = true; });
  addEventListener("afterprint", () => { part.open = part.dataset.closed === "false"; });
}
