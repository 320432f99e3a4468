// What the viewer and the painter share: which part of a photo a pane shows, and the gestures that change it.

const LARGEST_FIT = 4; // a thumbnail filling the page would show nothing but its pixels
const LARGEST_ZOOM = 32; // screen pixels per photo pixel
const clamp = (value, low, high) => Math.max(low, Math.min(high, value));

class View {
  photo = { width: 1, height: 1 };
  pane = { width: 0, height: 0 };
  zoom = 1; // CSS pixels per photo pixel
  x = 0.5; // the photo's point in the middle of the pane
  y = 0.5;
  fitted = true;

  get fitZoom() {
    return Math.min(this.pane.width / this.photo.width, this.pane.height / this.photo.height, LARGEST_FIT);
  }

  /** Screen pixels per photo pixel: 1 is a pixel-exact view, also on a phone with three of them per CSS pixel. */
  get scale() {
    return this.zoom * devicePixelRatio;
  }

  get pannable() {
    const { photo, pane, zoom } = this;
    return photo.width * zoom > pane.width + 1 || photo.height * zoom > pane.height + 1;
  }

  /** A photo of the same size keeps the view, so that two strengths can be compared in place. */
  show(photo) {
    this.fitted ||= photo.width !== this.photo.width || photo.height !== this.photo.height;
    this.photo = photo;
    this.settle();
  }

  resize(pane) {
    this.pane = pane;
    this.settle();
  }

  fit() {
    this.fitted = true;
    this.settle();
  }

  /** Zooms so that the photo's point under `at`, in the pane's CSS pixels, stays under it. */
  zoomTo(zoom, at = { x: this.pane.width / 2, y: this.pane.height / 2 }) {
    const fixed = this.toPhoto(at);
    const smallest = Math.min(this.fitZoom, 1 / devicePixelRatio);
    this.zoom = clamp(zoom, smallest, LARGEST_ZOOM / devicePixelRatio);
    this.fitted = false;
    this.x = fixed.x - (at.x - this.pane.width / 2) / this.zoom;
    this.y = fixed.y - (at.y - this.pane.height / 2) / this.zoom;
    this.settle();
  }

  panBy(dx, dy) {
    this.x -= dx / this.zoom;
    this.y -= dy / this.zoom;
    this.settle();
  }

  settle() {
    if (this.fitted) this.zoom = this.fitZoom || 1;
    const within = (centre, photo, pane) => {
      const half = pane / (2 * this.zoom);
      return this.fitted || photo <= 2 * half ? photo / 2 : clamp(centre, half, photo - half);
    };
    this.x = within(this.x, this.photo.width, this.pane.width);
    this.y = within(this.y, this.photo.height, this.pane.height);
  }

  toPhoto(at) {
    return {
      x: this.x + (at.x - this.pane.width / 2) / this.zoom,
      y: this.y + (at.y - this.pane.height / 2) / this.zoom,
    };
  }

  toPane(point) {
    return {
      x: this.pane.width / 2 + (point.x - this.x) * this.zoom,
      y: this.pane.height / 2 + (point.y - this.y) * this.zoom,
    };
  }

  /** Moves `plane`, an element of the photo's size in CSS pixels, to where this view shows it in `pane`. */
  place(plane, pane) {
    const corner = this.toPane({ x: 0, y: 0 });
    const box = pane.getBoundingClientRect();
    // whole screen pixels: half of one would blur the photo at 1:1
    const snap = (offset, origin) => Math.round((origin + offset) * devicePixelRatio) / devicePixelRatio - origin;
    plane.style.width = `${this.photo.width}px`;
    plane.style.height = `${this.photo.height}px`;
    plane.style.transform =
      `translate(${snap(corner.x, box.left)}px, ${snap(corner.y, box.top)}px) scale(${this.zoom})`;
  }
}

/** `find("name")` is the element marked data-part="name", `find.all("name")` all of them. */
function partsOf(element) {
  const find = (name) => element.querySelector(`[data-part="${name}"]`);
  find.all = (name) => [...element.querySelectorAll(`[data-part="${name}"]`)];
  return find;
}

function photoHeight(width, photo, rows = 1) {
  const tallest = Math.max(300, 0.68 * innerHeight);
  return Math.round(clamp((rows * width * photo.height) / photo.width, 200, tallest));
}

/**
 * Calls `changed()` once the stage has a size and whenever its width changes. A stage in a hidden tab has none.
 * Only the width: our own answer to it changes the height.
 */
function onWidth(stage, changed) {
  let width = 0;
  new ResizeObserver(() => {
    if (!stage.clientWidth || stage.clientWidth === width) return;
    width = stage.clientWidth;
    changed();
  }).observe(stage);
}

/**
 * One pointer drags (`start`, `move`, `end(cancelled)`), two pinch (`pinch(factor, middle, dx, dy)`), none hovers.
 * All points are in the stage's CSS pixels. Listeners sit on the stage alone and go with it.
 */
function followPointers(stage, { start, move, end, pinch, hover = () => {} }) {
  const pointers = new Map();
  let spread = null;

  const pointOf = (event) => {
    const box = stage.getBoundingClientRect();
    return { x: event.clientX - box.left, y: event.clientY - box.top };
  };
  const measure = () => {
    const [a, b] = [...pointers.values()];
    return { distance: Math.hypot(a.x - b.x, a.y - b.y) || 1, x: (a.x + b.x) / 2, y: (a.y + b.y) / 2 };
  };

  stage.addEventListener("pointerdown", (event) => {
    stage.setPointerCapture(event.pointerId);
    pointers.set(event.pointerId, pointOf(event));
    if (pointers.size === 1) start(pointOf(event), event);
    if (pointers.size !== 2) return;
    end(true); // the first finger did not mean to draw
    spread = measure();
  });
  stage.addEventListener("pointermove", (event) => {
    hover(pointOf(event), event);
    if (!pointers.has(event.pointerId)) return;
    pointers.set(event.pointerId, pointOf(event));
    if (!spread) return move(pointOf(event), event);
    if (pointers.size !== 2) return; // the last finger of a pinch neither drags nor draws
    const now = measure();
    pinch(now.distance / spread.distance, now, now.x - spread.x, now.y - spread.y);
    spread = now;
  });
  const release = (event) => {
    if (!pointers.delete(event.pointerId)) return;
    if (!spread) end(event.type === "pointercancel");
    if (!pointers.size) spread = null;
  };
  stage.addEventListener("pointerup", release);
  stage.addEventListener("pointercancel", release);
}

/** Calls `zoomed(factor, at)` for the wheel where `wanted(event)`; elsewhere the wheel goes on scrolling the page. */
function followWheel(stage, wanted, zoomed) {
  const zoom = (event) => {
    if (!wanted(event)) return;
    event.preventDefault();
    const box = stage.getBoundingClientRect();
    // a mouse sends a hundred a notch, a trackpad's pinch a few: bounded, both feel alike
    const notch = clamp(event.deltaY * (event.deltaMode ? 16 : 1), -30, 30);
    zoomed(Math.exp(-notch / 100), { x: event.clientX - box.left, y: event.clientY - box.top });
  };
  stage.addEventListener("wheel", zoom, { passive: false });
}
