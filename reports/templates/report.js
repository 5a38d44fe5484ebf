"use strict";
const items = [...document.querySelectorAll("details.item")];
const search = document.getElementById("search");
const boxes = [...document.querySelectorAll("input.filter")];

function apply() {
  const words = search.value.toLowerCase().split(/\s+/).filter(Boolean);
  const wanted = boxes.filter((box) => box.checked).map((box) => box.value);
  let scenarios = 0, requirements = 0;
  for (const item of items) {
    const verdicts = item.dataset.verdicts.split(" ");
    const shown = words.every((word) => item.dataset.text.includes(word)) &&
      (wanted.length === 0 || wanted.some((verdict) => verdicts.includes(verdict)));
    item.hidden = !shown;
    if (shown && item.id) item.classList.contains("scenario") ? ++scenarios : ++requirements;
  }
  for (const heading of document.querySelectorAll("h3.area")) {
    let node = heading.nextElementSibling, any = false;
    const block = node && node.classList.contains("matrix") ? node : null;
    if (block) any = block.querySelector("details.item:not([hidden])") !== null;
    else for (; node && node.tagName === "DETAILS"; node = node.nextElementSibling) any = any || !node.hidden;
    heading.hidden = !any;
    if (block) block.hidden = !any;
  }
  document.getElementById("shown").textContent = requirements + " requirements, " + scenarios + " scenarios";
}

function follow() {
  const there = location.hash && document.getElementById(decodeURIComponent(location.hash.slice(1)));
  if (!there) return;
  if (there.hidden) { search.value = ""; for (const box of boxes) box.checked = false; apply(); }
  if (there.tagName === "DETAILS") there.open = true;
  there.scrollIntoView();
}

search.addEventListener("input", apply);
for (const box of boxes) box.addEventListener("change", apply);
document.getElementById("expand").addEventListener("click", () => { for (const item of items) if (!item.hidden) item.open = true; });
document.getElementById("collapse").addEventListener("click", () => { for (const item of items) item.open = false; });
document.addEventListener("keydown", (event) => {
  if (event.key === "/" && document.activeElement !== search) { event.preventDefault(); search.focus(); search.select(); }
  if (event.key === "Escape" && document.activeElement === search) { search.value = ""; apply(); }
});
window.addEventListener("hashchange", follow);
apply();
follow();
