/**
 * An orbit camera, controlled by mouse, touch and wheel.
 */
import { lookAt, multiply, perspective } from "./matrix.js";

/** @typedef {import("./matrix.js").Vector} Vector */

const FIELD_OF_VIEW = (22 * Math.PI) / 180; // vertical; as a portrait lens, against distorted noses
const HEAD_ASPECT = 0.78; // width by height of a view that a head just fills
const MAX_PITCH = 1.5;
const RADIANS_PER_PIXEL = 0.006;
const ZOOM_PER_PIXEL = 0.0012;

export class Camera {
  /**
   * @param {Vector} centre of the scene
   * @param {number} radius of the scene
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
   * Frames the whole scene from a direction.
   * @param {number} yaw radians to the actor's left
   * @param {number} pitch radians from above
   */
  lookFrom(yaw, pitch) {
    this.yaw = yaw;
    this.pitch = pitch;
    this.distance = this.distanceOf(this.radius);
    this.target = [...this.centre];
    this.changed();
  }

  /**
   * Frames a point.
   * @param {Vector} target
   * @param {number} radius around it that is in view
   */
  focusOn(target, radius) {
    this.target = [...target];
    this.distance = this.distanceOf(radius);
    this.changed();
  }

  /** Distance at which a radius fills the view. @param {number} radius */
  distanceOf(radius) {
    return radius / Math.tan(FIELD_OF_VIEW / 2);
  }

  /** @returns {Vector} position of the camera */
  get eye() {
    const { yaw, pitch, distance, target } = this;
    return [
      target[0] + distance * Math.sin(yaw) * Math.cos(pitch),
      target[1] + distance * Math.sin(pitch),
      target[2] + distance * Math.cos(yaw) * Math.cos(pitch),
    ];
  }

  /** World to clip space. @param {number} aspect width by height */
  matrix(aspect) {
    // In a tall view the width limits what is visible.
    const wider = Math.max(1, HEAD_ASPECT / Math.max(aspect, 0.2));
    const angle = 2 * Math.atan(wider * Math.tan(FIELD_OF_VIEW / 2));
    const [near, far] = [this.distance * 0.05, this.distance + 6 * this.radius];
    return multiply(perspective(angle, aspect, near, far), lookAt(this.eye, this.target));
  }

  /** @param {number} dx pixels @param {number} dy pixels */
  orbit(dx, dy) {
    this.yaw = this.yaw - dx * RADIANS_PER_PIXEL;
    this.pitch = Math.max(-MAX_PITCH, Math.min(MAX_PITCH, this.pitch + dy * RADIANS_PER_PIXEL));
    this.changed();
  }

  /** Moves the target parallel to the view. @param {number} dx pixels @param {number} dy pixels @param {number} height of the view in pixels */
  pan(dx, dy, height) {
    const view = lookAt(this.eye, this.target);
    const perPixel = (2 * Math.tan(FIELD_OF_VIEW / 2) * this.distance) / height;
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

  /** Attaches mouse, touch and wheel handlers. @param {HTMLElement} element */
  attach(element) {
    /** @type {Map<number, [number, number]>} position of each pointer */
    const pointers = new Map();
    element.addEventListener("pointerdown", (event) => {
      element.setPointerCapture(event.pointerId);
      pointers.set(event.pointerId, [event.clientX, event.clientY]);
    });
    element.addEventListener("pointermove", (event) => {
      const before = pointers.get(event.pointerId);
      if (!before) return;
      const others = [...pointers].filter(([id]) => id !== event.pointerId).map(([, position]) => position);
      pointers.set(event.pointerId, [event.clientX, event.clientY]);
      const [dx, dy] = [event.clientX - before[0], event.clientY - before[1]];
      if (others.length) {
        const apart = (/** @type {[number, number]} */ position) => Math.hypot(position[0] - others[0][0], position[1] - others[0][1]);
        this.zoom(Math.max(apart(before), 1) / Math.max(apart([event.clientX, event.clientY]), 1));
        this.pan(dx / 2, dy / 2, element.clientHeight);
      } else if (event.shiftKey || event.buttons & 6) this.pan(dx, dy, element.clientHeight);
      else this.orbit(dx, dy);
    });
    for (const name of /** @type {const} */ (["pointerup", "pointercancel"])) {
      element.addEventListener(name, (event) => pointers.delete(event.pointerId));
    }
    element.addEventListener("contextmenu", (event) => event.preventDefault());
    element.addEventListener("wheel", (event) => {
      event.preventDefault();
      const pixels = event.deltaMode === 1 ? 30 * event.deltaY : event.deltaY;
      this.zoom(Math.exp(Math.max(-300, Math.min(300, pixels)) * ZOOM_PER_PIXEL));
    }, { passive: false });
  }
}
