// Feature maps of the network that serves: the photo's middle is sent, and comes back as a few channels of each stage.

const FEATURES_SIDE = 128;

const bytesOf = (text) => Uint8Array.from(atob(text), (letter) => letter.charCodeAt(0));

function startFeatures() {
  const noise = slider("features-noise", () => {}, (sigma) => `± ${sigma}`);
  const sent = make("canvas", { width: FEATURES_SIDE, height: FEATURES_SIDE, className: "pixels" });
  const restored = make("canvas", { className: "pixels" });
  for (const [name, canvas] of [["sent", sent], ["restored", restored]]) {
    canvas.setAttribute("role", "img");
    canvas.setAttribute("aria-label", say(`features.${name}`));
    $("features-ends").append(make("figure", {}, make("figcaption", { textContent: say(`features.${name}`) }), canvas));
  }

  /** The photo at half its size, with noise in it, as it is sent. */
  function prepare() {
    const context = sent.getContext("2d", { willReadFrequently: true });
    context.imageSmoothingQuality = "high";
    context.drawImage(PHOTO.canvas, 0, 0, FEATURES_SIDE, FEATURES_SIDE);
    const image = context.getImageData(0, 0, FEATURES_SIDE, FEATURES_SIDE);
    const added = noiseOf(image.data.length, 5);
    for (let k = 0; k < image.data.length; k++) if (k % 4 < 3) image.data[k] += noise.value * added[k];
    context.putImageData(image, 0, 0);
    return new Promise((done) => sent.toBlob(done, "image/png"));
  }

  function canvasOf({ width }, text, words) {
    const canvas = make("canvas", { className: "pixels" });
    paintGrey(canvas, bytesOf(text), width);
    canvas.setAttribute("role", "img");
    canvas.setAttribute("aria-label", words);
    return canvas;
  }

  function show(found) {
    const colours = bytesOf(found.restored);
    [restored.width, restored.height] = [found.width, found.height];
    const context = restored.getContext("2d");
    const image = context.createImageData(found.width, found.height);
    for (let k = 0; k < found.width * found.height; k++) image.data.set([...colours.subarray(3 * k, 3 * k + 3), 255], 4 * k);
    context.putImageData(image, 0, 0);
    $("features-stages").replaceChildren(
      ...found.stages.map((stage) => {
        const words = say(`features.${stage.kind}`, { size: `${stage.width} × ${stage.height}`, channels: stage.channels });
        const maps = stage.maps.map((text, number) => canvasOf(stage, text, say("features.map_is", { stage: words, number: number + 1 })));
        const figure = make("figure", { className: "stage" }, make("figcaption", { textContent: words }), make("div", { className: "maps" }, ...maps));
        figure.style.setProperty("--level", stage.level);
        return figure;
      }),
    );
    $("features-words").textContent = say("features.done", { sigma: written(found.sigma, 1) });
    $("features-ends").hidden = false;
  }

  $("features-run").onclick = async () => {
    if (!PHOTO.canvas) return;
    $("features-run").disabled = true;
    $("features-words").textContent = say("features.running");
    try {
      const body = await prepare();
      const reply = await patiently("learn/features", { method: "POST", body, headers: { "Content-Type": "image/png" } }, () => ($("features-words").textContent = say("page.waiting")));
      const said = await reply.json().catch(() => ({}));
      if (reply.status === 503 || reply.status === 502) throw new Error(say("features.busy"));
      if (!reply.ok) throw new Error(said.error ?? String(reply.status));
      show(said);
    } catch (error) {
      $("features-words").textContent = error.message;
    }
    $("features-run").disabled = false;
  };
}
