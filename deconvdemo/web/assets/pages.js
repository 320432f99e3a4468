// What our own pages beside the demo share: elements, messages, and questions to the server.

const $ = (id) => document.getElementById(id);
const make = (tag, props = {}, ...children) => {
  const element = Object.assign(document.createElement(tag), props);
  element.append(...children);
  return element;
};

class Unreachable extends Error {}

/** The reply's JSON, or the whole reply if it is something else. Errors carry a sentence for the person. */
async function ask(path, options = {}) {
  let reply;
  try {
    reply = await fetch(path, options);
  } catch {
    throw new Unreachable("The demo cannot be reached: nothing of yours is lost here, try again.");
  }
  if (reply.ok && !reply.headers.get("content-type")?.startsWith("application/json")) return reply;
  const said = await reply.json().catch(() => ({}));
  const refused = (words) => Object.assign(new Error(words), { status: reply.status });
  if (reply.status === 401 || reply.status === 404) throw refused(said.error ? `${said.error[0].toUpperCase()}${said.error.slice(1)}: reload this page.` : "This is not there any more: reload this page.");
  if (!reply.ok) throw refused(said.error || `The demo answered ${reply.status}: try again.`);
  return said;
}

/** A POST of JSON, or of a form; the header is one that no form of another site can send. */
function posted(body) {
  const headers = { "X-Deconvdemo": "page" };
  if (body instanceof FormData) return { method: "POST", headers, body };
  return { method: "POST", headers: { ...headers, "Content-Type": "application/json" }, body: JSON.stringify(body) };
}

const newToken = () => `${Date.now()}-${Math.random()}`;

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

/**
 * Keys of `table`, name → [words, pressed, released], while nothing is being typed and no dialog is open. A key held
 * down is one press of it.
 */
function listenToKeys(table) {
  let held = null; // the place of the key that is down and has something to do when it goes up
  const release = () => {
    held?.released();
    held = null;
  };
  pressOnce(document);
  document.addEventListener("keydown", (event) => {
    if (event.isComposing || isCommand(event) || document.querySelector("dialog[open]")) return;
    const field = fieldOf(event);
    if (field) {
      if (event.key === "Escape") field.blur();
      return;
    }
    const name = keyIn(table, event);
    if (!name) return;
    event.preventDefault();
    if (event.repeat) return;
    const [, pressed, released] = table[name];
    release();
    if (released) held = { code: event.code, released };
    pressed(event);
  });
  document.addEventListener("keyup", (event) => event.code === held?.code && release());
  window.addEventListener("blur", release); // the key goes up elsewhere
}

/** A dialog that shows the keys of `table`, and the button that opens it. */
function drawKeys(table) {
  const rows = make("dl", { id: "keys" });
  rows.append(
    ...Object.entries(table).flatMap(([key, [words]]) => [
      make("dt", {}, make("kbd", { textContent: key === " " ? "Space" : key.toUpperCase() })),
      make("dd", { textContent: words }),
    ]),
  );
  const close = make("form", { method: "dialog" }, make("button", { className: "plain", textContent: "Close" }));
  const dialog = make("dialog", { id: "help", ariaLabel: "Keys" }, make("h2", { textContent: "Keys" }), rows, close);
  document.body.append(dialog);
  $("help-open").onclick = () => dialog.showModal();
}
