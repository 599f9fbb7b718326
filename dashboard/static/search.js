// Tells the log of searches what was done with a result. The page works without it.
"use strict";

function tell(article, event) {
  return fetch(article.dataset.events, {
    method: "POST",
    headers: { "Content-Type": "application/json" },
    body: JSON.stringify({ event }),
    keepalive: true, // also when the page is left at once
  }).then((answer) => answer.ok, () => false);
}

for (const article of document.querySelectorAll("article[data-events]")) {
  const said = article.querySelector(".said");
  const buttons = said.querySelectorAll("button");
  let waiting = false;

  said.hidden = false;
  for (const button of buttons) {
    button.addEventListener("click", async () => {
      if (waiting) return;
      waiting = true;
      const pressed = button.getAttribute("aria-pressed") === "true";
      const saved = await tell(article, pressed ? "withdrawn" : button.value);
      said.querySelector("[role=status]").textContent = saved ? "" : "not saved";
      if (saved) {
        for (const other of buttons) other.setAttribute("aria-pressed", other === button && !pressed);
      }
      waiting = false;
    });
  }
  for (const details of article.querySelectorAll("details")) {
    details.addEventListener("toggle", () => tell(article, "opened"), { once: true });
  }
}
