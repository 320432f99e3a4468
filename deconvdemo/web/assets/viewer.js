// Before and after on one stage: split, side by side, flicker or difference, at any zoom.

const MODE_HINTS = {
  split: "Drag the divider, or focus it and use the arrow keys.",
  side: "Both sides zoom and move together.",
  flicker: "Press and hold to see what came in.",
  difference: "What the network changed, amplified: black is unchanged.",
};

class Viewer {
  constructor(element, props) {
    this.find = partsOf(element);
    this.props = props;
    this.view = new View();
    this.mode = "split";
    this.split = 50;
    for (const name of ["body", "stage", "before", "after", "handle", "hold", "smooth"]) this[name] = this.find(name);
    this.panes = this.find.all("pane");
    this.find("empty-text").textContent = props.empty;
    this.find("full").hidden = !document.fullscreenEnabled;
    this.listen();
    onWidth(this.stage, () => this.layout());
    this.load();
  }

  load() {
    const value = this.props.value || null;
    this.find("empty").hidden = Boolean(value);
    this.body.hidden = !value;
    if (!value) return [this.before, this.after].forEach((image) => image.removeAttribute("src"));
    const photo = { width: value.width, height: value.height };
    // the old picture stays up until the new one has arrived, unless it would be stretched
    const { width, height } = this.view.photo;
    this.stage.classList.toggle("loading", width !== photo.width || height !== photo.height);
    this.view.show(photo);
    this.name("before", value.before_label || "Before", value.before);
    this.name("after", value.after_label || "After", value.after);
    for (const overlay of this.find.all("overlay")) {
      overlay.hidden = !value.overlay;
      if (value.overlay) overlay.style.setProperty("--region", `url("${new URL(value.overlay, document.baseURI)}")`);
    }
    this.find("trouble").hidden = true;
    this.hold.textContent = `Hold to see: ${this.before.alt}`;
    this.setMode(this.mode);
  }

  name(side, label, url) {
    this[side].alt = label;
    this.find(`${side}-label`).textContent = label;
    this[side].src = url;
  }

  /** Both pictures are here (or one failed): their real sizes say whether they can be subtracted. */
  arrived() {
    if (!this.before.complete || !this.after.complete) return;
    this.stage.classList.remove("loading");
    const size = (image) => `${image.naturalWidth}×${image.naturalHeight}`;
    const upscaled = size(this.before) !== size(this.after);
    this.find("difference").hidden = upscaled;
    this.smooth.hidden = !upscaled;
    if (upscaled && this.mode === "difference") this.setMode("split");
    else this.draw();
  }

  setMode(mode) {
    this.mode = mode;
    for (const name of Object.keys(MODE_HINTS)) this.stage.classList.toggle(name, name === mode);
    for (const button of this.body.querySelectorAll("[data-mode]"))
      button.setAttribute("aria-pressed", String(button.dataset.mode === mode));
    this.hold.hidden = mode !== "flicker";
    this.find("gain-field").hidden = mode !== "difference";
    this.find("hint").textContent = MODE_HINTS[mode];
    const keys = document.createElement("span");
    keys.className = "only-wide";
    keys.textContent = " Click the picture, then scroll to zoom; drag to move";
    keys.textContent += mode === "difference" ? "." : "; hold B for the picture before.";
    this.find("hint").append(keys);
    this.layout();
  }

  layout() {
    const { stage, view } = this;
    const width = stage.clientWidth;
    if (!width || this.body.hidden) return;
    const columns = this.mode === "side" && (this.props.columns || width >= 640 || view.photo.height > view.photo.width);
    const rows = this.mode === "side" && !columns;
    stage.classList.toggle("columns", columns);
    stage.classList.toggle("rows", rows);
    const filled = document.fullscreenElement === this.body;
    stage.style.height = filled ? "" : `${photoHeight(columns ? width / 2 : width, view.photo, rows ? 2 : 1)}px`;
    view.resize({ width: this.panes[0].clientWidth, height: this.panes[0].clientHeight });
    this.draw();
  }

  draw() {
    const { view, stage } = this;
    view.place(this.after, this.panes[0]);
    view.place(this.before, this.panes[1]);
    this.find.all("overlay").forEach((overlay, number) => view.place(overlay, this.panes[number]));
    const magnified = view.scale > 1.99;
    const smoothed = !this.smooth.hidden && this.smooth.getAttribute("aria-pressed") === "true";
    this.after.classList.toggle("pixels", magnified);
    this.before.classList.toggle("pixels", this.smooth.hidden ? magnified : !smoothed);
    stage.classList.toggle("far", view.pannable);
    const seen = this.seen();
    stage.style.setProperty("--split", `${seen.left + (this.split / 100) * (seen.right - seen.left)}px`);
    stage.style.setProperty("--left", `${seen.left}px`);
    stage.style.setProperty("--right", `${view.pane.width - seen.right}px`);
    stage.style.setProperty("--gain", this.find("gain").value);
    this.handle.setAttribute("aria-valuenow", String(Math.round(this.split)));
    this.handle.setAttribute("aria-valuetext", `${Math.round(this.split)} % ${this.before.alt}`);
    stage.setAttribute("aria-label", `${this.before.alt} and ${this.after.alt}, ${Math.round(view.scale * 100)} % zoom`);
    this.find("reading").textContent = `${Math.round(view.scale * 100)} %`;
    for (const button of this.body.querySelectorAll("[data-zoom]")) {
      const pressed = view.fitted ? button.dataset.zoom === "fit" : Number(button.dataset.zoom) === view.scale;
      button.setAttribute("aria-pressed", String(pressed));
    }
  }

  zoom(to, at) {
    const { view } = this;
    if (to === "fit") view.fit();
    else if (to === "in" || to === "out") view.zoomTo(view.zoom * (to === "in" ? 1.25 : 0.8), at);
    else view.zoomTo(Number(to) / devicePixelRatio, at);
    this.draw();
  }

  /** What the photo covers of a pane's width: the divider and the labels keep to it. */
  seen() {
    const { view } = this;
    const edge = (x) => clamp(view.toPane({ x, y: 0 }).x, 0, view.pane.width);
    return { left: edge(0), right: edge(view.photo.width) };
  }

  setSplit(percent) {
    this.split = clamp(percent, 0, 100);
    this.draw();
  }

  show(before) {
    this.stage.classList.toggle("held", before);
  }

  /** A point of the stage in the pane that it lies in. */
  inPane(point) {
    const within = (at, start, size) => at >= start && at <= start + size;
    const pane =
      this.panes.find(
        (p) => within(point.x, p.offsetLeft, p.offsetWidth) && within(point.y, p.offsetTop, p.offsetHeight),
      ) ?? this.panes[0];
    return { x: point.x - pane.offsetLeft, y: point.y - pane.offsetTop };
  }

  listen() {
    this.body.addEventListener("click", (event) => {
      const button = event.target.closest("button");
      if (button?.dataset.mode) this.setMode(button.dataset.mode);
      if (button?.dataset.zoom) this.zoom(button.dataset.zoom);
    });
    for (const image of [this.before, this.after]) {
      image.addEventListener("load", () => this.arrived());
      image.addEventListener("error", () => (this.find("trouble").hidden = false));
    }
    this.smooth.addEventListener("click", () => {
      this.smooth.setAttribute("aria-pressed", String(this.smooth.getAttribute("aria-pressed") !== "true"));
      this.draw();
    });
    this.find("gain").addEventListener("input", () => this.draw());
    this.find("full").addEventListener("click", () =>
      document.fullscreenElement ? document.exitFullscreen() : this.body.requestFullscreen(),
    );
    this.body.addEventListener("fullscreenchange", () => this.layout());
    this.listenToHolding();
    this.listenToPointers();
    this.listenToKeys();
  }

  listenToHolding() {
    this.hold.addEventListener("contextmenu", (event) => event.preventDefault()); // a long press, on a phone
    this.hold.addEventListener("pointerdown", () => this.show(true));
    for (const over of ["pointerup", "pointerleave", "pointercancel", "blur"])
      this.hold.addEventListener(over, () => this.show(false));
    this.hold.addEventListener("keydown", (event) => [" ", "Enter"].includes(event.key) && this.show(true));
    this.hold.addEventListener("keyup", () => this.show(false));
  }

  listenToPointers() {
    let drag = null;
    let last = null;
    const slide = ({ x }) => {
      const { left, right } = this.seen();
      this.setSplit((100 * (x - left)) / (right - left));
    };
    followPointers(this.stage, {
      start: (point, event) => {
        const onHandle = this.handle.contains(event.target);
        if (onHandle) this.handle.focus({ preventScroll: true });
        drag = onHandle ? "split" : this.view.pannable ? "pan" : this.mode;
        last = point;
        if (drag === "flicker") this.show(true);
      },
      move: (point) => {
        if (drag === "split") slide(point);
        if (drag === "pan") {
          this.view.panBy(point.x - last.x, point.y - last.y);
          this.draw();
        }
        last = point;
      },
      end: () => {
        if (drag === "flicker") this.show(false);
        drag = null;
      },
      pinch: (factor, middle, dx, dy) => {
        this.view.zoomTo(this.view.zoom * factor, this.inPane(middle));
        this.view.panBy(dx, dy);
        this.draw();
      },
    });
    followWheel(
      this.stage,
      // a page that scrolls over a photo must go on scrolling: the wheel is ours with Ctrl, or after a click
      (event) => event.ctrlKey || event.metaKey || this.stage.contains(document.activeElement),
      (factor, at) => {
        this.view.zoomTo(this.view.zoom * factor, this.inPane(at));
        this.draw();
      },
    );
    this.stage.addEventListener("dblclick", (event) => {
      const box = this.stage.getBoundingClientRect();
      const at = this.inPane({ x: event.clientX - box.left, y: event.clientY - box.top });
      if (!this.view.fitted) return this.zoom("fit");
      this.view.zoomTo(Math.max(1 / devicePixelRatio, 2 * this.view.zoom), at);
      this.draw();
    });
  }

  listenToKeys() {
    const splitKeys = { ArrowLeft: -2, ArrowDown: -2, ArrowRight: 2, ArrowUp: 2 };
    Object.assign(splitKeys, { PageDown: -10, PageUp: 10, Home: -100, End: 100 });
    const panKeys = { ArrowLeft: [60, 0], ArrowRight: [-60, 0], ArrowUp: [0, 60], ArrowDown: [0, -60] };
    const zoomKeys = { 0: "fit", 1: "1", 2: "2", 4: "4", "+": "in", "=": "in", "-": "out" };
    const holdKeys = { b: "before", " ": "before" };
    pressOnce(this.body);
    this.stage.addEventListener("keydown", (event) => {
      const key = keyIn({ ...splitKeys, ...panKeys, ...zoomKeys, ...holdKeys }, event);
      if (isCommand(event) || !key) return;
      if (event.target === this.handle && key in splitKeys) this.setSplit(this.split + splitKeys[key]);
      else if (key in panKeys && this.view.pannable) {
        this.view.panBy(...panKeys[key]);
        this.draw();
      } else if (key in zoomKeys) this.zoom(zoomKeys[key]);
      else if (key in holdKeys) this.show(true);
      else return;
      event.preventDefault();
    });
    for (const over of ["keyup", "blur"]) this.stage.addEventListener(over, () => this.show(false));
  }
}

const viewer = new Viewer(element, props);
watch("value", () => {
  viewer.load();
  // below the fold, a result that has just arrived would go unseen
  if (props.value) viewer.body.scrollIntoView({ block: "nearest", behavior: "smooth" });
});
