// Looking closely and correcting: what is compared, results with other settings, targets, masks and painted regions.

let viewer, viewerProps, painter, painterProps;
let painting = ""; // what the open painter is for: "region" or "mask"

/** Everything that can be shown of a flag: name → label, address and size. */
function versionsOf(flag) {
  const { draft, my_verdict: own, images } = flag;
  const of = (role) => ({ url: imageOf(flag, role), ...images[role] });
  const versions = { observed: { label: "Observed", ...of("observed") }, restored: { label: "Restored", ...of("restored") } };
  if (images.clean) versions.clean = { label: "Clean, from the visitor", ...of("clean") };
  if (own.images?.clean)
    versions.mine = { label: "Corrected", url: `review/verdicts/${own.verdict_id}/clean`, ...own.images.clean };
  if (draft.rerun) versions.rerun = { label: "Run again", ...draft.rerun };
  if (draft.clean) versions.target = { label: "Your target", url: draft.cleanUrl, ...images.restored };
  return versions;
}

function pairsOf(versions) {
  const pairs = [["observed", "restored"]];
  for (const name of ["clean", "mine", "rerun", "target"]) if (versions[name]) pairs.push(["restored", name]);
  if (versions.rerun && versions.clean) pairs.push(["rerun", "clean"]);
  return pairs;
}

/** Draws the choices of what to compare, and shows one: the asked for, or the one that was shown. */
function compare(wanted) {
  const versions = versionsOf(current);
  const pairs = pairsOf(versions).map((pair) => pair.join(" "));
  const chosen = [wanted, $("compare").value, pairs[0]].find((pair) => pairs.includes(pair));
  $("compare").replaceChildren(
    ...pairs.map((pair) => {
      const [before, after] = pair.split(" ");
      return make("option", { value: pair, textContent: `${versions[before].label} | ${versions[after].label}` });
    }),
  );
  $("compare").value = chosen;
  const [before, after] = chosen.split(" ").map((name) => versions[name]);
  const region = current.images.region && imageOf(current, "region");
  viewerProps.value = {
    before: before.url, after: after.url, width: after.width, height: after.height,
    before_label: before.label, after_label: after.label,
    overlay: $("overlay").getAttribute("aria-pressed") === "true" ? region : null,
  };
  $("overlay").hidden = !region;
  viewer.load();
}

const comparePair = () => {
  const options = [...$("compare").options].map((option) => option.value);
  if (current) compare(options[(options.indexOf($("compare").value) + 1) % options.length]);
};

function toggleOverlay() {
  const pressed = $("overlay").getAttribute("aria-pressed") === "true";
  $("overlay").setAttribute("aria-pressed", String(!pressed));
  if (current) compare();
}

const inWords = (found) => (found ? `${found.psnr ?? "∞"} dB` + (found.ssim ? ` · SSIM ${found.ssim}` : "") : "–");

async function drawMetrics(flag) {
  $("measured").textContent = "";
  if (!flag.images.clean) return;
  flag.metrics ??= await ask(`review/flags/${flag.flag_id}/metrics`);
  if (flag !== current) return;
  const { observed, restored } = flag.metrics;
  const lines = [observed && `observed ${inWords(observed)}`, restored && `restored ${inWords(restored)}`];
  if (flag.draft.rerun?.metrics) lines.push(`run again ${inWords(flag.draft.rerun.metrics)}`);
  $("measured").textContent = `Against the clean image: ${lines.filter(Boolean).join(", ")}`;
}

// ---- results with other settings

function drawControls(flag) {
  const fields = (WORDS.controls[flag.task] || []).map((control) => {
    const value = flag.draft.controls[control.name] ?? control.default;
    let input;
    if (control.options) {
      input = make("select", { name: control.name });
      for (const [word, label] of Object.entries(control.options)) input.append(make("option", { value: word, textContent: label }));
    } else if (control.words) input = make("input", { name: control.name, type: "text" });
    else {
      input = make("input", { name: control.name, type: "number", min: control.minimum, max: control.maximum, step: "any" });
      if (control.automatic) input.placeholder = "auto";
    }
    input.value = value ?? "";
    return make("label", {}, control.label, input);
  });
  $("controls-fields").replaceChildren(...fields);
}

async function rerun() {
  if (!current || $("run").disabled) return; // one at a time
  const flag = current;
  const number = (value) => (value === "" ? null : isNaN(value) ? value : Number(value));
  flag.draft.controls = Object.fromEntries([...new FormData($("controls"))].map(([name, value]) => [name, number(value)]));
  $("run").disabled = true;
  $("run-state").textContent = "Running…";
  try {
    const body = { controls: flag.draft.controls, mask: flag.draft.mask };
    const reply = await ask(`review/flags/${flag.flag_id}/rerun`, posted(body));
    const report = JSON.parse(reply.headers.get("X-Report"));
    const blob = await reply.blob();
    if (flag.draft.rerun) URL.revokeObjectURL(flag.draft.rerun.url);
    flag.draft.rerun = { ...report, blob, url: URL.createObjectURL(blob) };
    if (flag !== current) return;
    compare("restored rerun");
    await drawMetrics(flag);
  } finally {
    $("run").disabled = false;
    $("run-state").textContent = "";
    if (flag === current) drawAttached(flag);
  }
}

// ---- what goes with the verdict

function attach(flag, blob, target) {
  if (flag.draft.cleanUrl) URL.revokeObjectURL(flag.draft.cleanUrl);
  Object.assign(flag.draft, { clean: blob, target, cleanUrl: blob && URL.createObjectURL(blob) });
  if (flag !== current) return;
  drawAttached(flag);
  compare(blob ? "restored target" : "observed restored");
}

function takeRerun() {
  const result = current?.draft.rerun;
  if (!result || $("take").disabled) return;
  attach(current, result.blob, { source: "rerun", controls: result.controls, checkpoint: result.checkpoint });
}

async function upload(file) {
  const flag = current;
  $("file").value = "";
  if (!flag || !file) return;
  const size = await createImageBitmap(file).catch(() => null); // a kind that only the server reads is judged there
  const { width, height } = flag.images.restored;
  if (size && (size.width !== width || size.height !== height))
    return tell(`The target is ${size.width}×${size.height} but the result is ${width}×${height}: give one of the same size.`, true);
  tell("");
  attach(flag, file, { source: "upload" });
}

function drawAttached(flag) {
  const { draft } = flag;
  const said = [
    draft.clean && [draft.target.source === "rerun" ? "Target: this result" : "Target: your file", () => attach(flag, null, {})],
    draft.mask && ["A corrected mask", () => paintAway(flag, "mask")],
    draft.region && ["Where it is bad", () => paintAway(flag, "region")],
  ].filter(Boolean);
  $("attached").replaceChildren(
    ...said.map(([words, remove]) => make("li", {}, words, make("button", { type: "button", className: "plain", textContent: "Remove", onclick: remove }))),
  );
  const { rerun: result, images } = { ...draft, images: flag.images };
  $("take").disabled = !result || result.width !== images.restored.width || result.height !== images.restored.height;
  $("edit-mask").hidden = !flag.images.mask;
}

// ---- painting

async function paint(what) {
  if (!current || (what === "mask" && !current.images.mask)) return;
  const flag = current;
  const role = what === "mask" ? "observed" : "restored";
  const { width, height } = flag.images[role];
  painting = what;
  $("paint-title").textContent = what === "mask" ? "Edit the mask: what is marked is filled in" : "Paint where the result is bad";
  $("paint").showModal();
  const mask = flag.draft[what]?.mask ?? (what === "mask" ? await bitsOf(imageOf(flag, "mask"), width, height) : null);
  painterProps.value = { photo: imageOf(flag, role), width, height, mask };
  painter.load();
  painter.layout();
}

function painted() {
  const value = painterProps.value;
  if (!current || !painting) return;
  current.draft[painting] = value?.mask ? value : null;
  painting = "";
  drawAttached(current);
}

function paintAway(flag, what) {
  flag.draft[what] = null;
  if (flag === current) drawAttached(flag);
}

/** A mask's image as the painter takes it. */
async function bitsOf(url, width, height) {
  const image = new Image();
  image.src = url;
  await image.decode();
  const mask = new Mask({ width, height });
  const canvas = make("canvas", { width: mask.width, height: mask.height });
  const context = canvas.getContext("2d", { willReadFrequently: true });
  context.imageSmoothingEnabled = false;
  context.drawImage(image, 0, 0, mask.width, mask.height);
  const { data } = context.getImageData(0, 0, mask.width, mask.height);
  for (let i = 0; i < mask.pixels.length; i++) mask.pixels[i] = data[4 * i] > 127 ? 1 : 0;
  return mask.pack();
}

function startTools() {
  $("viewer").innerHTML = VIEWER_HTML;
  viewerProps = { value: null, empty: "" };
  viewer = startViewer($("viewer"), viewerProps, () => {});
  $("painter").innerHTML = PAINTER_HTML;
  painterProps = { value: null, empty: "" };
  painter = startPainter($("painter"), painterProps, () => {});
  $("compare").onchange = () => compare();
  $("overlay").onclick = toggleOverlay;
  $("controls").onsubmit = (event) => {
    event.preventDefault();
    attempt(rerun);
  };
  $("take").onclick = takeRerun;
  $("upload").onclick = () => $("file").click();
  $("file").onchange = () => attempt(() => upload($("file").files[0]));
  $("edit-mask").onclick = () => attempt(() => paint("mask"));
  $("paint-region").onclick = () => attempt(() => paint("region"));
  $("paint-done").onclick = () => {
    painted();
    $("paint").close();
  };
  $("paint").onclose = () => (painting = "");
}
