// One step of a convolution, or of a transposed one, at a time, on a grid that one can count with the finger.

const GRID_INPUT = [[2, 1, 0, 3, 1], [0, 3, 1, 2, 0], [1, 2, 4, 0, 1], [3, 0, 1, 1, 2], [1, 1, 2, 0, 3]];
const GRID_KERNELS = {
  counting: (row, column, side) => row * side + column + 1,
  ones: () => 1,
  tent: (row, column, side) => Math.min(row + 1, side - row) * Math.min(column + 1, side - column),
  edge: (_, column, side) => (side === 1 ? 1 : Math.sign(column - (side - 1) / 2)),
};

function startGrid() {
  let kernel = [];
  let timer = 0;
  const draw = onceAFrame(drawAll);
  const side = slider("grid-side", changed);
  const width = slider("grid-kernel", () => (makeKernel(), changed()), (k) => `${k} × ${k}`);
  const stride = slider("grid-stride", changed);
  const padding = slider("grid-padding", changed);
  const step = slider("grid-step", draw, (number) => `${number} / ${$("grid-step").max}`);
  const isTransposed = () => document.querySelector("[name=grid-kind]:checked").value === "transposed";
  const inputOf = () => gridOf(side.value, side.value, (row, column) => GRID_INPUT[row][column]);
  const told = (grid) => grid.map((row) => row.map((value) => written(value)).join(" ")).join("; ");

  function makeKernel() {
    const preset = GRID_KERNELS[$("grid-preset").value];
    const old = kernel;
    kernel = gridOf(width.value, width.value, (row, column) => (preset ? preset(row, column, width.value) : (old[row]?.[column] ?? 0)));
    $("grid-cells").style.setProperty("--columns", width.value);
    $("grid-cells").replaceChildren(
      ...kernel.flatMap((taps, row) => taps.map((tap, column) => {
        const field = make("input", { type: "number", value: tap, step: 1, min: -99, max: 99, inputMode: "numeric", ariaLabel: say("grid.cell", { row: row + 1, column: column + 1 }) });
        field.oninput = () => {
          kernel[row][column] = Math.max(-99, Math.min(99, +field.value || 0));
          $("grid-preset").value = "custom";
          draw();
        };
        return field;
      })),
    );
    padding.bound(0, Math.max(0, width.value - 1));
  }

  /** Another size or another operation: steps begin anew. */
  function changed() {
    const [n, k, s, p] = [side.value, width.value, stride.value, padding.value];
    const outputSide = isTransposed() ? transposedSide(n, k, s, p) : convolvedSide(n, k, s, p);
    step.bound(1, Math.max(1, isTransposed() ? n * n : outputSide * outputSide));
    step.value = 1;
    draw();
  }

  function drawAll() {
    const [n, k, s, p] = [side.value, width.value, stride.value, padding.value];
    const backwards = isTransposed();
    $("grid-size-convolution").toggleAttribute("hidden", backwards); // MathML has no `hidden` of its own
    $("grid-size-transposed").toggleAttribute("hidden", !backwards);
    const outputSide = backwards ? transposedSide(n, k, s, p) : convolvedSide(n, k, s, p);
    const values = backwards ? `(${n} − 1) · ${s} − 2 · ${p} + ${k}` : `⌊(${n} + 2 · ${p} − ${k}) / ${s}⌋ + 1`;
    $("grid-size").textContent = ` = ${values} = ${written(outputSide)}`;
    if (outputSide < 1) {
      for (const id of ["grid-input", "grid-output"]) {
        $(id).replaceChildren();
        $(id).setAttribute("aria-label", say("grid.nothing"));
      }
      return ($("grid-words").textContent = say("grid.nothing"));
    }
    (backwards ? drawTransposed : drawConvolution)(inputOf(), n, k, s, p, outputSide, step.value - 1);
  }

  const within = (row, column, top, left, k) => row >= top && row < top + k && column >= left && column < left + k;

  function drawConvolution(input, n, k, s, p, outputSide, at) {
    const [row, column] = [Math.floor(at / outputSide), at % outputSide];
    const output = convolved(input, kernel, s, p);
    drawCells($("grid-input"), n + 2 * p, n + 2 * p, (i, j) => {
      const value = input[i - p]?.[j - p];
      return { text: String(value ?? 0), kind: `${value === undefined ? "pad" : ""} ${within(i, j, row * s, column * s, k) ? "hot" : ""}` };
    });
    drawCells($("grid-output"), outputSide, outputSide, (i, j) => {
      const number = i * outputSide + j;
      return { text: number <= at ? written(output[i][j]) : "", kind: number === at ? "hot" : number < at ? "done" : "todo" };
    }, (i, j) => go(i * outputSide + j + 1));
    const terms = kernel.flatMap((taps, i) => taps.map((tap, j) => `${input[row * s + i - p]?.[column * s + j - p] ?? 0}·${tap < 0 ? `(${written(tap)})` : tap}`));
    $("grid-words").textContent = say("grid.reads", { row: row + 1, column: column + 1, sum: terms.join(" + "), total: written(output[row][column]) });
    label(input, output, n, outputSide, at);
  }

  function drawTransposed(input, n, k, s, p, outputSide, at) {
    const [row, column] = [Math.floor(at / n), at % n];
    const whole = transposed(input, kernel, s, 0, at + 1); // with what padding cuts off
    drawCells($("grid-input"), n, n, (i, j) => ({ text: String(input[i][j]), kind: i * n + j === at ? "hot" : i * n + j < at ? "done" : "" }), (i, j) => go(i * n + j + 1));
    drawCells($("grid-output"), outputSide + 2 * p, outputSide + 2 * p, (i, j) => {
      const cut = !within(i, j, p, p, outputSide);
      const hot = within(i, j, row * s, column * s, k);
      return { text: whole[i][j] || hot ? written(whole[i][j]) : "", kind: `${cut ? "pad" : whole[i][j] ? "done" : "todo"} ${hot ? "hot" : ""}` };
    });
    $("grid-words").textContent = say("grid.paints", {
      row: row + 1, column: column + 1, value: input[row][column], top: written(row * s - p + 1), left: written(column * s - p + 1),
    });
    label(input, transposed(input, kernel, s, p, at + 1), n, outputSide, at);
  }

  function label(input, output, n, outputSide) {
    $("grid-input").setAttribute("aria-label", say("grid.input_is", { side: n, rows: told(input) }));
    $("grid-output").setAttribute("aria-label", say("grid.output_is", { side: outputSide, rows: told(output) }));
  }

  function go(number) {
    step.value = number;
    draw();
  }

  function play(on) {
    clearInterval(timer);
    timer = 0;
    $("grid-play").textContent = say(on ? "grid.pause" : "grid.play");
    if (!on) return;
    const last = () => +$("grid-step").max;
    if (step.value >= last()) go(1);
    timer = setInterval(() => (step.value < last() ? go(step.value + 1) : play(false)), 700);
  }

  $("grid-preset").onchange = () => (makeKernel(), changed());
  for (const choice of document.querySelectorAll("[name=grid-kind]")) choice.onchange = changed;
  $("grid-play").onclick = () => play(!timer);
  makeKernel();
  changed();
}
