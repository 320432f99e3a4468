// Verdicts: drawn at once, stored behind; what could not be stored comes back. Until the server has one it lies in this
// browser's storage: whoever presses keys quickly and leaves, or reloads, loses none.

const OUTBOX = "deconvdemo-verdicts";
let sending = Promise.resolve(); // one after another: what is taken back was given before
let undone = []; // what can be taken back: the flags of one verdict, where it was given, and the verdicts before it
let waiting = []; // { path, body, reviewer } that the server has not confirmed
const ownTokens = new Set(); // of all that this page has sent: another page of this browser may have some in the storage, too

function send(path, body) {
  const entry = { path, body, reviewer: $("progress").dataset.reviewer };
  waiting.push(entry);
  keepWaiting();
  const sent = sending.then(() => sendOne(path, body)).finally(() => {
    waiting = waiting.filter((other) => other !== entry);
    keepWaiting();
  });
  sending = sent.catch(() => {});
  return sent;
}

function readOutbox() {
  try {
    return JSON.parse(localStorage.getItem(OUTBOX) ?? "[]");
  } catch {
    return []; // no storage, or somebody else's
  }
}

function store(entries) {
  try {
    localStorage.setItem(OUTBOX, JSON.stringify(entries));
  } catch {
    // full or forbidden: what is waiting lives as long as this page
  }
}

function keepWaiting() {
  const mine = waiting.filter((entry) => !(entry.body instanceof FormData));
  for (const { body } of mine) ownTokens.add(body.client_token);
  const others = readOutbox().filter((entry) => !ownTokens.has(entry.body.client_token));
  store([...others, ...mine]);
  const count = waiting.length;
  $("unsent").hidden = !count;
  $("unsent").textContent = count === 1 ? "1 verdict is on its way" : `${count} verdicts are on their way`;
}
/** Whether another try may do better: nobody answered, the sign-in was over, or the server had trouble of its own. */
const mayPassYet = (error) => error instanceof Unreachable || error?.status === 401 || error?.status >= 500;

/** What an earlier page of this reviewer left behind goes first; a verdict that arrived already is stored once. */
async function sendLeftBehind() {
  const reviewer = $("progress").dataset.reviewer;
  const left = readOutbox().filter((entry) => entry.reviewer === reviewer);
  if (!left.length) return;
  const sent = await Promise.allSettled(left.map(({ path, body }) => send(path, body)));
  const lost = sent.filter((one) => one.reason);
  const again = left.filter((_, at) => mayPassYet(sent[at].reason));
  for (const { body } of again) ownTokens.delete(body.client_token);
  store([...readOutbox(), ...again]); // the next page tries again
  await load();
  const words = left.length === 1 ? "A verdict from before you left is" : `${left.length} verdicts from before you left are`;
  tell(lost.length ? `${lost.length} of ${left.length} verdicts from before you left could not be stored: ${lost[0].reason.message}` : `${words} stored.`, lost.length > 0);
}

/** The page is left: what waits in line goes out now, in one request that keeps its order. */
function sendAtOnce() {
  const said = waiting.filter((entry) => !(entry.body instanceof FormData)).map((entry) => entry.body);
  if (said.length) fetch("review/verdicts/several", { ...posted({ said }), keepalive: true }).catch(() => {});
}

window.addEventListener("pagehide", sendAtOnce);
window.addEventListener("beforeunload", (event) => {
  // a target's file is too large to be kept: that is worth a question
  if (waiting.some((entry) => entry.body instanceof FormData)) event.preventDefault();
});

async function sendOne(path, body) {
  const keepalive = !(body instanceof FormData) && JSON.stringify(body).length < 30_000; // browsers take 64 KB at once
  for (let tries = 0; ; tries++) {
    try {
      return await ask(path, { ...posted(body), keepalive });
    } catch (error) {
      // the token makes a repetition harmless; only what the network swallowed is worth one
      if (tries === 3 || !(error instanceof Unreachable)) throw error;
      await new Promise((resolve) => setTimeout(resolve, 500 * 2 ** tries));
    }
  }
}

/** What is sent: JSON, or with a target's file a form. */
function bodyOf(flag, decision) {
  const { clean, target, mask, region } = flag.draft;
  const chosen = [...$("reasons").querySelectorAll("input:checked")].map((box) => box.value);
  const same = chosen.length === flag.reasons.length && chosen.every((reason) => flag.reasons.includes(reason));
  const said = { flag_id: flag.flag_id, decision, reasons: same ? [] : chosen, comment: $("said").value };
  Object.assign(said, { mask, region, may_be_shown: $("may-be-shown").checked, client_token: `${flag.flag_id}-${newToken()}` });
  if (!clean) return said;
  const form = new FormData();
  form.append("verdict", JSON.stringify({ ...said, target }));
  form.append("clean", clean, "target");
  return form;
}

async function decide(decision) {
  if (gridIsOpen()) return decideMany(decision);
  if (!current) return; // what is not seen yet is not judged
  const flag = current;
  const at = place;
  const body = bodyOf(flag, decision);
  Object.assign(flag.draft, { comment: $("said").value, shown: $("may-be-shown").checked });
  remember({ ids: [flag.flag_id], at, before: { [flag.flag_id]: flag.my_verdict.verdict_id } });
  step(1);
  try {
    const saved = await send("review/verdicts", body);
    flag.mine = saved.mine;
    flag.my_verdict = { ...flag.my_verdict, verdict_id: saved.verdict_id };
    facts.delete(flag.flag_id); // others' opinions may be shown now
    if (current === flag) await attempt(() => drawAnew(flag)); // gone back to before the answer came
  } catch (error) {
    undone = undone.filter((entry) => entry.ids[0] !== flag.flag_id);
    remember();
    place = at;
    await attempt(show);
    tell(error.message, true);
  }
}

/** The flag that is shown, as it stands now, with what was begun on it meanwhile. */
async function drawAnew(flag) {
  const fresh = await fetched(flag.flag_id);
  if (current !== flag) return;
  fresh.draft = { ...flag.draft, comment: $("said").value, shown: $("may-be-shown").checked };
  draw(fresh);
}

function remember(entry) {
  if (entry) undone.push(entry);
  $("undo").disabled = $("grid-undo").disabled = !undone.length;
}

async function undo() {
  const last = undone.pop();
  if (!last) return;
  remember();
  await attempt(async () => {
    const again = last.ids.filter((id) => last.before?.[id]);
    const none = last.ids.filter((id) => !last.before?.[id]);
    const back = again.map((id) => send("review/verdicts", { flag_id: id, back_to: last.before[id], client_token: `${id}-${newToken()}` }));
    if (none.length) back.push(send("review/verdicts/bulk", { flag_ids: none, decision: "withdrawn", client_token: newToken() }));
    await Promise.all(back);
    for (const id of last.ids) facts.delete(id);
    const gone = last.ids.filter((id) => !ids.includes(id)); // the grid leaves out what was judged in it
    ids.splice(last.at, 0, ...gone);
    if (gridIsOpen()) {
      place = last.at;
      await drawGrid();
    } else {
      place = last.at;
      await show();
    }
    tell(again.length ? "Taken back: your verdict before it stands again." : "Taken back.");
  });
}
