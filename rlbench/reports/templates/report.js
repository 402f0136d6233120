"use strict";
// Values on hover, variants on and off, and films from dots. The page is whole without it.
(() => {
  const tip = document.createElement("div");
  tip.id = "tip";
  tip.setAttribute("role", "status");
  document.body.append(tip);
  const say = (text, event) => {
    tip.textContent = text;
    tip.hidden = !text;
    tip.style.left = Math.max(0, Math.min(event.clientX + 14, innerWidth - tip.offsetWidth - 8)) + "px";
    tip.style.top = Math.max(0, event.clientY - tip.offsetHeight - 12) + "px";
  };
  tip.hidden = true;
  for (const figure of document.querySelectorAll("[data-marks]")) {
    for (const row of JSON.parse(figure.dataset.marks)) {
      const group = document.getElementById(row.id);
      if (!group) continue;
      group.dataset.variant = row.variant;
      group.querySelectorAll("use").forEach((dot, place) => {
        const run = row.runs[place];
        if (!run) return;
        dot.dataset.seed = run.seed;
        dot.style.pointerEvents = "all";
        dot.addEventListener("pointerenter", (event) =>
          say(row.variant + ", seed " + run.seed + ": " + run.shown + (run.film ? " (click: film)" : ""), event));
        dot.addEventListener("pointerleave", (event) => say("", event));
        if (run.film) {
          dot.style.cursor = "pointer";
          dot.addEventListener("click", () => { location.href = run.film; });
        }
      });
    }
  }
  const variants = [...new Set([...document.querySelectorAll("[data-variant]")].map((one) => one.dataset.variant))];
  const box = document.getElementById("variants");
  if (!box || variants.length < 2) return;
  for (const variant of variants) {
    const button = document.createElement("button");
    button.type = "button";
    button.textContent = variant;
    button.setAttribute("aria-pressed", "true");
    button.addEventListener("click", () => {
      const on = button.getAttribute("aria-pressed") !== "true";
      button.setAttribute("aria-pressed", String(on));
      for (const one of document.querySelectorAll("[data-variant]"))
        if (one.dataset.variant === variant) one.style.visibility = on ? "" : "hidden";
    });
    box.append(button);
  }
  box.hidden = false;
})();
