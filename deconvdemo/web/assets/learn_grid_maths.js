// Convolution and its transpose on small grids, as arrays of rows; no library, so that each step can be read.

const convolvedSide = (side, kernel, stride, padding) => Math.floor((side + 2 * padding - kernel) / stride) + 1;
const transposedSide = (side, kernel, stride, padding) => (side - 1) * stride - 2 * padding + kernel;
const gridOf = (rows, columns, value) =>
  Array.from({ length: Math.max(0, rows) }, (_, row) => Array.from({ length: Math.max(0, columns) }, (_, column) => value(row, column)));

/** Each output cell is the sum of its window's products with the kernel; outside the input there are zeros. */
function convolved(input, kernel, stride, padding) {
  const side = convolvedSide(input.length, kernel.length, stride, padding);
  return gridOf(side, side, (row, column) => {
    let sum = 0;
    kernel.forEach((taps, i) => taps.forEach((tap, j) => (sum += tap * (input[row * stride + i - padding]?.[column * stride + j - padding] ?? 0))));
    return sum;
  });
}

/** Each input cell paints itself times the kernel onto the output; `padding` cells of every border are cut off. */
function transposed(input, kernel, stride, padding, steps = Infinity) {
  const side = transposedSide(input.length, kernel.length, stride, padding);
  const output = gridOf(side, side, () => 0);
  input.flat().slice(0, steps).forEach((value, at) => {
    const top = Math.floor(at / input.length) * stride - padding;
    const left = (at % input.length) * stride - padding;
    kernel.forEach((taps, i) => taps.forEach((tap, j) => {
      if (output[top + i]?.[left + j] !== undefined) output[top + i][left + j] += value * tap;
    }));
  });
  return output;
}

/** What is farther than `border` cells from every side, one row after another. */
const insideOf = (grid, border) => grid.slice(border, grid.length - border).flatMap((row) => row.slice(border, row.length - border));

/** (highest − lowest) / mean of what is farther than a kernel from the border: 0 where there is no checkerboard. */
function unevenness(grid, border) {
  const inside = insideOf(grid, border);
  const mean = inside.reduce((sum, value) => sum + value, 0) / inside.length;
  return (Math.max(...inside) - Math.min(...inside)) / mean;
}
