// Sorts the table: by the buttons of its head, or by the menu above it where the head is hidden.
"use strict";

const body = document.querySelector(".board tbody");
const heads = [...document.querySelectorAll(".board thead th")];
const menu = document.getElementById("sort");
let column = Number(menu.value);
let falling = true;

function valueOf(row) {
  if (column < 0) return row.cells[0].textContent.trim();
  const text = row.cells[column + 1].dataset.value;
  return text === "" ? null : Number(text);
}

function compare(a, b) {
  const [one, other] = [valueOf(a), valueOf(b)];
  if (one === null || other === null) return (one === null) - (other === null); // always last
  const order = column < 0 ? one.localeCompare(other) : one - other;
  return falling ? -order : order;
}

function sort() {
  body.append(...[...body.rows].sort(compare));
  menu.value = String(column);
  heads.forEach((head, number) => {
    if (number === column + 1) head.setAttribute("aria-sort", falling ? "descending" : "ascending");
    else head.removeAttribute("aria-sort");
  });
  document.getElementById("status").textContent =
    `${body.rows.length} runs by ${menu.selectedOptions[0].textContent}, ${falling ? "largest" : "smallest"} first`;
}

function choose(chosen) {
  const name = chosen < 0 ? "run" : menu.options[chosen + 1].textContent;
  falling = chosen === column ? !falling : /@\d/.test(name);
  column = chosen;
  sort();
}

for (const button of document.querySelectorAll("[data-column]")) {
  button.addEventListener("click", () => choose(Number(button.dataset.column)));
}
menu.addEventListener("change", () => choose(Number(menu.value)));
document.getElementById("turn").addEventListener("click", () => choose(column));
sort();
