// Applies the chosen theme and text size. It is a module of its own, because it must run before
// the page is drawn for the first time: the page loads it with `blocking="render"`.

import { settings } from './settings.js';

const root = document.documentElement;

function show() {
  const theme = settings.get('theme');
  root.dataset.theme = theme;
  root.dataset.textSize = settings.get('textSize');
  for (const meta of document.querySelectorAll('meta[name="theme-color"]')) {
    const { scheme } = meta.dataset; // the scheme in which a phone's frame gets this colour
    if (theme === 'auto') meta.media = `(prefers-color-scheme: ${scheme})`;
    else meta.media = scheme === theme ? 'all' : 'not all';
  }
}

settings.onChange(show);
show();
