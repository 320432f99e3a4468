// The duel: two results side by side, a vote, and only then what made them. The next duel is made meanwhile.

const KEYS = {
  1: ["The left one is better", () => vote("left")],
  2: ["The right one is better", () => vote("right")],
  3: ["They are the same", () => vote("same")],
  4: ["Both are bad", () => vote("both_bad")],
  s: ["Skip this pair", () => skip()],
  b: ["Hold: what came in", () => showObserved(true), () => showObserved(false)],
  n: ["The next duel", () => goOn()],
  "?": ["These keys", () => $("help").showModal()],
};

let duel = null; // what is shown
let voted = false;
let upcoming = null; // promise of the next one
let waiting = 0; // the number of the duel that is on its way, 0 for none
let asked = 0;
let viewer, props;

const sideOf = (of, side) => `duel/${of.duel_id}/${side}`;

async function made() {
  const found = await ask("duel/new", posted({ task: $("task").value }));
  for (const side of ["left", "right", "observed"]) new Image().src = sideOf(found, side);
  return found;
}

/** The next duel, unless it is on its way: a second press is no second duel. */
const goOn = () => !waiting && next();

async function next() {
  const number = (waiting = ++asked);
  await attempt(async () => {
    [duel, voted] = [null, false];
    freeze(true);
    $("told").textContent = "The next pair is on its way…";
    const found = await (upcoming ?? made());
    if (number !== asked) return; // of a task that was chosen before
    upcoming = null;
    duel = found;
    tell("");
    $("told").textContent = `${WORDS.tasks[duel.task]}. ${duel.told}.`;
    $("names").hidden = true;
    $("next").hidden = true;
    showObserved(false);
    freeze(false);
  });
  if (number !== asked) return;
  waiting = 0;
  if (!duel) {
    $("told").textContent = "";
    $("next").hidden = false;
  }
}

function freeze(frozen) {
  for (const button of [...$("votes").children, $("skip")]) button.disabled = frozen;
}

function showObserved(shown) {
  if (!duel || (shown && props.value?.observed)) return;
  const [left, right] = shown ? ["observed", "observed"] : ["left", "right"];
  props.value = {
    before: sideOf(duel, left), after: sideOf(duel, right), width: duel.width, height: duel.height,
    before_label: shown ? "What came in" : "Left", after_label: shown ? "What came in" : "Right", observed: shown,
  };
  viewer.load();
}

async function vote(choice) {
  if (!duel || voted) return;
  voted = true;
  freeze(true);
  const at = duel;
  await attempt(async () => {
    const { made: names } = await ask(`duel/${at.duel_id}/vote`, posted({ choice }));
    for (const side of ["left", "right"]) {
      $(`${side}-name`).textContent = names[side];
      $(`${side}-name`).classList.toggle("won", choice === side);
    }
    $("names").hidden = false;
    upcoming = made();
    upcoming.catch(() => (upcoming = null));
    attempt(drawRanking);
  });
  $("next").hidden = false;
  $("next").focus({ preventScroll: true });
}

/** The next pair in place of this one, of which nothing is stored. */
function skip() {
  if (!duel || voted) return;
  const at = duel;
  ask(`duel/${at.duel_id}/skip`, posted({})).catch(() => {}); // it is forgotten in time anyway
  return goOn();
}

async function drawRanking() {
  const { rankings } = await ask("duel/ranking");
  $("no-votes").hidden = rankings.length > 0;
  $("tables").replaceChildren(...rankings.map(drawTable));
}

const percent = (share) => `${(100 * share).toFixed(0)} %`;
const chanceOf = (strength) => 1 / (1 + Math.exp(-strength));

function drawTable({ title, votes, standings, left, both_bad, gold, left_out, alpha, shared }) {
  const rows = standings.map(({ name, low, high, chance, duels, bad }) => {
    const [from, to] = [chanceOf(low), chanceOf(high)];
    const range = make("i");
    Object.assign(range.style, { left: `${100 * from}%`, width: `${100 * (to - from)}%` });
    const dot = make("b");
    dot.style.left = `${100 * chance}%`;
    const bar = make("span", { className: "interval", title: `${percent(from)} to ${percent(to)}, ${duels} duels; ${bad} times both were bad` }, range, dot);
    bar.setAttribute("role", "img");
    bar.setAttribute("aria-label", `${percent(chance)}, 95 % interval ${percent(from)} to ${percent(to)}`);
    return make("div", { className: "row" }, make("span", { textContent: name }), bar, make("span", { textContent: percent(chance) }));
  });
  const words = `${votes} ${votes === 1 ? "vote" : "votes"}. How often each is chosen over an average one (Bradley–Terry, 95 % interval). `;
  const side = `The left side is chosen ${percent(left[0])} of the time among equals (${percent(left[1])} to ${percent(left[2])}).`;
  const counted = [
    ` “The same” is half a win for each. “Both are bad” (${both_bad} of ${votes}) says nothing of which is better and is no duel; nor is what was skipped.`,
    gold[1] ? ` Of ${gold[1]} gold pairs, an original beside a spoilt one, ${gold[0]} were told rightly.` : "",
    left_out ? ` ${left_out} votes of those who were wrong more often than right there do not count.` : "",
    shared ? ` Pairs that several visitors judged: ${shared}; how far they agree (Krippendorff's alpha): ${alpha === null ? "not defined" : alpha.toFixed(2)}.` : "",
  ].join("");
  return make("div", {}, make("h3", { textContent: title }), make("p", { className: "quiet", textContent: words + side + counted }), ...rows);
}

function start() {
  $("task").append(make("option", { value: "", textContent: "Any" }));
  for (const [name, title] of Object.entries(WORDS.tasks)) $("task").append(make("option", { value: name, textContent: title }));
  $("task").onchange = () => {
    upcoming = null;
    next();
  };
  $("viewer").innerHTML = VIEWER_HTML;
  props = { value: null, empty: "", columns: true }; // left and right, on a phone, too
  viewer = startViewer($("viewer"), props, () => {});
  viewer.setMode("side");
  for (const button of $("votes").children) button.onclick = () => vote(button.dataset.choice);
  $("next").onclick = goOn;
  $("skip").onclick = skip;
  $("before").onpointerdown = () => showObserved(true);
  for (const over of ["pointerup", "pointerleave", "pointercancel"]) $("before").addEventListener(over, () => showObserved(false));
  $("before").oncontextmenu = (event) => event.preventDefault();
  drawKeys(KEYS);
  listenToKeys(KEYS);
  next();
  attempt(drawRanking);
}

start();
