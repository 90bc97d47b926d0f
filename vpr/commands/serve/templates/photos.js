// Photos on their way: turned upright and scaled down where that saves time and loses nothing.
"use strict";

const SENT_AS_IT_IS = ["image/jpeg", "image/png", "image/webp", "image/tiff", "image/bmp"];
const QUALITY = 0.95; // of JPEG

function inOrder(files) { // cameras count up
  return [...files].sort((a, b) => a.name.localeCompare(b.name, "en", { numeric: true }));
}

// The photo to send: the file itself if it is small, or if this browser cannot decode it.
// longest: pixels of the longer side; null: it keeps its size.
async function prepare(file, longest) {
  let bitmap;
  try {
    bitmap = await createImageBitmap(file, { imageOrientation: "from-image" });
  } catch {
    return file;
  }
  const scale = Math.min(1, (longest ?? Infinity) / Math.max(bitmap.width, bitmap.height));
  if (scale === 1 && SENT_AS_IT_IS.includes(file.type)) return file;
  const canvas = document.createElement("canvas");
  canvas.width = Math.round(bitmap.width * scale);
  canvas.height = Math.round(bitmap.height * scale);
  const pen = canvas.getContext("2d");
  pen.imageSmoothingQuality = "high";
  pen.drawImage(bitmap, 0, 0, canvas.width, canvas.height);
  bitmap.close();
  return await new Promise((done) => canvas.toBlob(done, "image/jpeg", QUALITY)) ?? file;
}
