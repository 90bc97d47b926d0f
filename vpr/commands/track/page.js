// The path of a drive on the map of its places; a photo leads to its row of the table.
"use strict";

const CLASSES = { known: "right", unsure: "unsure" };

function draw() {
  const map = makeMap(document.getElementById("map"), PLACES, null, { zoomIn: "Zoom in", zoomOut: "Zoom out" });
  const parts = [[]]; // between photos that are off the map
  const dots = DRIVE.flatMap(({ photo, state, position }, number) => {
    if (position === null) {
      parts.push([]);
      return [];
    }
    const spot = spotOf(position);
    parts.at(-1).push(spot);
    const className = CLASSES[state];
    const radius = position.uncertainty_m;
    if (radius !== null) L.circle(spot, { radius, className: `circle ${className}`, interactive: false }).addTo(map.marks);
    const words = Object.assign(document.createElement("span"), { textContent: `${photo}: ${state}` }); // names are untrusted
    return L.circleMarker(spot, { radius: 5, fillOpacity: 1, className: `photo ${className}` }).bindTooltip(words)
      .on("click", () => { location.hash = `photo-${number}`; });
  });
  for (const part of parts) if (part.length > 1) L.polyline(part, { className: "walk", interactive: false }).addTo(map.marks);
  dots.forEach((dot) => dot.addTo(map.marks));
  if (dots.length) showSpots(map, parts.flat());
}

draw();
