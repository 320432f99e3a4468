// Marks parts of a photo: strokes stay in the browser, the mask travels when an event that takes it is triggered.

const TOOL_KEYS = { b: "brush", e: "eraser", r: "rectangle", m: "move" };
const DO_KEYS = { "[": "smaller", "]": "larger", "+": "in", "=": "in", "-": "out", 0: "fit", 1: "actual" };
const OTHER_KEYS = { z: "undo", y: "redo", Enter: "dab", " ": "hold" };

class Painter {
  constructor(element, props) {
    this.find = partsOf(element);
    this.props = props;
    this.view = new View();
    this.tool = "brush";
    this.spot = { x: 0, y: 0 }; // where the brush is, in photo pixels
    for (const name of ["body", "stage", "plane", "photo", "ink", "cursor", "marquee", "size"]) this[name] = this.find(name);
    this.context = this.ink.getContext("2d");
    this.find("empty-text").textContent = props.empty;
    this.listen();
    onWidth(this.stage, () => this.layout());
    this.load();
  }

  load() {
    const value = this.props.value || null;
    this.find("empty").hidden = Boolean(value);
    this.body.hidden = !value;
    this.stroke = null;
    if (!value) return this.photo.removeAttribute("src");
    const photo = { width: value.width, height: value.height };
    this.mask = new Mask(photo);
    if (value.mask) this.mask.unpack(value.mask);
    this.ink.width = this.mask.width;
    this.ink.height = this.mask.height;
    this.photo.src = value.photo;
    this.find("trouble").hidden = true;
    this.spot = { x: photo.width / 2, y: photo.height / 2 };
    this.view.show(photo);
    this.mask.draw(this.context, this.mask.everywhere);
    this.setBrush(0.05 * Math.max(photo.width, photo.height));
    this.setTool(this.tool);
    this.report();
    this.layout();
  }

  /** Setting `props.value` tells Gradio what to send with the next event; nothing is sent now. */
  publish() {
    const share = this.report();
    this.props.value = { ...this.props.value, mask: share ? this.mask.pack() : null };
  }

  report() {
    const { share, past, future } = this.mask;
    const percent = share && share < 0.001 ? "under 0.1" : (100 * share).toFixed(1);
    this.find("share").textContent = share ? `${percent} % marked` : "Nothing marked yet";
    this.doer("undo").disabled = !past.length;
    this.doer("redo").disabled = !future.length;
    this.doer("clear").disabled = !share;
    this.warn(share);
    return share;
  }

  /** Says so, before anything runs, if more is marked than can be continued; `limit` is the server's. */
  warn(share) {
    const limit = this.props.value?.limit;
    const deep = limit && share && share < 1 && this.mask.depth > limit.depth;
    this.find("limit").hidden = !deep;
    this.find("limit").textContent = deep ? limit.words : "";
  }

  doer(name) {
    return this.body.querySelector(`[data-do="${name}"]`);
  }

  layout() {
    const width = this.stage.clientWidth;
    if (!width || this.body.hidden) return;
    this.stage.style.height = `${photoHeight(width, this.view.photo)}px`;
    this.view.resize({ width, height: this.stage.clientHeight });
    this.draw();
  }

  draw() {
    const { view } = this;
    view.place(this.plane, this.stage);
    this.plane.classList.toggle("pixels", view.scale > 1.99);
    this.find("reading").textContent = `${Math.round(view.scale * 100)} %`;
    this.doer("fit").setAttribute("aria-pressed", String(view.fitted));
    this.doer("actual").setAttribute("aria-pressed", String(!view.fitted && view.scale === 1));
    this.drawCursor();
  }

  drawCursor() {
    const size = Math.max(4, this.brush * this.view.zoom);
    const at = this.view.toPane(this.spot);
    Object.assign(this.cursor.style, {
      width: `${size}px`,
      height: `${size}px`,
      transform: `translate(${at.x - size / 2}px, ${at.y - size / 2}px)`,
    });
  }

  get largestBrush() {
    return Math.max(8, Math.max(this.view.photo.width, this.view.photo.height) / 2);
  }

  /** The brush's diameter in photo pixels; the slider is logarithmic: a pixel matters for a thin brush. */
  setBrush(diameter) {
    this.brush = clamp(Math.round(diameter), 1, this.largestBrush);
    this.size.value = String((100 * Math.log(this.brush)) / Math.log(this.largestBrush));
    this.showBrush();
  }

  showBrush() {
    this.size.setAttribute("aria-valuetext", `${this.brush} photo pixels`);
    this.find("size-reading").textContent = `${this.brush} px`;
    this.drawCursor();
  }

  setTool(tool) {
    this.tool = tool;
    for (const button of this.body.querySelectorAll("[data-tool]"))
      button.setAttribute("aria-pressed", String(button.dataset.tool === tool));
    this.stage.setAttribute("aria-label", `Photo to mark with the ${tool}: arrow keys move it, Enter paints`);
    this.aim();
  }

  /** Shows what a press would do: pan (also while Space is held), draw a rectangle, or paint. */
  aim() {
    const moving = this.tool === "move" || this.spaceHeld;
    this.stage.classList.toggle("moving", moving);
    this.stage.classList.toggle("cross", !moving && this.tool === "rectangle");
    if (moving || this.tool === "rectangle") this.cursor.hidden = true;
  }

  begin(point, event) {
    const moving = this.tool === "move" || this.spaceHeld || event.button === 1;
    const kind = moving ? "pan" : this.tool === "rectangle" ? "rectangle" : "brush";
    const ink = this.tool === "eraser" || event.button === 5 ? 0 : 1; // 5: a pen's eraser end
    const at = this.view.toPhoto(point);
    this.stroke = { kind, ink, first: at, last: at, lastPoint: point, box: null, before: this.mask.pixels.slice() };
    this.extend(point);
  }

  extend(point) {
    if (!this.stroke) return;
    const at = this.view.toPhoto(point);
    if (this.stroke.kind === "pan") {
      this.view.panBy(point.x - this.stroke.lastPoint.x, point.y - this.stroke.lastPoint.y);
      this.draw();
    } else if (this.stroke.kind === "rectangle") this.drawMarquee(this.stroke.first, at);
    else this.paint(this.stroke.last, at);
    this.stroke.last = at;
    this.stroke.lastPoint = point;
  }

  paint(from, to) {
    const { stroke } = this;
    const box = this.mask.stroke(from, to, this.brush, stroke.ink);
    this.mask.draw(this.context, box);
    const old = stroke.box ?? box;
    stroke.box = {
      left: Math.min(old.left, box.left),
      top: Math.min(old.top, box.top),
      right: Math.max(old.right, box.right),
      bottom: Math.max(old.bottom, box.bottom),
    };
  }

  drawMarquee(a, b) {
    const [from, to] = [this.view.toPane(a), this.view.toPane(b)];
    this.marquee.hidden = false;
    Object.assign(this.marquee.style, {
      left: `${Math.min(from.x, to.x)}px`,
      top: `${Math.min(from.y, to.y)}px`,
      width: `${Math.abs(from.x - to.x)}px`,
      height: `${Math.abs(from.y - to.y)}px`,
    });
  }

  finish(cancelled) {
    const { stroke } = this;
    this.stroke = null;
    this.marquee.hidden = true;
    if (!stroke || stroke.kind === "pan") return;
    if (cancelled) {
      this.mask.pixels = stroke.before;
      return this.mask.draw(this.context, stroke.box ?? this.mask.everywhere);
    }
    if (stroke.kind === "rectangle") {
      stroke.box = this.mask.box(stroke.first, stroke.last);
      this.mask.fill(stroke.box, stroke.ink);
    }
    this.changed(stroke.before, stroke.box);
  }

  changed(before, box) {
    this.mask.remember(before, box);
    this.mask.draw(this.context, box);
    this.publish();
  }

  do(name) {
    const { mask, view } = this;
    const whole = (change) => {
      const before = mask.pixels.slice();
      change();
      this.changed(before, mask.everywhere);
    };
    const travel = (from, to) => {
      mask.travel(from, to);
      mask.draw(this.context, mask.everywhere);
      this.publish();
    };
    const actions = {
      undo: () => travel(mask.past, mask.future),
      redo: () => travel(mask.future, mask.past),
      clear: () => whole(() => mask.pixels.fill(0)),
      invert: () => whole(() => mask.invert()),
      smaller: () => this.setBrush(Math.min(this.brush - 1, this.brush / 1.25)),
      larger: () => this.setBrush(Math.max(this.brush + 1, this.brush * 1.25)),
      fit: () => view.fit(),
      actual: () => view.zoomTo(1 / devicePixelRatio),
      in: () => view.zoomTo(view.zoom * 1.25),
      out: () => view.zoomTo(view.zoom * 0.8),
    };
    actions[name]();
    this.draw();
  }

  listen() {
    this.body.addEventListener("click", (event) => {
      const button = event.target.closest("button");
      if (button?.dataset.tool) this.setTool(button.dataset.tool);
      if (button?.dataset.do) this.do(button.dataset.do);
    });
    this.size.addEventListener("input", () => {
      this.brush = Math.round(Math.exp((Number(this.size.value) / 100) * Math.log(this.largestBrush)));
      this.showBrush();
    });
    this.photo.addEventListener("error", () => (this.find("trouble").hidden = false));
    this.listenToPointers();
    this.listenToKeys();
  }

  listenToPointers() {
    const { stage, view } = this;
    followPointers(stage, {
      start: (point, event) => this.begin(point, event),
      move: (point) => this.extend(point),
      end: (cancelled) => this.finish(cancelled),
      pinch: (factor, middle, dx, dy) => {
        view.zoomTo(view.zoom * factor, middle);
        view.panBy(dx, dy);
        this.draw();
      },
      hover: (point) => {
        this.spot = view.toPhoto(point);
        this.cursor.hidden = stage.classList.contains("moving") || stage.classList.contains("cross");
        this.drawCursor();
      },
    });
    stage.addEventListener("pointerleave", () => (this.cursor.hidden = true));
    const wanted = (event) => event.ctrlKey || event.metaKey;
    followWheel(stage, wanted, (factor, at) => {
      view.zoomTo(view.zoom * factor, at);
      this.draw();
    });
  }

  listenToKeys() {
    const stepKeys = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };
    pressOnce(this.body);
    this.body.addEventListener("keydown", (event) => {
      const onStage = event.target === this.stage;
      const key = keyIn({ ...TOOL_KEYS, ...DO_KEYS, ...stepKeys, ...OTHER_KEYS }, event);
      const command = (event.ctrlKey || event.metaKey) && !event.altKey;
      if (command && (key === "z" || key === "y")) this.do(key === "y" || event.shiftKey ? "redo" : "undo");
      else if (isCommand(event) || !key) return;
      else if (key in TOOL_KEYS) this.setTool(TOOL_KEYS[key]);
      else if (key in DO_KEYS) this.do(DO_KEYS[key]);
      else if (key in stepKeys && onStage) this.step(stepKeys[key], event.shiftKey);
      else if (key === "Enter" && onStage) event.repeat || this.dab(this.spot);
      else if (key === " " && onStage) this.holdSpace(true);
      else return;
      event.preventDefault();
    });
    this.stage.addEventListener("keyup", (event) => event.key === " " && this.holdSpace(false));
    this.stage.addEventListener("blur", () => this.holdSpace(false));
  }

  holdSpace(held) {
    this.spaceHeld = held;
    this.aim();
  }

  /** Moves the brush by a quarter of itself, painting on the way if asked. */
  step([dx, dy], painting) {
    const { photo } = this.view;
    const length = Math.max(1, this.brush / 4);
    const from = this.spot;
    this.spot = { x: clamp(from.x + dx * length, 0, photo.width), y: clamp(from.y + dy * length, 0, photo.height) };
    this.cursor.hidden = false;
    if (painting) this.dab(from);
    this.drawCursor();
  }

  dab(from) {
    this.stroke = { kind: "brush", ink: this.tool === "eraser" ? 0 : 1, before: this.mask.pixels.slice() };
    this.paint(from, this.spot);
    this.finish(false);
  }
}

const painter = new Painter(element, props);
watch("value", () => painter.load());
