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
  h: ["Hide: nobody but reviewers may see it", () => decide("hide")],
  i: ["Unsafe: nobody should see it", () => decide("unsafe")],
  q: ["It may be shown to visitors, and back", () => current && $("may-be-shown").click()],
  y: ["Catch item: your verdict is its truth; or a flag like all others again", () => attempt(turnCatch)],
  j: ["Skip to the next", () => (gridIsOpen() ? stepGrid(1) : step(1))],
  k: ["Back to the one before", () => (gridIsOpen() ? stepGrid(-1) : step(-1))],
  u: ["Undo the last verdict", () => undo()],
  c: ["Comment", () => $("said").focus()],
  b: ["Hold: what came in", () => viewer.show(true), () => viewer.show(false)],
  d: ["Difference, and back", () => viewer.setMode(viewer.mode === "difference" ? "split" : "difference")],
  s: ["Side by side, and back", () => viewer.setMode(viewer.mode === "side" ? "split" : "side")],
  v: ["Compare the next two versions", () => comparePair()],
  o: ["The visitor's painted region", () => toggleOverlay()],
  f: ["Look at the picture: then 0, 1, 2, 4, + and − zoom, arrows move", () => $("viewer").querySelector(".stage").focus()],
  w: ["Run again with the current weights", () => attempt(rerun)],
  n: ["Take that result as the target", () => takeRerun()],
  x: ["Upload a target", () => current && $("file").click()],
  p: ["Paint where the result is bad", () => attempt(() => paint("region"))],
  m: ["Edit the mask", () => attempt(() => paint("mask"))],
  g: ["Many at once, and back", () => attempt(toggleGrid)],
  e: ["In the grid: choose all", () => gridIsOpen() && chooseAll()],
  l: ["Who judged what", () => attempt(showAudit)],
  "?": ["These keys", () => $("help").showModal()],
};

let ids = [], place = 0, finished = false, asking = 0;
let current = null; // the flag that is shown; null while one is on its way
const facts = new Map(); // flag id → promise of its facts, its pictures on their way

// ---- the view, which is the address

const view = () => {
  const asked = {};
  for (const [name, value] of new FormData($("filters"))) if (value && value !== DEFAULTS[name]) asked[name] = value;
  const linked = new URLSearchParams(location.search); // what a link asks for, and no field of the form
  for (const name of ["family", "flag"]) if (linked.get(name)) asked[name] = linked.get(name);
  return new URLSearchParams(asked);
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
  fields.push(make("datalist", { id: "weights-known" }));
  $("filters").replaceChildren(...fields);
  $("filters").elements.weights.setAttribute("list", "weights-known");
  $("filters").addEventListener("change", () => {
    history.replaceState(null, "", `?${view()}`);
    attempt(load);
  });
  $("filters").addEventListener("submit", (event) => event.preventDefault());
}

async function drawCounts() {
  const counts = await ask(`review/counts?${view()}`);
  for (const name of COUNTED)
    for (const option of $("filters").elements[name].options) {
      const words = FILTERS.find(([filter]) => filter === name)[2][option.value];
      const count = counts[name][option.value] || 0;
      option.textContent = option.value || name === "status" ? `${words} (${count.toLocaleString("en")})` : words;
    }
  const versions = Object.entries(counts.weights).map(([sha256, count]) => make("option", { value: sha256, label: `${sha256} (${count})` }));
  $("weights-known").replaceChildren(...versions);
}

// ---- the queue

async function load() {
  tell("");
  [ids, place, finished] = [[], 0, false];
  facts.clear();
  await more();
  await (gridIsOpen() ? drawGrid() : show());
  attempt(drawCounts);
}

async function more() {
  const number = ++asking;
  const after = ids.length ? `&after=${ids[ids.length - 1]}` : "";
  const found = await ask(`review/queue?${view()}&limit=${BATCH}${after}`);
  if (number !== asking) return;
  finished = found.flags.length < BATCH;
  ids.push(...found.flags.filter((id) => !ids.includes(id)));
  $("progress").dataset.reviewer = found.reviewer;
}

function fetched(id) {
  if (!facts.has(id)) {
    const promise = ask(`review/flags/${id}`).then((flag) => {
      flag.draft = { clean: null, target: {}, mask: null, region: null, rerun: null, comment: flag.my_verdict.comment || "", shown: flag.my_verdict.may_be_shown || false, controls: flag.controls };
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
  current = null;
  if (place >= ids.length && !finished) await more();
  const id = ids[place];
  $("review").hidden = !id;
  $("empty").hidden = Boolean(id);
  $("progress").textContent = id ? `${place + 1} of ${ids.length}${finished ? "" : " or more"} · ${$("progress").dataset.reviewer}` : "";
  $("previous").disabled = place === 0;
  if (!id) return;
  $("review").setAttribute("aria-busy", "true");
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
  if (ids[place] !== id || gridIsOpen()) return; // gone on meanwhile
  draw(flag);
  for (const ahead of [1, 2]) if (ids[place + ahead]) fetched(ids[place + ahead]).catch(() => {});
  if (!finished && place > ids.length - 10) attempt(more);
}

/** A setting as it is shown, as the page of the demo does: of what no person reads, a drawn kernel, how it begins. */
const inShort = (words) => (words.length > 40 ? words.slice(0, words.lastIndexOf(":")) : words);

function draw(flag) {
  current = flag;
  $("review").setAttribute("aria-busy", "false");
  const size = flag.images.restored;
  const made = flag.checkpoint.name ? `${flag.checkpoint.name} ${(flag.checkpoint.sha256 || "").slice(0, 12)}` : flag.checkpoint.source || "unknown";
  const controls = Object.entries(flag.controls).filter(([, value]) => value !== null);
  const lines = {
    Task: WORDS.tasks[flag.task] || flag.task,
    Said: flag.reasons.map((reason) => WORDS.reasons[reason] || reason).join(", "),
    When: flag.created_at.replace("T", " ").slice(0, 16),
    Weights: made,
    Settings: controls.map(([name, value]) => `${name} ${inShort(typeof value === "object" ? JSON.stringify(value) : String(value))}`).join(", ") || "–",
    Size: `${size.width}×${size.height}`,
  };
  $("facts").replaceChildren(...Object.entries(lines).flatMap(([name, value]) => [make("dt", { textContent: name }), make("dd", { textContent: value })]));
  $("comment").textContent = flag.comment;
  $("said").value = flag.draft.comment;
  const reasons = flag.my_verdict.reasons?.length ? flag.my_verdict.reasons : flag.reasons;
  for (const box of $("reasons").querySelectorAll("input")) box.checked = reasons.includes(box.value);
  $("alike").hidden = !flag.alike;
  $("alike").href = `?status=all&family=${flag.family}`;
  $("alike").textContent = flag.alike === 1 ? "1 other flag of this picture" : `${flag.alike} other flags of this picture`;
  const others = ["mask", "region", "clean"].filter((role) => flag.images[role]);
  const names = { mask: "What was filled in", region: "Where the visitor points", clean: "A better version, from the visitor" };
  $("thumbs").replaceChildren(...others.map((role) => make("figure", {}, make("img", { src: imageOf(flag, role), alt: names[role] }), names[role])));
  $("truth").value = flag.catch;
  $("catch").open = Boolean(flag.catch);
  $("may-be-shown").checked = flag.draft.shown;
  drawControls(flag);
  drawAttached(flag);
  compare("observed restored");
  attempt(() => drawMetrics(flag));
  stand(flag.mine, flag.opinions);
}

function stand(mine, opinions) {
  for (const button of document.querySelectorAll("#review [data-decision]"))
    button.setAttribute("aria-pressed", String(button.dataset.decision === mine));
  let all = "";
  if (opinions) {
    all = ` Of ${opinions.reviewers}: ${opinions.accepted} accept, ${opinions.rejected} reject, ${opinions.without_target} need a target${opinions.withheld ? `, ${opinions.withheld} hide it` : ""}.`;
    if (opinions.disputed) all += " Reviewers disagree.";
    if (opinions.ruled_by) all += ` An owner, ${opinions.ruled_by}, decided: ${WORDS.decisions[opinions.decision]}.${opinions.why ? ` “${opinions.why}”` : ""}`;
    else if (opinions.consensus) all += ` It counts as: ${WORDS.decisions[opinions.consensus]}.`;
    else if (opinions.decision) all += ` Most say: ${WORDS.decisions[opinions.decision]}; more reviewers are needed.`;
  }
  $("standing").textContent = mine ? `Your verdict: ${WORDS.decisions[mine]}.${all}` : "";
}

function step(by) {
  const to = place + by;
  if (to < 0 || to > ids.length) return;
  place = to;
  tell("");
  return attempt(show);
}

// ---- who judged what, and known truths

async function showAudit() {
  const { verdicts } = await ask("review/audit?limit=200");
  const rows = verdicts.map((entry) =>
    make("tr", {},
      make("td", { textContent: entry.created_at.replace("T", " ").slice(0, 19) }),
      make("td", { textContent: entry.reviewer }),
      make("td", { textContent: entry.decision ? WORDS.decisions[entry.decision] : "judge it first" }),
      make("td", {}, make("code", { textContent: entry.flag_id.slice(-12) })),
    ),
  );
  $("audit-rows").replaceChildren(...rows);
  $("audit").showModal();
}

async function setTruth() {
  const decision = $("truth").value;
  if (!current) return;
  await ask(`review/flags/${current.flag_id}/catch`, posted({ decision })).catch((error) => {
    $("truth").value = current.catch;
    throw error;
  });
  current.catch = decision;
  tell(decision ? "Every reviewer will get this flag, and is measured by it." : "It is a flag like all others again.");
}

/** By key: a catch item becomes a flag like all others; another flag one whose truth is your verdict, or asks for it. */
function turnCatch() {
  if (!current || gridIsOpen()) return;
  $("catch").open = true;
  if (!current.catch && !current.mine) return $("truth").focus();
  $("truth").value = current.catch ? "" : current.mine;
  return setTruth();
}

// ---- the start

function start() {
  for (const [value, words] of Object.entries(WORDS.reasons))
    $("reasons").append(make("label", {}, make("input", { type: "checkbox", value }), words));
  startTools();
  startGrid();
  for (const button of document.querySelectorAll("[data-decision]")) button.onclick = () => decide(button.dataset.decision);
  $("next").onclick = () => step(1);
  $("previous").onclick = () => step(-1);
  $("undo").onclick = undo;
  $("audit-open").onclick = () => attempt(showAudit);
  $("truth").onchange = () => attempt(setTruth);
  drawKeys(KEYS);
  listenToKeys(KEYS);
  drawFilters();
  const links = () => {
    for (const link of document.querySelectorAll("[data-format]")) link.href = `review/export?format=${link.dataset.format}&${view()}`;
  };
  $("take-away").onclick = () => {
    links();
    $("exports").showModal();
  };
  attempt(load).then(() => attempt(sendLeftBehind));
}

if ($("review")) start();
else {
  const why = new URLSearchParams(location.search).get("why");
  if (why) Object.assign($("why"), { textContent: why, hidden: false });
}
