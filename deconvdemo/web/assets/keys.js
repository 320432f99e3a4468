// Which of a page's keys was pressed, on any keyboard: what is printed on the key wins (A is where AZERTY and Dvorak
// have it); where nothing of ours is printed there (Cyrillic, Greek, Hebrew, kana), the key's place on it counts.

const TYPED_IN = "input:not([type=checkbox], [type=radio], [type=range], [type=button], [type=submit], [type=file]), textarea, select, [contenteditable]";
const BRACKETS = { BracketLeft: "[", BracketRight: "]" }; // brush sizes; in many languages letters lie there

let latin = true; // whether the last letter that was pressed was a Latin one

/** The field that a key is typed in, or nothing. */
const fieldOf = (event) => event.target.closest?.(TYPED_IN);

/** The name that `table` has for the key of this event, "" for none: letters are in lower case there. */
function keyIn(table, event) {
  const known = (name) => (Object.hasOwn(table, name) ? name : "");
  if (event.isComposing || event.keyCode === 229) return ""; // part of a character that is not finished yet
  if (!event.key) return ""; // no key: a browser that fills a form in says "keydown", too
  const printed = event.key.length === 1 ? event.key.toLowerCase() : event.key;
  const letter = /^\p{L}$/u.test(printed);
  if (letter) latin = /\p{Script=Latin}/u.test(printed);
  if (known(printed) || printed.length > 1 || /[a-z]/.test(printed) || event.getModifierState("AltGraph")) return known(printed);
  const [, row, place] = /^(Key|Digit)(.)$/.exec(event.code) || [];
  // AZERTY's and Czech digits need Shift, so there the key without it is meant, too; elsewhere Shift and 1 is a "!"
  if (row === "Digit") return event.shiftKey ? "" : known(place);
  // Hebrew has punctuation where Q and W are, as Dvorak does: the letter before tells which it is
  if (row === "Key") return letter || !latin ? known(place.toLowerCase()) : "";
  return letter ? known(BRACKETS[event.code] ?? "") : "";
}

/** Ctrl, Cmd or Alt is held: the browser's and the system's keys. AltGr, which is how some keyboards type "[", is not. */
const isCommand = (event) => (event.ctrlKey || event.metaKey || event.altKey) && !event.getModifierState?.("AltGraph");

/** Enter held down on a button or link is one press of it, where browsers make thirty a second of it. */
function pressOnce(root) {
  const again = (event) => event.repeat && event.key === "Enter" && event.target.closest?.("button, a, summary, [role=button], [role=tab]");
  root.addEventListener("keydown", (event) => again(event) && event.preventDefault(), true);
}
