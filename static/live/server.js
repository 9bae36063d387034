// The server's state before anybody speaks: its model, and warnings that its users should see.

const ASK_AGAIN_MS = 2_000;

/** Return why the server does not let this page in with `key`: {code, message}. Null if it would. */
export async function whyNot(address, key) {
  const headers = key ? { Authorization: `Bearer ${key}` } : {};
  const answer = await fetch(address, { headers }).catch(() => null);
  if (!answer || answer.ok) return null;
  const told = await answer.json().catch(() => null);
  return told?.error ?? null;
}

/**
 * Ask until the server is ready, or reports that it cannot be.
 *
 * @param address where the server reports its readiness, relative to the page
 * @param server  the callbacks: `onReady` gets {model, warnings}, `onTrouble` a text
 */
export async function meetServer(address, { onReady, onTrouble }) {
  for (;;) {
    const answer = await fetch(address).catch(() => null);
    const known = answer && await answer.json().catch(() => null);
    if (!known) return; // another server, or none: Start will report it
    if (answer.ok) {
      onReady(known);
      return;
    }
    if (known.status !== 'loading') {
      onTrouble(known.status);
      return;
    }
    await new Promise((resolve) => { setTimeout(resolve, ASK_AGAIN_MS); });
  }
}
