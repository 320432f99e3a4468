// Verdicts: drawn at once, stored behind; what could not be stored comes back.

let sending = Promise.resolve(); // one after another: what is taken back was given before
let undone = []; // what can be taken back: the flags of one verdict, and where it was given

function send(path, body) {
  const sent = sending.then(() => sendOne(path, body));
  sending = sent.catch(() => {});
  return sent;
}

async function sendOne(path, body) {
  for (let tries = 0; ; tries++) {
    try {
      return await ask(path, posted(body));
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
  remember({ ids: [flag.flag_id], at });
  step(1);
  try {
    const saved = await send("review/verdicts", body);
    flag.mine = saved.mine;
    facts.delete(flag.flag_id); // others' opinions may be shown now
  } catch (error) {
    undone = undone.filter((entry) => entry.ids[0] !== flag.flag_id);
    remember();
    place = at;
    await attempt(show);
    tell(error.message, true);
  }
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
    await send("review/verdicts/bulk", { flag_ids: last.ids, decision: "withdrawn", client_token: newToken() });
    for (const id of last.ids) facts.delete(id);
    if (gridIsOpen()) await drawGrid();
    else {
      place = last.at;
      await show();
    }
    tell("Taken back.");
  });
}
