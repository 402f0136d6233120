"use strict";
// Values under the pointer, variants on and off, and films from dots. The page is whole without it.
(() => {
  const SVG = "http://www.w3.org/2000/svg";
  const off = new Set();
  const tip = document.createElement("div");
  tip.id = "tip";
  tip.hidden = true;
  tip.setAttribute("role", "status");
  document.body.append(tip);
  const say = (rows, event) => {
    tip.replaceChildren(...rows.map((row) => Object.assign(document.createElement("div"), {textContent: row})));
    tip.hidden = !rows.length;
    tip.style.left = Math.max(0, Math.min(event.clientX + 14, innerWidth - tip.offsetWidth - 8)) + "px";
    const above = event.clientY - tip.offsetHeight - 12;
    tip.style.top = (above < 0 ? event.clientY + 18 : above) + "px";
  };

  // Dots: which run each is, and its film.
  for (const figure of document.querySelectorAll("[data-marks]")) {
    for (const row of JSON.parse(figure.dataset.marks)) {
      const group = document.getElementById(row.id);
      if (!group) continue;
      group.querySelectorAll("use").forEach((dot, place) => {
        const run = row.runs[place];
        if (!run) return;
        const told = row.variant + ", seed " + run.seed + ": " + run.shown + (run.film ? " (click: film)" : "");
        dot.style.pointerEvents = "all";
        dot.addEventListener("pointerenter", (event) => say([told], event));
        dot.addEventListener("pointerleave", (event) => say([], event));
        if (!run.film) return;
        dot.style.cursor = "pointer";
        dot.addEventListener("click", () => { location.href = run.film; });
      });
    }
  }

  // Lines: their values at the step that is nearest to the pointer.
  const isOn = (line) => !line.variants.some((variant) => off.has(variant));
  const nearest = (line, x) => line.x.reduce((best, at, place) => (Math.abs(at - x) < Math.abs(line.x[best] - x) ? place : best), 0);
  const seenAt = (panel, lines, x, y, height) => {
    const own = panel.own.map((place) => lines[place]).filter(isOn);
    const others = lines.filter((line, place) => isOn(line) && !panel.own.includes(place));
    const near = [...own, ...others].map((line) => ({line, place: nearest(line, x)}));
    if (!near.length) return null;
    const distance = (one) => Math.abs(one.line.x[one.place] - x);
    const first = near.reduce((best, one) => (distance(one) < distance(best) ? one : best));
    const step = first.line.steps[first.place];
    const here = near.filter((one) => one.line.steps[one.place] === step);
    const off_by = (one) => Math.abs(one.line.y[one.place] - y) * height;
    const beside = here.slice().filter((one) => others.includes(one.line)).sort((one, other) => off_by(one) - off_by(other))[0];
    const told = here.filter((one) => own.includes(one.line));
    if (beside && off_by(beside) < 10) told.push(beside);
    return told.length ? {step, at: first.line.x[first.place], told} : null;
  };
  const draw = (name, attributes, group) => {
    const mark = document.createElementNS(SVG, name);
    for (const [key, value] of Object.entries(attributes)) mark.setAttribute(key, value);
    group.append(mark);
  };
  for (const figure of document.querySelectorAll("[data-hover]")) {
    const {panels, lines} = JSON.parse(figure.dataset.hover);
    for (const panel of panels) {
      const group = document.getElementById(panel.id);
      const ground = group && group.querySelector("path");
      if (!ground) continue;
      const cursor = document.createElementNS(SVG, "g");
      cursor.classList.add("cursor");
      group.append(cursor);
      ground.style.pointerEvents = "all";
      const show = (event) => {
        const seen = ground.getBoundingClientRect(), box = ground.getBBox();
        const x = (event.clientX - seen.left) / seen.width, y = 1 - (event.clientY - seen.top) / seen.height;
        const found = x < 0 || x > 1 || y < 0 || y > 1 ? null : seenAt(panel, lines, x, y, seen.height);
        cursor.replaceChildren();
        if (!found) return say([], event);
        const place = box.x + found.at * box.width;
        draw("line", {x1: place, x2: place, y1: box.y, y2: box.y + box.height}, cursor);
        for (const one of found.told)
          draw("circle", {cx: place, cy: box.y + (1 - one.line.y[one.place]) * box.height, r: 3}, cursor);
        say(["step " + found.step, ...found.told.map((one) => one.line.label + " " + one.line.told[one.place])], event);
      };
      group.addEventListener("pointermove", show);
      group.addEventListener("pointerdown", show);
      group.addEventListener("pointerleave", (event) => { cursor.replaceChildren(); say([], event); });
    }
  }

  // Variants on and off, in all figures at once.
  const box = document.getElementById("variants");
  if (!box) return;
  const rules = document.head.appendChild(document.createElement("style"));
  box.hidden = false;
  box.addEventListener("click", (event) => {
    const button = event.target.closest("button");
    if (!button) return;
    const variant = Number(button.dataset.of);
    if (!off.delete(variant)) off.add(variant);
    button.setAttribute("aria-pressed", String(!off.has(variant)));
    const hidden = [...off].map((one) => `svg [data-variant~="${one}"], svg [data-variant~="${one}"] *`);
    rules.textContent = hidden.length ? `${hidden.join(", ")} { visibility: hidden; pointer-events: none !important; }` : "";
  });
})();
