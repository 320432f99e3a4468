// A kernel as the text that the server takes, "taps:WxH:…" (rows of 16-bit weights, zlib's, in base64), and kernels from files.

const LARGEST_SIDE = 257; // the server's

async function throughStream(bytes, stream) {
  return new Uint8Array(await new Response(new Blob([bytes]).stream().pipeThrough(stream)).arrayBuffer());
}

/** `weights` are rows of numbers from 0 on, row by row. */
async function packTaps({ width, height, weights }) {
  const peak = Math.max(...weights);
  const view = new DataView(new ArrayBuffer(2 * weights.length));
  weights.forEach((weight, at) => view.setUint16(2 * at, Math.round((weight / peak) * 65535), true));
  const packed = await throughStream(view.buffer, new CompressionStream("deflate"));
  let text = "";
  for (const byte of packed) text += String.fromCharCode(byte);
  return `taps:${width}x${height}:${btoa(text)}`;
}

async function unpackTaps(words) {
  const [, size, text] = words.split(":");
  const [width, height] = size.split("x").map(Number);
  const packed = Uint8Array.from(atob(text), (letter) => letter.charCodeAt(0));
  const bytes = await throughStream(packed, new DecompressionStream("deflate"));
  const view = new DataView(bytes.buffer);
  return { width, height, weights: Array.from({ length: width * height }, (_, at) => view.getUint16(2 * at, true)) };
}

/** The kernel in a picture or a .npy file. Throws an Error whose message is a sentence. */
async function kernelFrom(file) {
  const kernel = file.name.toLowerCase().endsWith(".npy") ? fromNpy(await file.arrayBuffer()) : await fromPicture(file);
  const { width, height, weights } = kernel;
  if (Math.max(width, height) > LARGEST_SIDE)
    throw new Error(`${file.name} is ${width}×${height} pixels, but a kernel has at most ${LARGEST_SIDE} a side: crop it.`);
  const peak = Math.max(...weights);
  if (!(peak > 0) || weights.some((weight) => !(weight >= -0.01 * peak)))
    throw new Error(`${file.name} is no kernel: it is black, or has values below 0.`);
  return { width, height, weights: weights.map((weight) => Math.max(0, weight)) };
}

async function fromPicture(file) {
  let picture;
  try {
    picture = await createImageBitmap(file);
  } catch {
    throw new Error(`${file.name} is no picture that this browser opens: give a PNG, a JPEG or a .npy file.`);
  }
  const { width, height } = picture;
  if (Math.max(width, height) > LARGEST_SIDE) return { width, height, weights: [] };
  const canvas = Object.assign(document.createElement("canvas"), { width, height });
  const context = canvas.getContext("2d", { willReadFrequently: true });
  context.drawImage(picture, 0, 0);
  const { data } = context.getImageData(0, 0, width, height);
  const luma = (at) => (0.299 * data[at] + 0.587 * data[at + 1] + 0.114 * data[at + 2]) * (data[at + 3] / 255);
  return { width, height, weights: Array.from({ length: width * height }, (_, pixel) => luma(4 * pixel)) };
}

const NUMBERS = { f4: "getFloat32", f8: "getFloat64", u1: "getUint8", i1: "getInt8", u2: "getUint16", i2: "getInt16", u4: "getUint32", i4: "getInt32" };

/** numpy's format: a magic word, a header that is a Python dictionary, then the numbers. */
function fromNpy(buffer) {
  const view = new DataView(buffer);
  const wrong = new Error("This .npy file holds no kernel: save one array of numbers with two axes.");
  if (buffer.byteLength < 12 || view.getUint32(0) !== 0x934e554d) throw wrong;
  const [length, start] = view.getUint8(6) === 1 ? [view.getUint16(8, true), 10] : [view.getUint32(8, true), 12];
  if (start + length > buffer.byteLength) throw wrong;
  const header = new TextDecoder("latin1").decode(buffer.slice(start, start + length));
  const [, order, type] = /'descr':\s*'([<>|=]?)(\w\d)'/.exec(header) ?? [];
  const [, rows, columns] = /'shape':\s*\((\d+),\s*(\d+)(?:,\s*1)?\)/.exec(header) ?? [];
  const [height, width, size] = [Number(rows), Number(columns), Number(type?.[1])];
  if (!(type in NUMBERS) || !(height * width > 0) || start + length + height * width * size > buffer.byteLength) throw wrong;
  if (Math.max(width, height) > LARGEST_SIDE) return { width, height, weights: [] };
  const byColumns = /'fortran_order':\s*True/.test(header);
  const number = (row, column) => {
    const place = byColumns ? column * height + row : row * width + column;
    return view[NUMBERS[type]](start + length + place * size, order !== ">");
  };
  return { width, height, weights: Array.from({ length: width * height }, (_, at) => number(Math.floor(at / width), at % width)) };
}
