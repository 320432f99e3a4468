// Beside the flag button: what becomes of a flag that was just saved. Asks less and less often, and stops.

const FIRST_MS = 2000, LONGEST_MS = 60000, MOST_ASKS = 40;
const SAYS = {
  saved: "It will be published with the next batch.",
  private: "It is private until a reviewer lets it pass.",
  publishing: "It is being published.",
  published: "It is published.",
  erased: "It was erased.",
};

async function follow(line) {
  for (let asks = 0, wait = FIRST_MS; asks < MOST_ASKS && line.isConnected; asks++, wait = Math.min(wait * 1.5, LONGEST_MS)) {
    await new Promise((resolve) => setTimeout(resolve, wait));
    const reply = await fetch(`flags/${line.dataset.flag}`).catch(() => null);
    if (!reply || !reply.ok) continue;
    const now = await reply.json();
    line.textContent = SAYS[now.state] || "";
    if (now.state === "published" && now.url) {
      const link = document.createElement("a");
      Object.assign(link, { href: now.url, target: "_blank", rel: "noopener", textContent: `Revision ${now.revision.slice(0, 7)}` });
      line.append(" ", link);
    }
    if (now.helped_train) line.append(` It helped train ${now.helped_train.join(", ")}.`);
    if (now.state === "published" || now.state === "erased") return;
  }
}

const followed = new WeakSet();
new MutationObserver(() => {
  for (const line of element.querySelectorAll("[data-flag]")) {
    if (followed.has(line)) continue;
    followed.add(line);
    follow(line);
  }
}).observe(element, { childList: true, subtree: true });
