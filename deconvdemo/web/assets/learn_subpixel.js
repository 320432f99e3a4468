// One enlargement computed twice: by a transposed convolution, and by small convolutions whose pixels are shuffled.

const SUBPIXEL_INPUT = [[3, 1, 2], [0, 4, 1], [2, 1, 5]];
const COLOURS = [174, 32, 262, 96, 340, 210, 55, 290, 0]; // hues

/** The small pictures, one for each place (a, b) within a cell of `stride`: ordinary convolutions of every reach. */
function smallPictures(input, kernel, stride) {
  const taps = kernel.length / stride;
  const side = input.length + taps - 1;
  return Array.from({ length: stride * stride }, (_, place) => {
    const [a, b] = [Math.floor(place / stride), place % stride];
    // mirrored, as a convolution that is written as a correlation needs it
    const part = gridOf(taps, taps, (u, v) => kernel[stride * (taps - 1 - u) + a][stride * (taps - 1 - v) + b]);
    return { part, picture: convolved(input, part, 1, taps - 1), side };
  });
}

/** Pixel (i, j) of picture (a, b) becomes pixel (s·i + a, s·j + b) of the large one. */
const shuffled = (pictures, stride) =>
  gridOf(pictures[0].side * stride, pictures[0].side * stride, (row, column) =>
    pictures[(row % stride) * stride + (column % stride)].picture[Math.floor(row / stride)][Math.floor(column / stride)]);

function startSubpixel() {
  const draw = onceAFrame(drawAll);
  const stride = slider("subpixel-stride", changed, (s) => `${s}×`);
  const taps = slider("subpixel-taps", changed, (t) => `${t * $("subpixel-stride").value}`);
  const cell = slider("subpixel-cell", draw, (number) => `${number} / ${$("subpixel-cell").max}`);
  const sideOf = () => (SUBPIXEL_INPUT.length + taps.value - 1) * stride.value;

  function changed() {
    taps.show(); // its words depend on the stride
    cell.bound(1, sideOf() ** 2);
    draw();
  }

  function drawAll() {
    const s = stride.value;
    const size = taps.value * s;
    const kernel = gridOf(size, size, (row, column) => ((row * 5 + column * 3) % 7) - 2);
    const whole = transposed(SUBPIXEL_INPUT, kernel, s, 0);
    const pictures = smallPictures(SUBPIXEL_INPUT, kernel, s);
    const again = shuffled(pictures, s);
    const side = sideOf();
    const [row, column] = [Math.floor((cell.value - 1) / side), (cell.value - 1) % side];
    const place = (row % s) * s + (column % s);
    const at = [Math.floor(row / s), Math.floor(column / s)];
    const colour = (i, j) => `var(--tint-${(i % s) * s + (j % s)})`;
    const terms = [];
    const taking = new Set();
    for (let u = 0; u < taps.value; u++) {
      for (let v = 0; v < taps.value; v++) {
        const value = SUBPIXEL_INPUT[at[0] - u]?.[at[1] - v];
        if (value === undefined) continue;
        const tap = kernel[s * u + (row % s)][s * v + (column % s)];
        terms.push(`${value}·${tap < 0 ? `(${written(tap)})` : tap}`);
        taking.add(`k${s * u + (row % s)},${s * v + (column % s)}`).add(`x${at[0] - u},${at[1] - v}`);
      }
    }
    const grid = (id, values, fill, hot, pressed) => {
      drawCells($(id), values.length, values.length, (i, j) => ({ text: written(values[i][j]), fill: fill?.(i, j), kind: hot(i, j) ? "hot framed" : "" }), pressed);
      const name = $(id).parentElement.querySelector("figcaption").textContent;
      $(id).setAttribute("aria-label", say("subpixel.grid_is", { name, rows: values.map((one) => one.map((value) => written(value)).join(" ")).join("; ") }));
    };
    const here = (i, j) => i === row && j === column;
    const go = (i, j) => ((cell.value = i * side + j + 1), draw());
    grid("subpixel-input", SUBPIXEL_INPUT, null, (i, j) => taking.has(`x${i},${j}`));
    grid("subpixel-kernel", kernel, colour, (i, j) => taking.has(`k${i},${j}`));
    grid("subpixel-one", whole, colour, here, go);
    grid("subpixel-two", again, colour, here, go);
    $("subpixel-small").style.setProperty("--columns", s);
    $("subpixel-small").replaceChildren(
      ...pictures.map(({ picture }, number) => {
        const svg = drawn("svg", { class: "cells small", role: "img", "aria-label": picture.map((one) => one.map((value) => written(value)).join(" ")).join("; ") });
        drawCells(svg, picture.length, picture.length, (i, j) => ({
          text: written(picture[i][j]), fill: `var(--tint-${number})`, kind: number === place && i === at[0] && j === at[1] ? "hot framed" : "",
        }));
        return svg;
      }),
    );
    $("subpixel-words").textContent = say("subpixel.sum", { row: row + 1, column: column + 1, sum: terms.join(" + "), total: written(whole[row][column]) });
    const difference = Math.max(...whole.flatMap((one, i) => one.map((value, j) => Math.abs(value - again[i][j]))));
    $("subpixel-same").textContent = say("subpixel.same", { count: side * side, difference });
  }

  COLOURS.forEach((hue, number) => $("subpixel").style.setProperty(`--tint-${number}`, `light-dark(hsl(${hue} 70% 88%), hsl(${hue} 45% 24%))`));
  changed();
}
