// Looks whether the order has moved on, less and less often, and shows its page anew when it has.
"use strict";
(() => {
  const order = document.getElementById("order");
  const pausesSeconds = [1, 1, 1, 2, 2, 3, 5, 8];
  const maxPauseSeconds = 15;
  let polls = 0;
  let timer;

  async function look() {
    if (document.visibilityState === "visible") {
      polls += 1;
      try {
        const answer = await fetch(order.dataset.url, { cache: "no-store", signal: AbortSignal.timeout(5000) });
        if (answer.ok && (await answer.json()).state !== order.dataset.state) return location.reload();
      } catch { /* away for a moment: the next look will tell */ }
    }
    schedule();
  }

  function schedule() {
    clearTimeout(timer);
    timer = setTimeout(look, 1000 * (pausesSeconds[polls] ?? maxPauseSeconds));
  }

  document.addEventListener("visibilitychange", () => { if (document.visibilityState === "visible") look(); });
  schedule();
})();
