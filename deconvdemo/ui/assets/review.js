// The review page: one flag at a time, everything by keyboard, the next one loaded before it is asked for.

const BATCH = 50;
const DEFAULTS = { status: "todo", sort: "newest" };
const FILTERS = [
  ["status", "Show", WORDS.statuses],
  ["task", "Task", { "": "Any", ...WORDS.tasks }],
  ["reason", "Reason", { "": "Any", ...WORDS.reasons }],
  ["rating", "Rating", WORDS.ratings],
  ["sort", "Order", WORDS.sorts],
];
const TEXTS = [["weights", "Weights (sha256)", "text"], ["since", "From", "date"], ["until", "To", "date"], ["text", "Comment has", "search"]];
const COUNTED = ["status", "task", "reason"];
const KEYS = {
  a: ["Accept", () => decide("accept")],
  r: ["Reject", () => decide("reject")],
  t: ["Needs a target", () => decide("needs_target")],
  j: ["Skip to the next", () => step(1)],
  k: ["Back to the one before", () => step(-1)],
  u: ["Undo the last verdict", () => undo()],
  c: ["Comment", () => $("said").focus()],
  f: ["Look at the picture: then 0, 1, 2, 4, + and − zoom, arrows move, B shows what came in", () => $("viewer").querySelector(".stage").focus()],
  "?": ["These keys", () => $("help").showModal()],
};

const $ = (id) => document.getElementById(id);
const make = (tag, props = {}, ...children) => {
  const element = Object.assign(document.createElement(tag), props);
  element.append(...children);
  return element;
};

let ids = [], place = 0, finished = false, current = null, undone = [], asking = 0;
const facts = new Map(); // flag id → promise of its facts, its pictures on their way
let viewer, viewerProps, changed;

async function ask(path, options = {}) {
  let reply;
  try {
    reply = await fetch(`review/${path}`, options);
  } catch {
    throw new Error("The demo cannot be reached: nothing of yours is lost here, try again.");
  }
  const said = await reply.json().catch(() => ({}));
  if (reply.status === 401 || reply.status === 404) throw new Error("You are not signed in any more: reload this page.");
  if (!reply.ok) throw new Error(said.error || `The demo answered ${reply.status}: try again.`);
  return said;
}

function tell(text, wrong = false) {
  $("message").textContent = text;
  $("message").classList.toggle("wrong", wrong);
  $("message").hidden = !text;
}

async function attempt(work) {
  try {
    return await work();
  } catch (error) {
    tell(error.message, true);
  }
}

// ---- the view, which is the address

const view = () => {
  const chosen = {};
  for (const [name, value] of new FormData($("filters"))) if (value && value !== DEFAULTS[name]) chosen[name] = value;
  return new URLSearchParams(chosen);
};

function drawFilters() {
  const asked = new URLSearchParams(location.search);
  const fields = FILTERS.map(([name, label, options]) => {
    const select = make("select", { name });
    for (const [value, words] of Object.entries(options)) select.append(make("option", { value, textContent: words }));
    select.value = asked.get(name) ?? DEFAULTS[name] ?? "";
    return make("label", {}, label, select);
  });
  fields.push(...TEXTS.map(([name, label, type]) => make("label", {}, label, make("input", { name, type, value: asked.get(name) || "" }))));
  $("filters").replaceChildren(...fields);
  $("filters").addEventListener("change", () => {
    history.replaceState(null, "", `?${view()}`);
    attempt(load);
  });
  $("filters").addEventListener("submit", (event) => event.preventDefault());
}

async function drawCounts() {
  const counts = await ask(`counts?${view()}`);
  for (const name of COUNTED)
    for (const option of $("filters").elements[name].options) {
      const words = FILTERS.find(([filter]) => filter === name)[2][option.value];
      const count = counts[name][option.value] || 0;
      option.textContent = option.value || name === "status" ? `${words} (${count.toLocaleString("en")})` : words;
    }
}

// ---- the queue

async function load() {
  tell("");
  [ids, place, finished] = [[], 0, false];
  facts.clear();
  await more();
  await show();
  attempt(drawCounts);
}

async function more() {
  const number = ++asking;
  const after = ids.length ? `&after=${ids[ids.length - 1]}` : "";
  const found = await ask(`queue?${view()}&limit=${BATCH}${after}`);
  if (number !== asking) return;
  finished = found.flags.length < BATCH;
  ids.push(...found.flags.filter((id) => !ids.includes(id)));
  $("progress").dataset.reviewer = found.reviewer;
}

function fetched(id) {
  if (!facts.has(id)) {
    const promise = ask(`flags/${id}`).then((flag) => {
      for (const role of ["observed", "restored"]) new Image().src = imageOf(flag, role);
      return flag;
    });
    promise.catch(() => facts.delete(id));
    facts.set(id, promise);
  }
  return facts.get(id);
}

const imageOf = (flag, role) => `review/flags/${flag.flag_id}/${role}`;

async function show() {
  if (place >= ids.length && !finished) await more();
  const id = ids[place];
  $("review").hidden = !id;
  $("empty").hidden = Boolean(id);
  $("progress").textContent = id ? `${place + 1} of ${ids.length}${finished ? "" : " or more"} · ${$("progress").dataset.reviewer}` : "";
  $("previous").disabled = place === 0;
  if (!id) return;
  let flag;
  try {
    flag = await fetched(id);
  } catch (error) {
    if (ids[place] === id) {
      tell(error.message, true); // it was erased, or its pictures are damaged: the others go on
      $("review").hidden = true;
    }
    return;
  }
  if (ids[place] !== id) return; // gone on meanwhile
  draw(flag);
  for (const ahead of [1, 2]) if (ids[place + ahead]) fetched(ids[place + ahead]).catch(() => {});
  if (!finished && place > ids.length - 10) attempt(more);
}

function draw(flag) {
  current = flag;
  const size = flag.images.restored;
  viewerProps.value = {
    before: imageOf(flag, "observed"), after: imageOf(flag, "restored"), width: size.width, height: size.height,
    before_label: "Observed", after_label: "Restored",
  };
  changed();
  const made = flag.checkpoint.name ? `${flag.checkpoint.name} ${(flag.checkpoint.sha256 || "").slice(0, 12)}` : flag.checkpoint.source || "unknown";
  const controls = Object.entries(flag.controls).filter(([, value]) => value !== null);
  const lines = {
    Task: WORDS.tasks[flag.task] || flag.task,
    Said: flag.reasons.map((reason) => WORDS.reasons[reason] || reason).join(", "),
    When: flag.created_at.replace("T", " ").slice(0, 16),
    Weights: made,
    Settings: controls.map(([name, value]) => `${name} ${typeof value === "object" ? JSON.stringify(value) : value}`).join(", ") || "–",
    Size: `${size.width}×${size.height}`,
  };
  $("facts").replaceChildren(...Object.entries(lines).flatMap(([name, value]) => [make("dt", { textContent: name }), make("dd", { textContent: value })]));
  $("comment").textContent = flag.comment;
  $("said").value = "";
  for (const box of $("reasons").querySelectorAll("input")) box.checked = flag.reasons.includes(box.value);
  const others = ["mask", "region", "clean"].filter((role) => flag.images[role]);
  const names = { mask: "What was filled in", region: "Where the visitor points", clean: "A better version, from the visitor" };
  $("thumbs").replaceChildren(...others.map((role) => make("figure", {}, make("img", { src: imageOf(flag, role), alt: names[role] }), names[role])));
  stand(flag.mine, flag.opinions);
}

function stand(mine, opinions) {
  for (const button of document.querySelectorAll("[data-decision]"))
    button.setAttribute("aria-pressed", String(button.dataset.decision === mine));
  const all = opinions ? ` Of ${opinions.reviewers}: ${opinions.accepted} accept, ${opinions.rejected} reject, ${opinions.without_target} need a target.` : "";
  $("standing").textContent = mine ? `Your verdict: ${WORDS.decisions[mine]}.${all}` : "";
}

function step(by) {
  const to = place + by;
  if (to < 0 || to > ids.length || (to === ids.length && finished && by > 0 && place === ids.length)) return;
  place = to;
  tell("");
  return attempt(show);
}

// ---- verdicts: drawn at once, stored behind; what could not be stored comes back

let sending = Promise.resolve(); // one after another: what is taken back was given before

function send(...verdict) {
  const sent = sending.then(() => sendOne(...verdict));
  sending = sent.catch(() => {});
  return sent;
}

async function sendOne(flag, decision, reasons, comment) {
  const token = `${flag.flag_id}-${Date.now()}-${Math.random()}`;
  const body = JSON.stringify({ flag_id: flag.flag_id, decision, reasons, comment, client_token: token });
  const options = { method: "POST", headers: { "Content-Type": "application/json" }, body };
  for (let tries = 0; ; tries++) {
    try {
      return await ask("verdicts", options);
    } catch (error) {
      // the token makes a repetition harmless; only what the network swallowed is worth one
      if (tries === 3 || !error.message.startsWith("The demo cannot be reached")) throw error;
      await new Promise((resolve) => setTimeout(resolve, 500 * 2 ** tries));
    }
  }
}

async function decide(decision) {
  if (!current || $("review").hidden) return;
  const flag = current, at = place;
  const chosen = [...$("reasons").querySelectorAll("input:checked")].map((box) => box.value);
  const same = chosen.length === flag.reasons.length && chosen.every((reason) => flag.reasons.includes(reason));
  const comment = $("said").value;
  undone.push({ flag, at });
  $("undo").disabled = false;
  step(1);
  try {
    const saved = await send(flag, decision, same ? [] : chosen, comment);
    flag.mine = saved.mine;
    facts.delete(flag.flag_id); // others' opinions may be shown now
  } catch (error) {
    undone = undone.filter((entry) => entry.flag !== flag);
    $("undo").disabled = !undone.length;
    place = at;
    await attempt(show);
    $("said").value = comment;
    tell(error.message, true);
  }
}

async function undo() {
  const last = undone.pop();
  if (!last) return;
  $("undo").disabled = !undone.length;
  await attempt(async () => {
    await send(last.flag, "withdrawn", [], "");
    facts.delete(last.flag.flag_id);
    place = last.at;
    await show();
    tell("Taken back.");
  });
}

// ---- the start

function start() {
  for (const [value, words] of Object.entries(WORDS.reasons))
    $("reasons").append(make("label", {}, make("input", { type: "checkbox", value }), words));
  $("keys").append(...Object.entries(KEYS).flatMap(([key, [words]]) => [make("dt", {}, make("kbd", { textContent: key.toUpperCase() })), make("dd", { textContent: words })]));
  $("viewer").innerHTML = VIEWER_HTML;
  viewerProps = { value: null, empty: "" };
  viewer = startViewer($("viewer"), viewerProps, () => {});
  changed = () => viewer.load();
  for (const button of document.querySelectorAll("[data-decision]")) button.onclick = () => decide(button.dataset.decision);
  $("next").onclick = () => step(1);
  $("previous").onclick = () => step(-1);
  $("undo").onclick = undo;
  $("help-open").onclick = () => $("help").showModal();
  document.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey || $("help").open) return;
    const typing = event.target.closest("input:not([type=checkbox]), textarea, select");
    if (typing) {
      if (event.key === "Escape") typing.blur();
      return;
    }
    const key = KEYS[event.key.toLowerCase()];
    if (!key) return;
    event.preventDefault();
    key[1]();
  });
  drawFilters();
  attempt(load);
}

if ($("review")) start();
else {
  const why = new URLSearchParams(location.search).get("why");
  if (why) Object.assign($("why"), { textContent: why, hidden: false });
}
