// The discrete Fourier transform of square pictures whose side is a power of two (Cooley and Tukey 1965), and Wiener's filter.

const TWIDDLES = new Map();

function twiddles(side) {
  if (!TWIDDLES.has(side)) {
    const cos = Float64Array.from({ length: side / 2 }, (_, k) => Math.cos((2 * Math.PI * k) / side));
    const sin = Float64Array.from({ length: side / 2 }, (_, k) => Math.sin((2 * Math.PI * k) / side));
    const bits = Math.log2(side);
    const swapped = Uint32Array.from({ length: side }, (_, k) => {
      let other = 0;
      for (let bit = 0; bit < bits; bit++) other |= ((k >> bit) & 1) << (bits - 1 - bit);
      return other;
    });
    TWIDDLES.set(side, { cos, sin, swapped });
  }
  return TWIDDLES.get(side);
}

/** One row, in place: `re` and `im` from `start` on. `sign` is −1 forwards and 1 backwards. */
function fftRow(re, im, start, side, sign) {
  const { cos, sin, swapped } = twiddles(side);
  for (let k = 0; k < side; k++) {
    const other = swapped[k];
    if (other <= k) continue;
    [re[start + k], re[start + other]] = [re[start + other], re[start + k]];
    [im[start + k], im[start + other]] = [im[start + other], im[start + k]];
  }
  for (let size = 2; size <= side; size *= 2) {
    const [half, step] = [size / 2, side / size];
    for (let block = start; block < start + side; block += size) {
      for (let k = 0; k < half; k++) {
        const [c, s] = [cos[k * step], sign * sin[k * step]];
        const [low, high] = [block + k, block + k + half];
        const real = re[high] * c - im[high] * s;
        const imaginary = re[high] * s + im[high] * c;
        re[high] = re[low] - real;
        im[high] = im[low] - imaginary;
        re[low] += real;
        im[low] += imaginary;
      }
    }
  }
}

function flipped(values, side) {
  for (let row = 0; row < side; row++) {
    for (let column = row + 1; column < side; column++) {
      const [one, other] = [row * side + column, column * side + row];
      const value = values[one];
      values[one] = values[other];
      values[other] = value;
    }
  }
}

/** Of a whole picture, in place; backwards it divides by the number of pixels. */
function fft2(re, im, side, backwards = false) {
  const sign = backwards ? 1 : -1;
  for (let pass = 0; pass < 2; pass++) {
    for (let row = 0; row < side; row++) fftRow(re, im, row * side, side, sign);
    flipped(re, side);
    flipped(im, side);
  }
  if (!backwards) return;
  for (let k = 0; k < re.length; k++) {
    re[k] /= re.length;
    im[k] /= re.length;
  }
}

function spectrumOf(values, side) {
  const spectrum = { re: Float64Array.from(values), im: new Float64Array(values.length) };
  fft2(spectrum.re, spectrum.im, side);
  return spectrum;
}

/** Two real pictures from their spectra, by one transform: the second rides as the imaginary part. */
function picturesOf(one, other, side) {
  const re = one.re.map((value, k) => value - other.im[k]);
  const im = one.im.map((value, k) => value + other.re[k]);
  fft2(re, im, side, true);
  return [re, im];
}

/** H·X, or conj(H)·X. */
function product(h, x, conjugate = false) {
  const { length } = x.re;
  const [re, im] = [new Float64Array(length), new Float64Array(length)];
  const sign = conjugate ? -1 : 1;
  for (let k = 0; k < length; k++) {
    const imaginary = sign * h.im[k];
    re[k] = h.re[k] * x.re[k] - imaginary * x.im[k];
    im[k] = h.re[k] * x.im[k] + imaginary * x.re[k];
  }
  return { re, im };
}

/** The transposed convolution. */
const adjointOf = (h, y) => product(h, y, true);

/** conj(H)·Y / (|H|² + K); K = 0 is the inverse, Y / H. */
function wienerOf(h, y, constant) {
  const found = adjointOf(h, y);
  for (let k = 0; k < found.re.length; k++) {
    const power = h.re[k] ** 2 + h.im[k] ** 2 + constant || Number.MIN_VALUE;
    found.re[k] /= power;
    found.im[k] /= power;
  }
  return found;
}

/** H·X + sigma·N: what is observed. */
function observedOf(h, x, n, sigma) {
  const y = product(h, x);
  for (let k = 0; k < y.re.length; k++) {
    y.re[k] += sigma * n.re[k];
    y.im[k] += sigma * n.im[k];
  }
  return y;
}

/** In decibels, of pictures of 255 levels that are cut to them as a screen does. */
function psnrOf(picture, truth) {
  let sum = 0;
  for (let k = 0; k < truth.length; k++) sum += (Math.min(255, Math.max(0, picture[k])) - truth[k]) ** 2;
  return 10 * Math.log10((255 * 255 * truth.length) / sum);
}

/** Numbers of a standard deviation of 1, the same ones each time (mulberry32, and Box and Muller 1958). */
function noiseOf(length, seed = 1) {
  let state = seed;
  const uniform = () => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 4294967296;
  };
  return Float64Array.from({ length }, () => Math.sqrt(-2 * Math.log(1 - uniform())) * Math.cos(2 * Math.PI * uniform()));
}
