// What the server says of itself before anybody speaks: which model it has, and what its users should know.

const ASK_AGAIN_MS = 2_000;

/**
 * Ask until the server has its model, or has none.
 *
 * @param address of its readiness, relative to the page
 * @param server  hears of it: `onReady` with {model, warnings}, `onTrouble` with a sentence
 */
export async function meetServer(address, { onReady, onTrouble }) {
  for (;;) {
    const answer = await fetch(address).catch(() => null);
    const known = answer && await answer.json().catch(() => null);
    if (!known) return; // another server, or none: Start will tell
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
