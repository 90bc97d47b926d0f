// The page: a photo, and what it is like.
"use strict";

const TOP = 5;
const VERDICTS = {known: "This place is known.", unsure: "Unsure which place this is.", unknown: "This place is not known."};
const at = (id) => document.getElementById(id);

async function locate(file) {
  at("status").textContent = "Looking for the place…";
  at("answer").hidden = true;
  try {
    const {located: [found]} = await locatePhotos([{blob: file, name: file.name}], TOP);
    const pictures = await Promise.all(found.matches.map(({image}) => loadPicture(image)));
    at("verdict").textContent = VERDICTS[found.state] ?? "The most similar place.";
    at("reason").textContent = ["By the distance of descriptors, not verified by matching points.",
      found.probability === null ? "" : `Probability that the first match is right: ${found.probability.toFixed(3)}.`].join(" ");
    at("matches").replaceChildren(...found.matches.map((match, number) => {
      const item = document.createElement("li"), image = new Image();
      item.className = "card";
      image.src = URL.createObjectURL(pictures[number]);
      item.append(image, ` ${match.database}, distance ${match.distance.toFixed(3)}, ${match.easting} E ${match.northing} N`);
      return item;
    }));
    at("answer").hidden = false;
    at("status").textContent = "";
  } catch (error) {
    at("status").textContent = error.message;
  }
}

at("file").addEventListener("change", ({target}) => target.files.length && locate(target.files[0]));
loadPlaces().then(({easting}) => { at("status").textContent = `This map has ${easting.length} places.`; },
  (error) => { at("status").textContent = error.message; });
