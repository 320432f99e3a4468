// A flat field and a photo through transposed convolutions with equal taps: even where the stride divides the kernel.

const FLAT = 9; // the flat field's side
const SHOWN_CELLS = 8; // a side

function startCheckerboard() {
  const draw = onceAFrame(() => drawColumn(yours, kernel.value, stride.value));
  const kernel = slider("checkerboard-kernel", draw, (k) => `${k} × ${k}`);
  const stride = slider("checkerboard-stride", draw);
  const columns = ["yours", "odd", "even"].map((name) => {
    const column = {
      title: make("h3", { textContent: name === "yours" ? "" : say(`checkerboard.${name}`) }),
      cells: drawn("svg", { class: "cells field", role: "img" }),
      photo: make("canvas", { className: "pixels" }),
      words: make("p", { className: "small" }),
    };
    if (name === "yours") column.words.ariaLive = "polite";
    column.photo.setAttribute("role", "img");
    $("checkerboard-columns").append(make("div", { className: "column" }, column.title, column.cells, column.words, column.photo));
    return column;
  });
  const [yours, odd, even] = columns;

  function drawColumn(column, k, s) {
    const counts = transposed(gridOf(FLAT, FLAT, () => 1), gridOf(k, k, () => 1), s, 0);
    const border = Math.min(k, Math.floor((counts.length - s) / 2)); // the border has fewer strokes by itself
    const inside = insideOf(counts, border);
    const [least, most] = [Math.min(...inside), Math.max(...inside)];
    const shown = Math.min(SHOWN_CELLS, counts.length); // of the middle, where the border says nothing
    const from = Math.floor((counts.length - shown) / 2);
    drawCells(column.cells, shown, shown, (row, column) => {
      const count = counts[row + from][column + from];
      const share = count / Math.max(1, most);
      return { text: String(count), kind: share > 0.35 ? "bright" : "dark", fill: `hsl(174 35% ${Math.round(12 + 76 * share)}%)` };
    });
    if (column === yours) column.title.textContent = say("checkerboard.yours", { k, s });
    column.cells.setAttribute("aria-label", say("checkerboard.flat_is", { k, s, least, most }));
    const words = least === 0 ? "gaps" : least === most ? "divides" : "leaves";
    column.words.textContent = say(`checkerboard.${words}`, { k, s, least, most, rest: k % s, value: written(100 * unevenness(counts, border), 0) });
    drawPhoto(column.photo, k, s);
  }

  /** The photo, shrunk, and enlarged again by equal taps that keep its mean. */
  function drawPhoto(canvas, k, s) {
    canvas.hidden = !PHOTO.grey;
    if (!PHOTO.grey) return;
    const small = shrunk(PHOTO.grey, PHOTO_SIDE, 4).slice(0, (PHOTO_SIDE / 4) ** 2);
    const side = PHOTO_SIDE / 4;
    const grid = gridOf(side, side, (row, column) => small[row * side + column]);
    const large = transposed(grid, gridOf(k, k, () => (s / k) ** 2), s, 0).flat();
    const width = transposedSide(side, k, s, 0);
    paintGrey(canvas, large, width);
    canvas.setAttribute("aria-label", say("checkerboard.photo_is", { k, s }));
  }

  function drawAll() {
    drawColumn(yours, kernel.value, stride.value);
    drawColumn(odd, 3, 2);
    drawColumn(even, 4, 2);
  }
  drawAll();
  onPhoto(drawAll);
}
