// What a screen reader, a keyboard or weak eyes stumble over on a page: what a script can tell of WCAG 2.2's rules.
() => {
  const faults = [], visible = (e) => e.checkVisibility({ opacityProperty: true, visibilityProperty: true });
  const all = (what) => [...document.querySelectorAll(what)].filter(visible);
  const called = (e) => `${e.tagName.toLowerCase()}${e.id ? `#${e.id}` : ''} ${(e.textContent || '').trim().slice(0, 30)}`;
  const fault = (rule, e) => faults.push(`${rule}: ${typeof e === 'string' ? e : called(e)}`);

  // names: of what is operated, and of what is seen
  const referred = (e) => (e.getAttribute('aria-labelledby') || '').split(/\s+/).filter(Boolean);
  const name = (e) => (e.getAttribute('aria-label') || referred(e).map((id) => document.getElementById(id)?.textContent || '').join(' ')
    || [...(e.labels || [])].map((l) => l.textContent).join(' ') || (e.matches('a, button, summary') ? e.textContent : '') || e.title || '').trim();
  for (const e of all('a[href], button, input, select, textarea, summary, [role=img], [role=group], section, nav, fieldset')) {
    if (e.matches('fieldset') ? !e.querySelector('legend')?.textContent.trim() : !name(e)) fault('no name', e);
  }
  for (const e of all('svg, canvas')) if (!e.closest('[role=img], [aria-hidden=true]')) fault('a picture without a role', e);
  for (const e of all('img')) if (!e.hasAttribute('alt') || (!e.alt && !e.closest('[aria-hidden=true]'))) fault('no alt text', e);
  const same = {};
  for (const e of all('section, nav, [role=group]')) {
    const key = `${e.tagName} ${name(e)}`;
    if (same[key]) fault('a name that another has', e);
    same[key] = true;
  }

  // the document: its language, title, headings, landmarks and ids
  if (!document.documentElement.lang) fault('no language', 'html');
  if (!document.title.trim()) fault('no title', 'html');
  if (all('h1').length !== 1 || all('main').length !== 1) fault('h1 and main are there once', 'body');
  let level = 0;
  for (const e of all('h1, h2, h3, h4, h5, h6')) {
    if (+e.tagName[1] > level + 1) fault('a heading that skips a level', e);
    level = +e.tagName[1];
  }
  const ids = new Set();
  for (const { id } of document.querySelectorAll('[id]')) {
    if (ids.has(id)) fault('an id twice', id);
    ids.add(id);
  }
  for (const e of document.querySelectorAll('[aria-labelledby], [aria-describedby], [aria-controls], label[for]')) {
    for (const what of ['aria-labelledby', 'aria-describedby', 'aria-controls', 'for']) {
      for (const id of (e.getAttribute(what) || '').split(/\s+/).filter(Boolean)) if (!ids.has(id)) fault(`${what} of nothing`, e);
    }
  }

  // the keyboard reaches what scrolls, and a finger hits what is pressed
  for (const e of all('body *')) {
    const style = getComputedStyle(e);
    const scrolls = e.scrollWidth > e.clientWidth + 1 && /auto|scroll/.test(style.overflowX) && e.clientWidth;
    if (scrolls && e.tabIndex < 0 && !e.querySelector('a, button, input, select, [tabindex]')) fault('scrolls without the keyboard', e);
  }
  for (const e of all('a[href], button, input, select, textarea, summary')) {
    const box = (['checkbox', 'radio'].includes(e.type) ? e.closest('label') || e : e).getBoundingClientRect();
    const inline = e.matches('a') && getComputedStyle(e).display === 'inline'; // a link within a sentence
    if (!inline && Math.min(box.width, box.height) < 24) fault('smaller than 24 pixels', e);
  }

  // words: within a landmark, and told from what is behind them, in drawings, too
  const canvas = document.createElement('canvas').getContext('2d', { willReadFrequently: true });
  const rgba = (colour) => {
    canvas.clearRect(0, 0, 1, 1); canvas.fillStyle = colour; canvas.fillRect(0, 0, 1, 1);
    const [r, g, b, a] = canvas.getImageData(0, 0, 1, 1).data; return [r, g, b, a / 255];
  };
  const over = ([r, g, b, a], under) => [r, g, b].map((v, i) => a * v + (1 - a) * under[i]);
  const behind = (e) => {
    if (!e) return rgba(getComputedStyle(document.documentElement).colorScheme.includes('dark') && matchMedia('(prefers-color-scheme: dark)').matches ? '#000' : '#fff').slice(0, 3);
    const box = e instanceof SVGElement ? e.querySelector(':scope > rect') : null; // a cell of a drawing
    return over(rgba(box ? getComputedStyle(box).fill.replace('none', 'transparent') : getComputedStyle(e).backgroundColor), behind(e.parentElement));
  };
  const linear = (v) => v <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4;
  const light = ([r, g, b]) => 0.2126 * linear(r / 255) + 0.7152 * linear(g / 255) + 0.0722 * linear(b / 255);
  const texts = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  while (texts.nextNode()) {
    const e = texts.currentNode.parentElement, words = texts.currentNode.data.trim();
    const box = e.getBoundingClientRect();
    if (!words || box.width < 2 || !visible(e) || e.closest(':disabled, script, style, option')) continue;
    if (!e.closest('header, nav, main, footer')) fault('words outside of every landmark', e);
    const style = getComputedStyle(e), size = parseFloat(style.fontSize), under = behind(e);
    let seen = 1;
    for (let one = e; one; one = one.parentElement) seen *= +getComputedStyle(one).opacity;
    const [r, g, b, a] = rgba(e instanceof SVGElement ? style.fill : style.color);
    const [x, y] = [light(over([r, g, b, a * seen], under)), light(under)];
    const ratio = (Math.max(x, y) + 0.05) / (Math.min(x, y) + 0.05), large = size >= 24 || (size >= 18.66 && +style.fontWeight >= 700);
    if (ratio < (large ? 3 : 4.5)) fault(`contrast ${ratio.toFixed(2)}`, e);
  }
  return [...new Set(faults)];
}
