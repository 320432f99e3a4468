// What the figures share: words in the page's language, sliders, grids of cells.

const LANGUAGE = document.documentElement.lang;
const SVG = "http://www.w3.org/2000/svg";
const CELL = 40; // a cell's side in a drawing's own units

/** The sentence of this key, with `values` in the places of {name}. */
function say(key, values = {}) {
  return (WORDS[LANGUAGE] ?? WORDS.en)[key].replace(/\{(\w+)\}/g, (_, name) => values[name]);
}

const drawn = (tag, attributes = {}, text = "") => {
  const element = document.createElementNS(SVG, tag);
  for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, value);
  element.textContent = text;
  return element;
};

/** A number as people write it: a true minus, `digits` behind the point where there are any. */
const written = (value, digits = 2) => String(+value.toFixed(digits)).replace("-", "−");

/** What a slider says: its number, or `text(number)`, beside it and to screen readers; `changed` after each move. */
function slider(id, changed, text = String) {
  const input = $(id);
  const label = input.closest("label");
  const output = label.querySelector("output");
  // a label is that of the first it could be for, which is the output: the slider would have no name
  label.htmlFor = id;
  input.ariaLabel = label.querySelector("span").textContent;
  output.ariaHidden = "true"; // the slider says it itself
  const show = () => {
    const words = text(+input.value);
    output.textContent = words;
    input.setAttribute("aria-valuetext", words);
  };
  input.addEventListener("input", () => {
    show();
    changed();
  });
  show();
  return {
    get value() {
      return +input.value;
    },
    set value(value) {
      input.value = value;
      show();
    },
    show,
    /** Other bounds; the value stays within them. */
    bound(least, most) {
      [input.min, input.max] = [least, most];
      show();
    },
  };
}

/**
 * Draws (rows, columns) cells into an SVG; `look(row, column)` gives {text, kind, fill}, `kind` being CSS classes.
 * With `pressed`, a press on a cell calls it with row and column: a short cut for what a slider does.
 */
function drawCells(svg, rows, columns, look, pressed = null) {
  svg.setAttribute("viewBox", `-1 -1 ${columns * CELL + 2} ${rows * CELL + 2}`);
  svg.style.setProperty("--columns", columns);
  const all = [];
  for (let row = 0; row < rows; row++) {
    for (let column = 0; column < columns; column++) {
      const { text = "", kind = "", fill = "" } = look(row, column);
      const group = drawn("g", { class: `cell ${kind}`, transform: `translate(${column * CELL} ${row * CELL})` });
      const box = drawn("rect", { width: CELL, height: CELL });
      if (fill) box.style.fill = fill;
      const size = text.length > 3 ? 11 : text.length > 2 ? 14 : 17;
      group.append(box, drawn("text", { x: CELL / 2, y: CELL / 2, "font-size": size }, text));
      if (pressed) group.addEventListener("click", () => pressed(row, column));
      all.push(group);
    }
  }
  // a neighbour would paint over a marked one's frame
  svg.replaceChildren(...all.sort((one, other) => one.classList.contains("hot") - other.classList.contains("hot")));
}

/** Draws at most once a frame, however often it is asked. */
function onceAFrame(draw) {
  let asked = false;
  return () => {
    if (asked) return;
    asked = true;
    requestAnimationFrame(() => {
      asked = false;
      draw();
    });
  };
}

/** The server's reply; while many others ask it is asked again for about a minute, and `waiting` called meanwhile. */
async function patiently(path, options, waiting) {
  for (let left = 20; ; left--) {
    let reply;
    try {
      reply = await fetch(path, options);
    } catch {
      throw new Error(say("page.unreachable"));
    }
    if (reply.status !== 503 || !left) return reply;
    waiting();
    await new Promise((done) => setTimeout(done, 2000 + 2000 * Math.random())); // a class does not come back all at once
  }
}

const addToContents = (name) => $("contents").append(make("li", {}, make("a", { href: `#${name}`, textContent: $(`${name}-title`).textContent })));

/** A formula that is wider than the page scrolls: by the keyboard, too. */
function reachFormulas() {
  for (const formula of document.querySelectorAll("math")) {
    if (formula.scrollWidth > formula.clientWidth + 1) formula.setAttribute("tabindex", 0);
    else formula.removeAttribute("tabindex");
  }
}

/** The links to the sections, and which language is read now. */
function startPage() {
  addEventListener("resize", reachFormulas);
  reachFormulas();
  for (const name of FACTS.sections) if (!$(name).hidden) addToContents(name);
  for (const link of document.querySelectorAll(".languages a")) {
    if (link.lang === LANGUAGE) link.setAttribute("aria-current", "true");
  }
}
