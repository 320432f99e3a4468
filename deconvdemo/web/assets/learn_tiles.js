// How far our networks see, drawn on the photo; and a stand-in that is computed whole and in tiles, live.

/** A network of `layers` means of 3 × 3 with zeros around: the photo, sharpened by what they smooth away. */
function standIn(values, width, layers) {
  const height = values.length / width;
  let smooth = Float64Array.from(values);
  for (let layer = 0; layer < layers; layer++) smooth = across(across(smooth, width, height, 1), width, height, width);
  return smooth.map((value, k) => values[k] + 1.5 * (values[k] - value));
}

/** Means of three neighbours, `step` apart: 1 for a row, the width for a column. */
function across(values, width, height, step) {
  const found = new Float64Array(values.length);
  const last = (step === 1 ? width : height) - 1;
  for (let row = 0, k = 0; row < height; row++) {
    for (let column = 0; column < width; column++, k++) {
      const place = step === 1 ? column : row;
      found[k] = (values[k] + (place > 0 ? values[k - step] : 0) + (place < last ? values[k + step] : 0)) / 3;
    }
  }
  return found;
}

/** [from, to] of what a tile keeps and of what is computed for it, along one side of the photo. */
function spansOf(side, size, overlap) {
  return Array.from({ length: Math.ceil(side / size) }, (_, place) => {
    const [from, to] = [place * size, Math.min(side, (place + 1) * size)];
    return { from, to, seenFrom: Math.max(0, from - overlap), seenTo: Math.min(side, to + overlap) };
  });
}

/** The same in tiles: each is computed with its overlap, and its middle kept. Also how many pixels were computed. */
function inTiles(values, side, layers, size, overlap) {
  const found = new Float64Array(values.length);
  const spans = spansOf(side, size, overlap);
  let computed = 0;
  for (const rows of spans) {
    for (const columns of spans) {
      const width = columns.seenTo - columns.seenFrom;
      const window = new Float64Array(width * (rows.seenTo - rows.seenFrom));
      computed += window.length;
      for (let k = 0; k < window.length; k++) window[k] = values[(rows.seenFrom + Math.floor(k / width)) * side + columns.seenFrom + (k % width)];
      const result = standIn(window, width, layers);
      for (let row = rows.from; row < rows.to; row++) {
        for (let column = columns.from; column < columns.to; column++) {
          found[row * side + column] = result[(row - rows.seenFrom) * width + column - columns.seenFrom];
        }
      }
    }
  }
  return { found, computed };
}

function startTiles() {
  const side = PHOTO_SIDE;
  const draw = onceAFrame(drawTiles);
  let networks = [];
  const layer = slider("tiles-layer", drawReach, (number) => `${number} / ${$("tiles-layer").max}`);
  const layers = slider("tiles-layers", draw);
  const size = slider("tiles-size", draw, (value) => `${value} × ${value}`);
  const overlap = slider("tiles-overlap", draw);
  const tile = slider("tiles-tile", draw, (number) => `${number} / ${$("tiles-tile").max}`);

  function drawReach() {
    const network = networks[$("tiles-network").selectedIndex];
    if (!network || !PHOTO.canvas) return;
    const { kind, level, pixels } = network.steps[layer.value - 1];
    const canvas = $("tiles-reach");
    [canvas.width, canvas.height] = [side, side];
    const context = canvas.getContext("2d");
    context.drawImage(PHOTO.canvas, 0, 0);
    context.fillStyle = "rgb(0 0 0 / 0.55)";
    context.fillRect(0, 0, side, side);
    const [from, width] = [side / 2 - pixels, 2 * pixels + 1];
    context.drawImage(PHOTO.canvas, from, from, width, width, from, from, width, width);
    frame(context, from, from, width, "#fbbf24");
    frame(context, side / 2 - 2, side / 2 - 2, 5, "#f43f5e");
    const words = say(`tiles.${kind}`, { level, next: level + 1 });
    $("tiles-sees").textContent = say("tiles.sees", { layer: words, pixels, side: width });
    canvas.setAttribute("aria-label", say("tiles.field_is", { side: width }));
    canvas.hidden = false; // until here there was nothing to see, nor to say of it
  }

  function frame(context, left, top, width, colour, height = width) {
    context.strokeStyle = colour;
    context.lineWidth = 1.5;
    context.strokeRect(left, top, width, height);
  }

  function drawTiles() {
    $("tiles-stand-in").textContent = say("tiles.stand_in", { layers: layers.value });
    const across = Math.ceil(side / size.value);
    tile.bound(1, across * across);
    if (!PHOTO.grey) return;
    const whole = standIn(PHOTO.grey, side, layers.value);
    const { found, computed } = inTiles(PHOTO.grey, side, layers.value, size.value, overlap.value);
    const difference = found.map((value, k) => Math.abs(value - whole[k]));
    const largest = written(difference.reduce((most, value) => Math.max(most, value), 0), 1);
    const words = overlap.value < layers.value ? "seam" : "no_seam";
    const told = { overlap: overlap.value, radius: layers.value, error: largest, cost: (computed / side ** 2).toFixed(1) };
    $("tiles-words").textContent = say(`tiles.${words}`, told);
    paintGrey($("tiles-tiled"), found, side);
    paintGrey($("tiles-difference"), difference.map((value) => 8 * value), side);
    const spans = spansOf(side, size.value, overlap.value);
    const [rows, columns] = [spans[Math.floor((tile.value - 1) / across)], spans[(tile.value - 1) % across]];
    const context = $("tiles-tiled").getContext("2d");
    frame(context, columns.seenFrom, rows.seenFrom, columns.seenTo - columns.seenFrom, "#fbbf24", rows.seenTo - rows.seenFrom);
    frame(context, columns.from, rows.from, columns.to - columns.from, "#14b8a6", rows.to - rows.from);
    $("tiles-tiled").setAttribute("aria-label", say("tiles.tiled_is", { size: size.value, number: tile.value }));
    $("tiles-difference").setAttribute("aria-label", say("tiles.difference_is", { error: largest }));
  }

  function choose() {
    const network = networks[$("tiles-network").selectedIndex];
    layer.bound(1, network.steps.length);
    layer.value = network.steps.length;
    drawReach();
  }

  $("tiles-network").onchange = choose;
  onPhoto(() => (drawReach(), draw()));
  draw();
  attempt(async () => {
    ({ networks } = await ask("learn/networks"));
    $("tiles-network").append(...networks.map(({ name }) => make("option", { value: name, textContent: say(`tiles.${name}`) })));
    for (const id of ["tiles-field", "tiles-seen"]) $(id).hidden = !networks.length;
    if (networks.length) choose();
  });
}
