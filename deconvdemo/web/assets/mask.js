// The mask: one byte a pixel, 0 or 1. Painted by hand rather than by canvas strokes, whose edges are grey and whose
// pixels some browsers falsify, against fingerprinting, when a page reads them back.

const LARGEST_MASK = 4_000_000; // pixels; a larger photo is painted at this size and the server enlarges the mask
const LONGEST_SIDE = 16_384; // no browser's canvas is smaller
const HISTORY_BYTES = 64_000_000;

class Mask {
  constructor(photo) {
    const pixels = photo.width * photo.height;
    const scale = Math.min(1, Math.sqrt(LARGEST_MASK / pixels), LONGEST_SIDE / Math.max(photo.width, photo.height));
    this.scale = scale; // mask pixels per photo pixel
    this.width = Math.max(1, Math.floor(photo.width * scale));
    this.height = Math.max(1, Math.floor(photo.height * scale));
    this.pixels = new Uint8Array(this.width * this.height);
    this.past = [];
    this.future = [];
  }

  get everywhere() {
    return { left: 0, top: 0, right: this.width, bottom: this.height };
  }

  /** The box of whole pixels around two points (photo coordinates), `margin` mask pixels wider. */
  box(a, b, margin = 0) {
    const k = this.scale;
    return {
      left: clamp(Math.floor(Math.min(a.x, b.x) * k - margin), 0, this.width),
      top: clamp(Math.floor(Math.min(a.y, b.y) * k - margin), 0, this.height),
      right: clamp(Math.ceil(Math.max(a.x, b.x) * k + margin), 0, this.width),
      bottom: clamp(Math.ceil(Math.max(a.y, b.y) * k + margin), 0, this.height),
    };
  }

  /** Sets every pixel whose centre is within half a `size` of the line from a to b; returns the box it may have changed. */
  stroke(a, b, size, ink) {
    const k = this.scale;
    const radius = Math.max((size * k) / 2, 0.71); // at least the pixel under the pointer, wherever it is in it
    const box = this.box(a, b, radius);
    const [ax, ay, dx, dy] = [a.x * k, a.y * k, (b.x - a.x) * k, (b.y - a.y) * k];
    const length = dx * dx + dy * dy || 1;
    for (let y = box.top; y < box.bottom; y++) {
      for (let x = box.left; x < box.right; x++) {
        const [px, py] = [x + 0.5 - ax, y + 0.5 - ay];
        const along = clamp((px * dx + py * dy) / length, 0, 1);
        const [ex, ey] = [px - along * dx, py - along * dy];
        if (ex * ex + ey * ey <= radius * radius) this.pixels[y * this.width + x] = ink;
      }
    }
    return box;
  }

  fill(box, ink) {
    for (let y = box.top; y < box.bottom; y++) this.pixels.fill(ink, y * this.width + box.left, y * this.width + box.right);
  }

  invert() {
    for (let i = 0; i < this.pixels.length; i++) this.pixels[i] ^= 1;
  }

  /** The painted share, from 0 to 1. */
  get share() {
    let painted = 0;
    for (let i = 0; i < this.pixels.length; i++) painted += this.pixels[i];
    return painted / this.pixels.length;
  }

  /** How far it is, in photo pixels, from the innermost marked pixel to one that is not; by steps of 5 and 7 fifths. */
  get depth() {
    const { width, height, pixels } = this;
    const away = new Uint32Array(pixels.length).fill(1e9);
    const pass = (forth) => {
      const [step, first] = forth ? [-1, 0] : [1, width - 1];
      for (let row = 0; row < height; row++) {
        const y = forth ? row : height - 1 - row;
        const nextTo = row ? step * width : 0; // in the row before, if there is one
        for (let column = 0, x = first; column < width; column++, x -= step) {
          const i = y * width + x;
          if (!pixels[i]) away[i] = 0;
          if (column) away[i] = Math.min(away[i], away[i + step] + 5);
          if (!nextTo) continue;
          away[i] = Math.min(away[i], away[i + nextTo] + 5);
          if (x) away[i] = Math.min(away[i], away[i + nextTo - 1] + 7);
          if (x < width - 1) away[i] = Math.min(away[i], away[i + nextTo + 1] + 7);
        }
      }
    };
    pass(true);
    pass(false);
    return away.reduce((most, one) => Math.max(most, one), 0) / 5 / this.scale;
  }

  /** Remembers what `box` held in `before`, a copy of all pixels from before the change. */
  remember(before, box) {
    this.past.push({ box, pixels: this.cut(before, box) });
    this.future = [];
    const bytes = () => this.past.reduce((sum, step) => sum + step.pixels.length, 0);
    while (this.past.length > 1 && bytes() > HISTORY_BYTES) this.past.shift();
  }

  /** Undo is `travel(past, future)` and redo the reverse: both swap a step's pixels with the mask's. */
  travel(from, to) {
    const step = from.pop();
    if (!step) return;
    to.push({ box: step.box, pixels: this.cut(this.pixels, step.box) });
    const width = step.box.right - step.box.left;
    for (let y = step.box.top, row = 0; y < step.box.bottom; y++, row++)
      this.pixels.set(step.pixels.subarray(row * width, (row + 1) * width), y * this.width + step.box.left);
  }

  cut(pixels, { left, top, right, bottom }) {
    const cut = new Uint8Array((right - left) * (bottom - top));
    for (let y = top; y < bottom; y++)
      cut.set(pixels.subarray(y * this.width + left, y * this.width + right), (y - top) * (right - left));
    return cut;
  }

  /** For the server: eight pixels a byte, row after row without gaps, in base64. */
  pack() {
    const bytes = new Uint8Array(Math.ceil(this.pixels.length / 8));
    for (let i = 0; i < this.pixels.length; i++) bytes[i >> 3] |= this.pixels[i] << (7 - (i & 7));
    let text = "";
    for (let i = 0; i < bytes.length; i += 0x8000) text += String.fromCharCode(...bytes.subarray(i, i + 0x8000));
    return { width: this.width, height: this.height, bits: btoa(text) };
  }

  /** Takes what `pack` made, here or on the server; another size than ours is enlarged or shrunk to the nearest pixel. */
  unpack({ width, height, bits }) {
    const text = atob(bits);
    for (let y = 0; y < this.height; y++) {
      const row = Math.floor(((y + 0.5) * height) / this.height) * width;
      for (let x = 0; x < this.width; x++) {
        const i = row + Math.floor(((x + 0.5) * width) / this.width);
        this.pixels[y * this.width + x] = (text.charCodeAt(i >> 3) >> (7 - (i & 7))) & 1;
      }
    }
  }

  /** Draws `box` on a canvas of this mask's size, holes opaque red. */
  draw(context, { left, top, right, bottom }) {
    if (right <= left || bottom <= top) return;
    const image = new ImageData(right - left, bottom - top);
    const colours = new Uint32Array(image.data.buffer);
    const red = new Uint32Array(new Uint8ClampedArray([255, 38, 84, 255]).buffer)[0];
    for (let y = top, i = 0; y < bottom; y++)
      for (let x = left; x < right; x++, i++) if (this.pixels[y * this.width + x]) colours[i] = red;
    context.putImageData(image, left, top);
  }
}
