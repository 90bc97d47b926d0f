// The overview's failures: each query beside its first prediction.
"use strict";

function failure(query) {
  const first = REPORT.top.index[query][0];
  const pictures = element("a", { href: `gallery.html#query=${query}`, className: "pair" },
    picture("query", query), picture("database", first));
  pictures.setAttribute("aria-label", `Query ${query} and its predictions in the gallery`);
  return element("li", {}, pictures, element("p", {}, `Query ${query}, `, metres(REPORT.top.metres[query][0]), " away"),
    element("p", { className: "small" }, verdictElement(query)));
}

document.getElementById("worst")?.replaceChildren(...WORST.map(failure));
