// Theme and size of the text, as chosen. A module of its own, because it has to run before the
// page is drawn for the first time: the page asks for it with `blocking="render"`.

import { settings } from './settings.js';

const root = document.documentElement;

function show() {
  const theme = settings.get('theme');
  root.dataset.theme = theme;
  root.dataset.textSize = settings.get('textSize');
  for (const meta of document.querySelectorAll('meta[name="theme-color"]')) {
    const { scheme } = meta.dataset; // which of the two colours a phone gives its own frame
    if (theme === 'auto') meta.media = `(prefers-color-scheme: ${scheme})`;
    else meta.media = scheme === theme ? 'all' : 'not all';
  }
}

settings.onChange(show);
show();
