// What blurred a photo: judged, in numbers, drawn or from a file. The value is the text that the server takes.

const GRID = 41; // cells of the pad; each is a pixel of the photo
const KINDS = {
  auto: { meaning: "Judged from the photo, if it is soft or out of focus. A camera that moved must be told, or drawn." },
  defocus: { meaning: "The lens was out of focus: every point of light became a disc.", width: ["Radius", 0.5, 15, 0.1] },
  gaussian: { meaning: "Soft all over: a haze around every point of light.", width: ["Width", 0.3, 8, 0.1] },
  motion: { meaning: "The camera, or what it saw, moved in a straight line.", width: ["Length", 2, 60, 0.5] },
  drawn: { meaning: "Draw how the camera moved, with a finger, a pen or the mouse: a square is a pixel of the photo." },
  file: { meaning: "A picture or a .npy file of the kernel: bright where a point of light was spread to." },
};

class KernelPad {
  constructor(element, props) {
    this.find = partsOf(element);
    this.props = props;
    this.widths = { defocus: 3, gaussian: 1.6, motion: 15 };
    this.angle = 0;
    this.drawn = Array.from({ length: GRID * GRID }, () => 0);
    this.given = null; // a file's kernel
    this.spot = { x: GRID / 2, y: GRID / 2 };
    this.find("title").textContent = props.empty;
    this.find("kinds").setAttribute("aria-label", props.empty);
    this.pad = this.find("pad");
    this.listen();
    this.load();
  }

  /** What the server says it is; our own drawing comes back from it unchanged. */
  async load() {
    const words = String(this.props.value ?? "auto");
    if (words === this.published) return;
    const [kind, numbers = ""] = words.split(":");
    const [width, angle] = numbers.split(",").map(Number);
    if (kind === "taps") {
      this.given = await unpackTaps(words);
      this.kind = "file";
    } else if (kind in this.widths) {
      this.kind = kind;
      this.widths[kind] = width;
      if (kind === "motion") this.angle = angle;
    } else this.kind = "auto";
    this.published = words;
    this.draw();
  }

  /** Setting `props.value` tells Gradio what to send with the next event; nothing is sent now. */
  async publish() {
    const { kind } = this;
    const kernel = kind === "drawn" ? { width: GRID, height: GRID, weights: this.drawn } : this.given;
    let words = "auto"; // until something is drawn or chosen
    if (kind in this.widths) words = `${kind}:${this.widths[kind]}${kind === "motion" ? `,${this.angle}` : ""}`;
    else if (kind !== "auto" && kernel?.weights.some(Boolean)) words = await packTaps(kernel);
    if (kind !== this.kind) return; // another one was chosen meanwhile
    this.published = words;
    this.props.value = words;
  }

  choose(kind) {
    this.kind = kind;
    this.say("");
    this.draw();
    this.publish();
  }

  say(wrong) {
    this.find("wrong").hidden = !wrong;
    this.find("wrong").textContent = wrong;
  }

  draw() {
    const { kind } = this;
    for (const button of this.find("kinds").querySelectorAll("button"))
      button.setAttribute("aria-pressed", String(button.dataset.kind === kind));
    this.find("meaning").textContent = KINDS[kind].meaning;
    const width = KINDS[kind].width;
    this.find("numbers").hidden = !width;
    this.find("angle-field").hidden = kind !== "motion";
    if (width) {
      const [label, min, max, step] = width;
      const value = this.widths[kind];
      this.find("width-label").textContent = label;
      Object.assign(this.find("width"), { min, max: Math.max(max, value), step, value });
      this.find("width-reading").textContent = `${value} px`;
      this.find("angle").value = this.angle;
      this.find("angle-reading").textContent = `${this.angle}°`;
    }
    const drawing = kind === "drawn";
    this.find("plate").hidden = kind === "auto";
    this.find("clear").hidden = !drawing;
    this.find("choose").hidden = kind !== "file";
    this.find("told").textContent = this.told();
    this.pad.classList.toggle("open", drawing);
    this.pad.tabIndex = drawing ? 0 : -1;
    this.pad.setAttribute("role", drawing ? "application" : "img");
    const words = drawing ? "Pad: arrow keys move, with Shift they draw, Enter makes a dot" : "The blur of one point of light";
    this.pad.setAttribute("aria-label", words);
    if (kind !== "auto") this.paint(drawing ? { width: GRID, height: GRID, weights: this.drawn } : this.shown());
  }

  told() {
    if (this.kind === "drawn") return this.drawn.some(Boolean) ? "" : "Nothing is drawn yet: until then the blur is judged.";
    if (this.kind !== "file") return "How one point of light was spread.";
    return this.given ? `${this.given.width}×${this.given.height} pixels` : "No file yet: until then the blur is judged.";
  }

  /** The kernel in numbers, sampled finely enough to be looked at. */
  shown() {
    if (this.kind === "file") return this.given ?? { width: 1, height: 1, weights: [0] };
    const width = this.widths[this.kind];
    const reach = { defocus: width, gaussian: 3 * width, motion: width / 2 }[this.kind];
    const side = Math.max(GRID, 2 * Math.ceil(reach + 1) + 1);
    const turn = (this.angle * Math.PI) / 180;
    const amount = {
      defocus: (x, y) => Math.hypot(x, y) <= width,
      gaussian: (x, y) => Math.exp(-(x * x + y * y) / (2 * width * width)),
      motion: (x, y) => {
        const along = x * Math.cos(turn) - y * Math.sin(turn);
        const across = x * Math.sin(turn) + y * Math.cos(turn);
        return Math.abs(along) <= width / 2 && Math.abs(across) <= 0.5;
      },
    }[this.kind];
    const weights = Array.from({ length: side * side }, (_, at) => {
      let sum = 0;
      for (let sample = 0; sample < 9; sample++) {
        const x = (at % side) + ((sample % 3) - 1) / 3 - (side - 1) / 2;
        const y = Math.floor(at / side) + (Math.floor(sample / 3) - 1) / 3 - (side - 1) / 2;
        sum += Number(amount(x, y));
      }
      return sum;
    });
    return { width: side, height: side, weights };
  }

  paint({ width, height, weights }) {
    Object.assign(this.pad, { width, height });
    const context = this.pad.getContext("2d");
    const picture = context.createImageData(width, height);
    const peak = Math.max(...weights) || 1;
    weights.forEach((weight, at) => {
      const grey = Math.round(255 * Math.sqrt(weight / peak)); // faint tails are seen, too
      picture.data.set([grey, grey, grey, 255], 4 * at);
    });
    context.putImageData(picture, 0, 0);
    if (this.kind !== "drawn" || document.activeElement !== this.pad) return;
    context.fillStyle = "rgb(255 38 84 / 80%)"; // where the keys are
    context.fillRect(Math.floor(this.spot.x), Math.floor(this.spot.y), 1, 1);
  }

  /** Light along a line, as much as the line is long; each point is shared by the four cells around it. */
  stroke(from, to) {
    const length = Math.hypot(to.x - from.x, to.y - from.y);
    const steps = Math.max(1, Math.ceil(4 * length));
    for (let step = 0; step < steps; step++) {
      const share = steps === 1 ? 1 : (step + 0.5) / steps;
      const [x, y] = [from.x + share * (to.x - from.x) - 0.5, from.y + share * (to.y - from.y) - 0.5];
      const [left, top] = [Math.floor(x), Math.floor(y)];
      for (const [dx, dy] of [[0, 0], [1, 0], [0, 1], [1, 1]]) {
        const [column, row] = [left + dx, top + dy];
        if (column < 0 || row < 0 || column >= GRID || row >= GRID) continue;
        const part = (1 - Math.abs(x - column)) * (1 - Math.abs(y - row));
        this.drawn[row * GRID + column] += (part * Math.max(length, 0.25)) / steps;
      }
    }
    this.draw();
  }

  listen() {
    this.find("kinds").addEventListener("click", (event) => {
      const kind = event.target.closest("button")?.dataset.kind;
      if (kind) this.choose(kind);
    });
    const moved = (change) => (event) => {
      change(Number(event.target.value));
      this.draw();
      this.publish();
    };
    this.find("width").addEventListener("input", moved((value) => (this.widths[this.kind] = value)));
    this.find("angle").addEventListener("input", moved((value) => (this.angle = value)));
    this.find("clear").addEventListener("click", () => {
      this.drawn.fill(0);
      this.draw();
      this.publish();
    });
    this.find("file").addEventListener("change", (event) => this.take(event.target));
    this.listenToPointer();
    this.listenToKeys();
  }

  async take(input) {
    const [file] = input.files;
    input.value = ""; // the same file may be chosen again
    if (!file) return;
    try {
      this.given = await kernelFrom(file);
      this.say("");
    } catch (error) {
      return this.say(error.message);
    }
    this.draw();
    this.publish();
  }

  listenToPointer() {
    const { pad } = this;
    const at = (event) => {
      const box = pad.getBoundingClientRect();
      return { x: ((event.clientX - box.left) / box.width) * GRID, y: ((event.clientY - box.top) / box.height) * GRID };
    };
    pad.addEventListener("pointerdown", (event) => {
      if (this.kind !== "drawn") return;
      pad.setPointerCapture(event.pointerId);
      this.last = at(event);
      this.stroke(this.last, this.last);
    });
    pad.addEventListener("pointermove", (event) => {
      if (!this.last) return;
      const here = at(event);
      this.stroke(this.last, here);
      this.last = here;
    });
    for (const ended of ["pointerup", "pointercancel"])
      pad.addEventListener(ended, () => {
        if (this.last) this.publish();
        this.last = null;
      });
  }

  listenToKeys() {
    const steps = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };
    for (const event of ["focus", "blur"]) this.pad.addEventListener(event, () => this.draw());
    this.pad.addEventListener("keydown", (event) => {
      if (this.kind !== "drawn" || isCommand(event)) return;
      const from = this.spot;
      if (event.key in steps) {
        const [dx, dy] = steps[event.key];
        this.spot = { x: clamp(from.x + dx, 0.5, GRID - 0.5), y: clamp(from.y + dy, 0.5, GRID - 0.5) };
        if (event.shiftKey) this.stroke(from, this.spot);
        else return event.preventDefault(), this.draw();
      } else if (event.key === "Enter" && !event.repeat) this.stroke(from, from);
      else return;
      event.preventDefault();
      this.publish();
    });
  }
}

const kernelPad = new KernelPad(element, props);
watch("value", () => kernelPad.load());
