// Replaces the part of the page marked data-live with the server's newest version of it, while somebody looks at it.
// Without this script every page works the same; it is only not renewed by itself.
const part = document.querySelector("[data-live]");
const pause = document.querySelector("[data-pause]");
const EVERY = 3000;
let known = "";
let paused = false;

const busy = () => part.querySelector("details[open]") || part.contains(document.activeElement) || String(getSelection());

async function renew() {
  if (!document.hidden && !paused && !busy()) {
    try {
      const answer = await fetch(part.dataset.live, { headers: known ? { "If-None-Match": known } : {} });
      if (answer.status === 401) return location.assign("/sign-in");
      if (answer.status === 200) {
        known = answer.headers.get("ETag") || "";
        const text = await answer.text();
        if (!busy()) part.innerHTML = text; // made by our own templates, which escape every value
      }
      document.body.classList.toggle("away", answer.status >= 500);
    } catch {
      document.body.classList.add("away");
    }
  }
  setTimeout(renew, EVERY);
}

if (part) {
  setTimeout(renew, EVERY);
  pause.hidden = false;
  pause.addEventListener("click", () => {
    paused = !paused;
    pause.setAttribute("aria-pressed", String(paused));
    pause.textContent = paused ? "Go on" : "Pause";
  });
}

// Opens or closes all parts of a timeline at once.
for (const button of document.querySelectorAll("[data-open]")) {
  button.hidden = false;
  button.addEventListener("click", () => {
    const open = button.dataset.open === "yes";
    for (const one of document.querySelectorAll("ol.timeline details")) one.open = open;
  });
}
