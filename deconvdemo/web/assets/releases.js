// The page of releases: what each set of weights made of the flagged photos, in counts, figures and pictures.

const ORDER = ["newly_bad", "still_bad", "fixed"];
const SYMBOLS = { newly_bad: "▼", still_bad: "●", fixed: "▲" };
const PICTURES = { observed: "Observed", restored: "As flagged", now: "Now", target: "Target" };
const PAIRS = [["restored", "now"], ["now", "target"], ["restored", "target"], ["observed", "now"]];

let board = null; // what the server tells of all releases
let chosen = null; // the release whose flags are shown
let asked = { state: "", kept: "", page: 1 };
let asking = 0;
let closeUp = null; // the replay whose pictures are looked at
let viewer, viewerProps;

const day = (moment) => `${moment.replace("T", " ").slice(0, 16)} UTC`;
const figure = (value) => `${value.toFixed(2)} dB`;
const change = (value) => `${value < 0 ? "−" : "+"}${Math.abs(value).toFixed(2)} dB`;
// lines of the history from before single pictures were judged have neither
const worst = (one) => (one.worst ? `${change(one.worst.difference)}${one.worst.image ? ` (${one.worst.image})` : ""}` : "–");
const openings = (found) =>
  found
    ? `Where nobody flagged anything, the expert was asked in ${found.false} of ${many(found.pictures, "picture")}${
        found.worst ? `, most in ${found.worst.image} (${(100 * found.worst.share).toFixed(1)} % of it)` : ""
      }.`
    : "";
const many = (number, words) => `${number.toLocaleString("en")} ${words}${number === 1 ? "" : "s"}`;
const total = (counts) => ORDER.reduce((sum, state) => sum + counts[state], 0);
const inWords = (counts) => ORDER.map((state) => `${counts[state]} ${board.states[state].toLowerCase()}`).join(", ");

// ---- releases

/** A bar of the states, and their numbers beside the symbols that the filters explain. */
function drawCounts(counts, words) {
  const parts = ORDER.filter((state) => counts[state]).map((state) => {
    const part = make("i", { className: state });
    part.style.flexGrow = counts[state];
    return part;
  });
  const numbers = ORDER.map((state) => make("span", { className: `state ${state}`, textContent: `${SYMBOLS[state]} ${counts[state]}` }));
  const drawn = make("span", { className: "counted" }, make("span", { className: "shares" }, ...parts), make("span", { className: "numbers" }, ...numbers, words));
  drawn.setAttribute("role", "img");
  drawn.setAttribute("aria-label", `${words || "all"}: ${inWords(counts)}`);
  return drawn;
}

function drawReleases() {
  const names = [...new Set(board.releases.map((release) => release.name))];
  const lists = names.flatMap((name) => [
    make("h2", { textContent: name }),
    ...board.releases.filter((release) => release.name === name).map(drawRelease),
  ]);
  $("releases").replaceChildren(...lists);
}

function drawRelease(release) {
  const head = make("span", { className: "line" }, make("b", { textContent: release.called }), make("code", { textContent: release.sha256.slice(0, 12) }));
  if (release.serves) head.append(make("span", { className: "badge", textContent: "serves now" }));
  const card = make("button", { type: "button", className: "release" }, head);
  card.append(make("span", { className: "quiet", textContent: `since ${day(release.since)}` }));
  if (total(release.all)) card.append(drawCounts(release.all, ""), drawCounts(release.held_back, "held back"));
  else card.append(make("span", { className: "quiet", textContent: "nothing replayed" }));
  card.dataset.sha256 = release.sha256;
  card.onclick = () => choose(release, { state: "", kept: asked.kept, page: 1 });
  return card;
}

function drawChosen() {
  for (const card of $("releases").querySelectorAll("button"))
    card.setAttribute("aria-pressed", String(card.dataset.sha256 === chosen.sha256));
  $("release-title").textContent = `${chosen.called} ${chosen.sha256.slice(0, 12)}`;
  const lines = { "Served first": day(chosen.since) };
  for (const line of chosen.history) lines[capital(line.what)] = `${lines[capital(line.what)] ? `${lines[capital(line.what)]}; ` : ""}${day(line.when)}`;
  lines["Learned from"] = chosen.learned === null ? "its header does not tell" : chosen.learned ? many(chosen.learned, "flag") : "no flags";
  $("facts").replaceChildren(...Object.entries(lines).flatMap(([name, value]) => [make("dt", { textContent: name }), make("dd", { textContent: value })]));
  const judged = chosen.history.find((line) => line.found);
  const found = judged?.found || [];
  $("gate").hidden = !found.length;
  $("gate-rows").replaceChildren(
    ...found.map((one) =>
      make("tr", {}, ...[`${one.images} ${one.setting}`.trim(), change(one.mean), worst(one)].map((textContent) => make("td", { textContent }))),
    ),
  );
  $("gate-openings").textContent = openings(judged?.openings);
  const held = total(chosen.held_back);
  $("fair").textContent = held
    ? `Of ${many(held, "flag")} held back from training: ${inWords(chosen.held_back)}. These tell how it does on photos that it has not learned from.`
    : "None of these flags is held back from training: a fixed one may be one that was learned by heart.";
  $("gone").hidden = chosen.here;
  drawFilters();
}

const capital = (words) => words[0].toUpperCase() + words.slice(1);

function countsOf(kept) {
  if (kept === "held_back") return chosen.held_back;
  if (!kept) return chosen.all;
  return Object.fromEntries(ORDER.map((state) => [state, chosen.all[state] - chosen.held_back[state]]));
}

function drawFilters() {
  const counts = countsOf(asked.kept);
  const buttons = [["", "All", total(counts)], ...ORDER.map((state) => [state, `${SYMBOLS[state]} ${board.states[state]}`, counts[state]])];
  $("states").replaceChildren(
    ...buttons.map(([state, words, number]) => {
      const button = make("button", { type: "button", className: "plain", textContent: `${words} (${number.toLocaleString("en")})` });
      button.dataset.state = state;
      button.setAttribute("aria-pressed", String(state === asked.state));
      button.onclick = () => choose(chosen, { ...asked, state, page: 1 }).then(() => $("states").querySelector(`[data-state="${state}"]`).focus());
      return button;
    }),
  );
  $("kept").value = asked.kept;
}

// ---- the flags of one release

function choose(release, wanted) {
  [chosen, asked] = [release, wanted];
  const query = new URLSearchParams({ release: release.sha256.slice(0, 12) });
  for (const [name, value] of Object.entries(asked)) if (value && value !== 1) query.set(name, value);
  history.replaceState(null, "", `?${query}`);
  tell("");
  drawChosen();
  return attempt(drawReplays);
}

async function drawReplays() {
  const number = ++asking;
  const { replays } = await ask(`releases/${chosen.sha256}?${new URLSearchParams(asked)}`);
  if (number !== asking) return;
  $("replays").replaceChildren(...replays.map(drawReplay));
  $("none").hidden = replays.length > 0;
  const counts = countsOf(asked.kept);
  const all = asked.state ? counts[asked.state] : total(counts);
  const first = (asked.page - 1) * board.shown;
  $("pages").hidden = all <= board.shown;
  $("place").textContent = `${first + 1} to ${first + replays.length} of ${all.toLocaleString("en")}`;
  $("previous").disabled = asked.page === 1;
  $("next").disabled = first + replays.length >= all;
}

function drawReplay(replay) {
  const gained = replay.now - replay.flagged;
  const words = replay.reasons.map((reason) => WORDS.reasons[reason] || reason).join(", ");
  const head = make("div", { className: "line" },
    make("strong", { className: `state ${replay.state}`, textContent: `${SYMBOLS[replay.state]} ${board.states[replay.state]}` }),
    make("span", { className: "gain", textContent: change(gained) }),
    ...(replay.before === null ? [] : [make("span", { className: "quiet gain", textContent: beforeInWords(replay) })]),
    make("span", { className: `badge ${replay.learned}`, textContent: board.marks[replay.learned] }),
    make("span", { textContent: `${WORDS.tasks[replay.task] || replay.task}: ${words}` }),
    make("a", { href: `../review?status=all&flag=${replay.flag_id}`, textContent: "Review", ariaLabel: "This flag on the review page" }),
  );
  const item = make("li", { className: "replay" }, head);
  item.dataset.flag = replay.flag_id;
  if (replay.comment) item.append(make("blockquote", { textContent: replay.comment, dir: "auto" }));
  const captions = { restored: figure(replay.flagged), now: `${figure(replay.now)} (${change(gained).replace(" dB", "")})` };
  item.append(make("div", { className: "pictures" }, ...Object.keys(PICTURES).map((role) => drawPicture(replay, role, captions[role]))));
  return item;
}

function beforeInWords(replay) {
  const gained = replay.before - replay.flagged;
  const lost = replay.state === "newly_bad" && replay.now - replay.flagged > -board.margin;
  return lost ? `the release before had fixed it: ${change(gained)}` : `the release before: ${change(gained)}`;
}

// the target's name is of its content: another target has another address
const addressOf = (replay, role) => `releases/${chosen.sha256}/${replay.flag_id}/${role}?v=${role === "target" ? replay.target : ""}`;

function drawPicture(replay, role, caption = "") {
  const label = make("figcaption", {}, make("b", { textContent: PICTURES[role] }), caption ? ` ${caption}` : "");
  if (role === "now" && !chosen.here) return make("figure", {}, make("span", { className: "missing", textContent: "not here any more" }), label);
  const image = make("img", { loading: "lazy", alt: PICTURES[role] });
  const button = make("button", { type: "button", className: "picture", title: "Look closely" }, image);
  button.setAttribute("aria-label", `${PICTURES[role]}: look closely`);
  button.onclick = () => look(replay, role);
  const shape = make("figure", { ariaBusy: "true" }, button, label);
  image.onload = () => (shape.ariaBusy = "false");
  image.onerror = async () => {
    shape.ariaBusy = "false";
    const why = await ask(`${addressOf(replay, role)}&small`).then(() => "This picture could not be loaded: reload this page.", (error) => error.message);
    button.replaceWith(make("span", { className: "missing", textContent: why }));
  };
  image.src = `${addressOf(replay, role)}&small`;
  return shape;
}

// ---- one replay's pictures, large

function look(replay, role) {
  closeUp = replay;
  const pairs = PAIRS.filter((pair) => chosen.here || !pair.includes("now"));
  const wanted = { target: "now target", observed: "observed now" }[role] || "restored now";
  $("compare").replaceChildren(...pairs.map((pair) => make("option", { value: pair.join(" "), textContent: pair.map((name) => PICTURES[name]).join(" | ") })));
  $("compare").value = wanted;
  if (!$("compare").value) $("compare").value = pairs[0].join(" ");
  $("close-up-title").textContent = `${board.states[replay.state]}, ${change(replay.now - replay.flagged)}`;
  $("close-up").showModal();
  return compare();
}

async function compare() {
  const replay = closeUp;
  const [before, after] = $("compare").value.split(" ");
  $("close-up-why").hidden = true;
  try {
    const sizes = await Promise.all([before, after].map((role) => sizeOf(addressOf(replay, role))));
    if (replay !== closeUp || $("compare").value !== `${before} ${after}`) return;
    viewerProps.value = {
      before: addressOf(replay, before), after: addressOf(replay, after), ...sizes[1],
      before_label: PICTURES[before], after_label: PICTURES[after],
    };
  } catch (error) {
    viewerProps.value = null;
    Object.assign($("close-up-why"), { textContent: error.message, hidden: false });
  }
  viewer.load();
}

async function sizeOf(address) {
  const image = new Image();
  image.src = address;
  try {
    await image.decode();
  } catch {
    await ask(address); // its sentence says why
    throw new Error("This picture could not be loaded: reload this page.");
  }
  return { width: image.naturalWidth, height: image.naturalHeight };
}

// ---- the start

async function start() {
  $("viewer").innerHTML = VIEWER_HTML;
  viewerProps = { value: null, empty: "Making the picture…" };
  viewer = startViewer($("viewer"), viewerProps, () => {});
  $("compare").onchange = compare;
  $("close-up").onclose = () => {
    closeUp = viewerProps.value = null;
    viewer.load();
  };
  $("kept").onchange = () => choose(chosen, { ...asked, kept: $("kept").value, page: 1 });
  $("filters").onsubmit = (event) => event.preventDefault();
  const turn = (by) => choose(chosen, { ...asked, page: asked.page + by }).then(() => $("filters").scrollIntoView());
  $("previous").onclick = () => turn(-1);
  $("next").onclick = () => turn(1);
  board = await ask("releases/list");
  $("kept").replaceChildren(...Object.entries(board.kept).map(([value, textContent]) => make("option", { value, textContent })));
  $("told").textContent =
    `Each release restores the accepted flags that have a clean target again. Fixed: at least ${board.margin} dB nearer the target than ` +
    "what was flagged. Newly bad: as much farther away, or fixed by the release before and no more.";
  $("board").hidden = !board.releases.length;
  $("empty").hidden = board.releases.length > 0;
  if (!board.releases.length) return;
  drawReleases();
  const query = new URLSearchParams(location.search);
  const known = board.releases.find((release) => query.get("release") && release.sha256.startsWith(query.get("release")));
  await choose(known || board.releases.find((release) => total(release.all)), {
    state: query.get("state") || "", kept: query.get("kept") || "", page: Math.max(1, Number(query.get("page")) || 1),
  });
}

attempt(start);
