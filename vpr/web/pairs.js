// Two photos side by side, and lines between the points that a geometry matches.
"use strict";

const POINT = 2; // pixels, radius

// left, right: loaded images; pairs: x and y in the left and in the right one, in shares of width and height.
function drawPairs(left, right, pairs, label) {
  const canvas = document.createElement("canvas");
  const height = Math.max(left.naturalHeight, right.naturalHeight); // the smaller is scaled up to the same
  const widths = [left, right].map((image) => Math.round(image.naturalWidth * height / image.naturalHeight));
  Object.assign(canvas, { width: widths[0] + widths[1], height });
  canvas.setAttribute("role", "img");
  canvas.setAttribute("aria-label", label);
  const pen = canvas.getContext("2d");
  pen.drawImage(left, 0, 0, widths[0], height);
  pen.drawImage(right, widths[0], 0, widths[1], height);
  pen.lineWidth = Math.max(1, height / 400);
  for (const [x, y, X, Y] of pairs) {
    const ends = [[x * widths[0], y * height], [widths[0] + X * widths[1], Y * height]];
    pen.strokeStyle = `hsl(${288 * x} 90% 55%)`; // by its place in the left photo
    pen.beginPath();
    pen.moveTo(...ends[0]);
    pen.lineTo(...ends[1]);
    pen.stroke();
    for (const end of ends) {
      pen.beginPath();
      pen.arc(...end, POINT * pen.lineWidth, 0, 2 * Math.PI);
      pen.stroke();
    }
  }
  return canvas;
}
