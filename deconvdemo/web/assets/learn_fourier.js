// A photo is blurred, gets noise, and is brought back in three ways; each picture with the waves that it is made of.

const WAYS = ["sharp", "observed", "adjoint", "inverse", "wiener"];
const BLURS = {
  gaussian: (x, y, width) => Math.exp(-(x * x + y * y) / (2 * width * width)),
  disc: (x, y, width) => Math.min(1, Math.max(0, width + 0.5 - Math.hypot(x, y))), // its rim covers part of a pixel
  motion: (x, y, width) => (y === 0 ? Math.min(1, Math.max(0, width + 0.5 - Math.abs(x))) : 0),
};

/** A blur's kernel with its middle at the origin, which a transform takes for the picture's corner; its sum is 1. */
function blurKernel(kind, width, side) {
  const around = (k) => (k < side / 2 ? k : k - side);
  const values = Float64Array.from({ length: side * side }, (_, k) => BLURS[kind](around(k % side), around(Math.floor(k / side)), width));
  const sum = values.reduce((total, value) => total + value, 0);
  return values.map((value) => value / sum);
}

/** The pictures and spectra of all ways; `x`, `h` and `n` are spectra, `n` of noise of standard deviation 1. */
function waysBack(x, h, n, sigma, constant, side) {
  const y = observedOf(h, x, n, sigma);
  const spectra = { observed: y, adjoint: adjointOf(h, y), inverse: wienerOf(h, y, 0), wiener: wienerOf(h, y, constant) };
  const [observed, adjoint] = picturesOf(spectra.observed, spectra.adjoint, side);
  const [inverse, wiener] = picturesOf(spectra.inverse, spectra.wiener, side);
  return { spectra, pictures: { observed, adjoint, inverse, wiener } };
}

/** log10 of the constant with the least squared error, by Parseval's law on spectra alone. */
function bestConstant(x, h, n, sigma) {
  const y = observedOf(h, x, n, sigma);
  let [best, least] = [0, Infinity];
  for (let power = -6; power <= 0.001; power += 0.1) {
    const found = wienerOf(h, y, 10 ** power);
    let error = 0;
    for (let k = 0; k < found.re.length; k++) error += (found.re[k] - x.re[k]) ** 2 + (found.im[k] - x.im[k]) ** 2;
    if (error < least) [best, least] = [power, error];
  }
  return best;
}

function startFourier() {
  const side = PHOTO_SIDE;
  const state = { x: null, n: null, h: null };
  const draw = onceAFrame(drawAll);
  const width = slider("fourier-width", reblur, (value) => say("fourier.pixels", { value: written(value) }));
  const noise = slider("fourier-noise", draw, (value) => say("fourier.levels", { value: written(value) }));
  const constant = slider("fourier-constant", draw, (power) => String(+(10 ** power).toPrecision(2)));
  const columns = Object.fromEntries(WAYS.map((name) => {
    const [photo, waves, words] = [make("canvas"), make("canvas"), make("span", { className: "decibels" })];
    for (const canvas of [photo, waves]) canvas.setAttribute("role", "img");
    $("fourier-pictures").append(make("figure", {}, make("figcaption", { textContent: say(`fourier.${name}`) }), photo, words, waves));
    return [name, { photo, waves, words }];
  }));

  function reblur() {
    state.h = null;
    draw();
  }

  function drawAll() {
    if (!PHOTO.grey) return;
    state.x ??= spectrumOf(PHOTO.grey, side);
    state.n ??= spectrumOf(noiseOf(side * side), side);
    state.h ??= spectrumOf(blurKernel($("fourier-kind").value, width.value, side), side);
    const { spectra, pictures } = waysBack(state.x, state.h, state.n, noise.value, 10 ** constant.value, side);
    spectra.sharp = state.x;
    pictures.sharp = PHOTO.grey;
    for (const name of WAYS) {
      const { photo, waves, words } = columns[name];
      const decibels = psnrOf(pictures[name], PHOTO.grey);
      words.textContent = name === "sharp" ? say("fourier.itself") : decibels > 100 ? say("fourier.perfect") : say("fourier.decibels", { value: decibels.toFixed(1).replace("-", "−") });
      paintGrey(photo, pictures[name], side);
      paintGrey(waves, loudness(spectra[name]), side);
      photo.setAttribute("aria-label", say("fourier.photo_is", { name: say(`fourier.${name}`), words: words.textContent }));
      waves.setAttribute("aria-label", say("fourier.spectrum_is", { name: say(`fourier.${name}`) }));
    }
    drawCurves();
    drawLaw(pictures);
  }

  /** Brightness for the size of each wave, on a logarithmic scale, slow waves in the middle. */
  function loudness(spectrum) {
    const found = new Float64Array(side * side);
    for (let k = 0; k < found.length; k++) {
      const power = spectrum.re[k] ** 2 + spectrum.im[k] ** 2;
      const [row, column] = [(Math.floor(k / side) + side / 2) % side, ((k % side) + side / 2) % side];
      found[row * side + column] = 64 * (Math.log10(power / side ** 4 + 1e-30) / 2 + 3);
    }
    return found;
  }

  function drawCurves() {
    const size = (k) => Math.hypot(state.h.re[k], state.h.im[k]);
    const h = Array.from({ length: side / 2 }, (_, k) => size(k));
    const lines = { h, inverse: h.map((value) => 1 / value), wiener: h.map((value) => value / (value * value + 10 ** constant.value)) };
    const x = (k) => 64 + (k / (side / 2 - 1)) * 566;
    const y = (value) => 200 - ((Math.log10(Math.min(1e4, Math.max(1e-4, value))) + 4) / 8) * 186;
    const parts = [];
    for (const power of [-4, -2, 0, 2, 4]) {
      parts.push(drawn("line", { class: "rule", x1: 64, x2: 630, y1: y(10 ** power), y2: y(10 ** power) }));
      parts.push(drawn("text", { x: 58, y: y(10 ** power) }, power < 0 ? `1/${10 ** -power}` : String(10 ** power)));
    }
    for (const [name, values] of Object.entries(lines)) {
      parts.push(drawn("polyline", { class: `line-${name}`, points: values.map((value, k) => `${x(k).toFixed(1)},${y(value).toFixed(1)}`).join(" ") }));
    }
    $("fourier-curves").replaceChildren(...parts);
    const last = (name) => String(+lines[name][side / 2 - 1].toPrecision(2));
    $("fourier-curves").setAttribute("aria-label", say("fourier.curves_is", { h: last("h"), inverse: last("inverse"), wiener: last("wiener") }));
  }

  /** ⟨Ax, y⟩ and ⟨x, Aᵀy⟩, of pictures: they are one number. */
  function drawLaw({ observed, adjoint, sharp }) {
    const [ax] = picturesOf(product(state.h, state.x), state.h, side);
    const inner = (one, other) => one.reduce((sum, value, k) => sum + value * other[k], 0) / one.length;
    const shown = (value) => value.toFixed(3);
    $("fourier-law").textContent = say("fourier.law", { left: shown(inner(ax, observed)), right: shown(inner(sharp, adjoint)) });
  }

  $("fourier-kind").onchange = reblur;
  $("fourier-best").onclick = () => {
    if (!state.x) return;
    constant.value = bestConstant(state.x, state.h, state.n, noise.value);
    draw();
  };
  onPhoto(() => {
    state.x = null;
    draw();
  });
}
