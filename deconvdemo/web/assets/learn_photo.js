// The photo that several figures share: a free one, or the visitor's, which is read here and sent nowhere.

const PHOTO_SIDE = 256;
const PHOTO = { name: FACTS.photos[0], grey: null, canvas: null };
const photoWatchers = [];
const onPhoto = (watcher) => photoWatchers.push(watcher);

async function takePhoto(name, file = null) {
  let bitmap;
  try {
    const blob = file ?? (await (await ask(`learn/photo/${name}.webp`)).blob());
    bitmap = await createImageBitmap(blob);
  } catch (error) {
    if (error instanceof Unreachable) throw error;
    throw new Error(say("page.unreadable"));
  }
  const canvas = make("canvas", { width: PHOTO_SIDE, height: PHOTO_SIDE });
  const context = canvas.getContext("2d", { willReadFrequently: true });
  const side = Math.min(bitmap.width, bitmap.height);
  context.imageSmoothingQuality = "high";
  context.drawImage(bitmap, (bitmap.width - side) / 2, (bitmap.height - side) / 2, side, side, 0, 0, PHOTO_SIDE, PHOTO_SIDE);
  const { data } = context.getImageData(0, 0, PHOTO_SIDE, PHOTO_SIDE);
  const grey = new Float64Array(PHOTO_SIDE ** 2);
  for (let k = 0; k < grey.length; k++) grey[k] = 0.299 * data[4 * k] + 0.587 * data[4 * k + 1] + 0.114 * data[4 * k + 2];
  Object.assign(PHOTO, { name, grey, canvas });
  for (const watcher of photoWatchers) watcher();
}

/** Means of cells of `by` × `by` pixels. */
function shrunk(values, side, by) {
  const small = new Float64Array((side / by) ** 2);
  values.forEach((value, k) => (small[Math.floor(k / side / by) * (side / by) + Math.floor((k % side) / by)] += value / by ** 2));
  return small;
}

/** Grey levels onto a canvas of that many pixels, cut to 0 … 255. */
function paintGrey(canvas, values, width) {
  [canvas.width, canvas.height] = [width, values.length / width];
  const context = canvas.getContext("2d");
  const image = context.createImageData(canvas.width, canvas.height);
  for (let k = 0; k < values.length; k++) {
    image.data[4 * k] = image.data[4 * k + 1] = image.data[4 * k + 2] = values[k];
    image.data[4 * k + 3] = 255;
  }
  context.putImageData(image, 0, 0);
}

/** Each picker offers the free photos and a file of one's own; all of them say the same. */
function startPhotos() {
  const pickers = document.querySelectorAll(".picker");
  for (const picker of pickers) {
    const choice = make("select", {}, ...FACTS.photos.map((name) => make("option", { value: name, textContent: say(`page.${name}`) })), make("option", { value: "own", textContent: say("page.own") }));
    const file = make("input", { type: "file", accept: "image/*", ariaLabel: say("page.own_file"), hidden: true });
    const taken = (name, own = null) =>
      attempt(async () => {
        await takePhoto(name, own);
        tell("");
        for (const one of pickers) {
          one.querySelector("select").value = name;
          one.querySelector("input").hidden = name !== "own";
        }
      });
    choice.onchange = () => {
      if (choice.value !== "own") return taken(choice.value);
      file.hidden = false;
      file.focus();
      file.click();
    };
    file.onchange = () => file.files[0] && taken("own", file.files[0]);
    picker.append(make("label", { className: "field-line" }, say("page.photo"), choice), file);
  }
  attempt(() => takePhoto(FACTS.photos[0]));
}
