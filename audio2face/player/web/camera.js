/**
 * A camera that turns about a point, and the mouse, fingers and wheel that move it.
 */
import { lookAt, multiply, perspective } from "./matrix.js";

/** @typedef {import("./matrix.js").Vector} Vector */

const ANGLE = (22 * Math.PI) / 180; // height of the view: a portrait lens, which does not swell the nose
const SLIM = 0.78; // width by height of a view that a head just fills
const MOST_PITCH = 1.5;
const TURN_PER_PIXEL = 0.006;
const ZOOM_PER_PIXEL = 0.0012;

export class Camera {
  /**
   * @param {Vector} centre of what is looked at
   * @param {number} radius of it
   */
  constructor(centre, radius) {
    this.centre = centre;
    this.radius = radius;
    this.changed = () => {};
    this.yaw = 0;
    this.pitch = 0;
    this.distance = this.distanceOf(radius);
    /** @type {Vector} */
    this.target = [...centre];
  }

  /**
   * Looks at the whole from a side.
   * @param {number} yaw radians to the actor's left
   * @param {number} pitch radians from above
   */
  look(yaw, pitch) {
    this.yaw = yaw;
    this.pitch = pitch;
    this.distance = this.distanceOf(this.radius);
    this.target = [...this.centre];
    this.changed();
  }

  /**
   * Comes near to a point.
   * @param {Vector} target
   * @param {number} radius around it that stays in view
   */
  approach(target, radius) {
    this.target = [...target];
    this.distance = this.distanceOf(radius);
    this.changed();
  }

  /** How far away one stands to see so much. @param {number} radius */
  distanceOf(radius) {
    return radius / Math.tan(ANGLE / 2);
  }

  /** @returns {Vector} where the eye is */
  get eye() {
    const { yaw, pitch, distance, target } = this;
    return [
      target[0] + distance * Math.sin(yaw) * Math.cos(pitch),
      target[1] + distance * Math.sin(pitch),
      target[2] + distance * Math.cos(yaw) * Math.cos(pitch),
    ];
  }

  /** World to the unit cube. @param {number} aspect width by height */
  matrix(aspect) {
    // In a tall view the width decides how much is seen.
    const wider = Math.max(1, SLIM / Math.max(aspect, 0.2));
    const angle = 2 * Math.atan(wider * Math.tan(ANGLE / 2));
    const [near, far] = [this.distance * 0.05, this.distance + 6 * this.radius];
    return multiply(perspective(angle, aspect, near, far), lookAt(this.eye, this.target));
  }

  /** @param {number} dx pixels @param {number} dy pixels */
  turn(dx, dy) {
    this.yaw = this.yaw - dx * TURN_PER_PIXEL;
    this.pitch = Math.max(-MOST_PITCH, Math.min(MOST_PITCH, this.pitch + dy * TURN_PER_PIXEL));
    this.changed();
  }

  /** Moves along with the picture. @param {number} dx pixels @param {number} dy pixels @param {number} height of the view in pixels */
  pan(dx, dy, height) {
    const view = lookAt(this.eye, this.target);
    const perPixel = (2 * Math.tan(ANGLE / 2) * this.distance) / height;
    const move = (/** @type {number} */ axis) => perPixel * (dy * view[4 * axis + 1] - dx * view[4 * axis]);
    const { target } = this;
    this.target = [target[0] + move(0), target[1] + move(1), target[2] + move(2)];
    this.changed();
  }

  /** @param {number} factor of the distance */
  zoom(factor) {
    this.distance = Math.max(0.15 * this.radius, Math.min(20 * this.radius, this.distance * factor));
    this.changed();
  }

  /** Listens to an element. @param {HTMLElement} element */
  listen(element) {
    /** @type {Map<number, [number, number]>} where each finger is */
    const fingers = new Map();
    element.addEventListener("pointerdown", (event) => {
      element.setPointerCapture(event.pointerId);
      fingers.set(event.pointerId, [event.clientX, event.clientY]);
    });
    element.addEventListener("pointermove", (event) => {
      const before = fingers.get(event.pointerId);
      if (!before) return;
      const others = [...fingers].filter(([id]) => id !== event.pointerId).map(([, place]) => place);
      fingers.set(event.pointerId, [event.clientX, event.clientY]);
      const [dx, dy] = [event.clientX - before[0], event.clientY - before[1]];
      if (others.length) {
        const apart = (/** @type {[number, number]} */ place) => Math.hypot(place[0] - others[0][0], place[1] - others[0][1]);
        this.zoom(Math.max(apart(before), 1) / Math.max(apart([event.clientX, event.clientY]), 1));
        this.pan(dx / 2, dy / 2, element.clientHeight);
      } else if (event.shiftKey || event.buttons & 6) this.pan(dx, dy, element.clientHeight);
      else this.turn(dx, dy);
    });
    for (const name of /** @type {const} */ (["pointerup", "pointercancel"])) {
      element.addEventListener(name, (event) => fingers.delete(event.pointerId));
    }
    element.addEventListener("contextmenu", (event) => event.preventDefault());
    element.addEventListener("wheel", (event) => {
      event.preventDefault();
      const pixels = event.deltaMode === 1 ? 30 * event.deltaY : event.deltaY;
      this.zoom(Math.exp(Math.max(-300, Math.min(300, pixels)) * ZOOM_PER_PIXEL));
    }, { passive: false });
  }
}
