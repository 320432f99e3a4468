// Many flags at once: small pictures, near-duplicates side by side, one verdict on all that are chosen.

const GRID = 24;
const chosen = new Set();

const gridIsOpen = () => !$("grid").hidden;

async function toggleGrid() {
  const open = !gridIsOpen();
  $("grid").hidden = !open;
  $("grid-open").setAttribute("aria-pressed", String(open));
  $("review").hidden = open || !ids[place];
  tell("");
  await (open ? drawGrid() : show());
}

async function drawGrid() {
  if (place + GRID > ids.length && !finished) await more();
  const page = ids.slice(place, place + GRID);
  $("empty").hidden = page.length > 0;
  $("progress").textContent = page.length ? `${place + 1} to ${place + page.length} of ${ids.length}${finished ? "" : " or more"} · ${$("progress").dataset.reviewer}` : "";
  const query = new URLSearchParams(page.map((id) => ["id", id]));
  const { cards } = page.length ? await ask(`review/cards?${query}`) : { cards: [] };
  const order = new Map(); // a family stands where its first is
  for (const card of cards) if (!order.has(card.family || card.flag_id)) order.set(card.family || card.flag_id, order.size);
  cards.sort((a, b) => order.get(a.family || a.flag_id) - order.get(b.family || b.flag_id));
  chosen.clear();
  $("cards").replaceChildren(...cards.map(drawCard));
  drawChosen();
  $("cards").querySelector("input")?.focus({ preventScroll: true });
}

function drawCard(card) {
  const box = make("input", { type: "checkbox", value: card.flag_id });
  box.dataset.verdict = card.verdict_id;
  box.onchange = () => choose([card.flag_id], box.checked);
  const pictures = ["observed", "restored"].map((role) => make("img", { src: `${imageOf(card, role)}?small`, alt: role, loading: "lazy" }));
  const words = card.reasons.map((reason) => WORDS.reasons[reason] || reason).join(", ");
  const line = make("span", { textContent: `${WORDS.tasks[card.task] || card.task}: ${words}` });
  const element = make("label", { className: "card" }, make("span", { className: "pictures" }, ...pictures), box, line);
  if (card.comment) element.append(make("span", { className: "quiet said", textContent: card.comment, dir: "auto" }));
  if (card.mine) element.append(make("span", { className: "badge", textContent: WORDS.decisions[card.mine] }));
  if (card.catch) element.append(make("span", { className: "badge", textContent: `Catch item: ${WORDS.decisions[card.catch]}` }));
  const here = () => [...$("cards").querySelectorAll("input")].filter((other) => other.dataset.family === card.family);
  box.dataset.family = card.family;
  if (!card.alike) return element;
  const like = make("button", { type: "button", className: "plain alike", textContent: `${card.alike + 1} of one picture` });
  like.onclick = (event) => {
    event.preventDefault();
    choose(here().map((other) => other.value), true);
  };
  element.append(like);
  return element;
}

function choose(flagIds, on) {
  for (const id of flagIds) on ? chosen.add(id) : chosen.delete(id);
  drawChosen();
}

function drawChosen() {
  for (const box of $("cards").querySelectorAll("input")) box.checked = chosen.has(box.value);
  $("chosen").textContent = chosen.size === 1 ? "1 chosen" : `${chosen.size} chosen`;
  for (const button of $("grid").querySelectorAll("[data-decision]")) button.disabled = !chosen.size;
}

function chooseAll() {
  const boxes = [...$("cards").querySelectorAll("input")].map((box) => box.value);
  choose(boxes, chosen.size < boxes.length);
}

async function decideMany(decision) {
  const flagIds = [...chosen];
  if (!flagIds.length) return tell("Choose flags first: with the mouse, or with Space; E chooses all.");
  const before = Object.fromEntries(flagIds.map((id) => [id, $("cards").querySelector(`[value="${id}"]`)?.dataset.verdict]));
  choose(flagIds, false); // what is on its way is not judged again
  const back = (error) => {
    choose(flagIds.filter((id) => $("cards").querySelector(`[value="${id}"]`)), true);
    throw error;
  };
  await attempt(async () => {
    const { saved, refused } = await send("review/verdicts/bulk", { flag_ids: flagIds, decision, client_token: newToken() }).catch(back);
    if (saved.length) remember({ ids: saved, at: place, before });
    const gone = new Set([...saved, ...Object.keys(refused)]);
    for (const id of gone) facts.delete(id);
    ids = ids.filter((id) => !gone.has(id));
    await drawGrid();
    const why = Object.values(refused);
    tell(`${WORDS.decisions[decision]}: ${saved.length} flags.${why.length ? ` ${why.length} were not saved: ${why[0]}.` : ""}`, why.length > 0);
  });
}

/** Arrow keys go from card to card. */
function moveInGrid(event) {
  const by = { ArrowRight: 1, ArrowLeft: -1 }[event.key];
  const boxes = [...$("cards").querySelectorAll("input")];
  const at = boxes.indexOf(document.activeElement);
  if (!by || !boxes.length || at < 0) return;
  event.preventDefault();
  boxes[(at + by + boxes.length) % boxes.length].focus();
}

function stepGrid(by) {
  const to = place + by * GRID;
  if (to < 0 || (to >= ids.length && finished)) return;
  place = to;
  tell("");
  return attempt(drawGrid);
}

function startGrid() {
  $("grid-open").onclick = () => attempt(toggleGrid);
  $("choose-all").onclick = chooseAll;
  $("grid-undo").onclick = undo;
  $("grid-next").onclick = () => stepGrid(1);
  $("grid-previous").onclick = () => stepGrid(-1);
  $("cards").addEventListener("keydown", moveInGrid);
}
