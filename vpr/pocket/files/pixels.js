// Photos as the pipeline reads them: upright RGB, scaled as Pillow scales, to the last bit.

/** Decode a photo: {data, width, height}, RGB bytes row after row, scaled by the map's input rule. */
export async function readPhoto(blob, {max_side_px: longest, image_size: size}) {
  const bitmap = await createImageBitmap(blob, {
    imageOrientation: "from-image", colorSpaceConversion: "none", premultiplyAlpha: "none",
  });
  const {width, height} = bitmap, canvas = new OffscreenCanvas(width, height);
  const pen = canvas.getContext("2d", {willReadFrequently: true});
  pen.drawImage(bitmap, 0, 0);
  bitmap.close();
  const rgba = pen.getImageData(0, 0, width, height).data;
  const data = new Uint8ClampedArray(3 * width * height);
  for (let at = 0, from = 0; at < data.length; from += 4) {
    for (let channel = 0; channel < 3; channel++) data[at++] = rgba[from + channel];
  }
  return resize({data, width, height}, ...scaledSize(width, height, longest, size));
}

/** Width and height after scaling, as `scaled_size` of vpr/images/pixels.py. */
export function scaledSize(width, height, longest, size) {
  if (size) return [size[1], size[0]];
  const longer = Math.max(width, height);
  if (!longest || longer <= longest) return [width, height];
  return [width, height].map((side) => Math.max(1, roundHalfEven(side * (longest / longer))));
}

/** Scale RGB by Lanczos with antialiasing, across and then down, in Pillow's fixed-point numbers. */
export function resize(image, width, height) {
  const across = image.width === width ? image : pass(image, width, image.height, true);
  return image.height === height ? across : pass(across, width, height, false);
}

function pass(image, width, height, isAcross) {
  const [from, to] = isAcross ? [image.width, width] : [image.height, height];
  const step = 3 * (isAcross ? 1 : image.width); // from a pixel to the next one that is summed
  const data = new Uint8ClampedArray(3 * width * height);
  weightsOf(from, to).forEach(({first, weights}, target) => {
    for (let line = 0; line < (isAcross ? height : width); line++) {
      const start = isAcross ? 3 * image.width * line : 3 * line;
      const end = 3 * (isAcross ? width * line + target : width * target + line);
      for (let channel = 0; channel < 3; channel++) {
        let sum = HALF, at = start + first * step + channel;
        for (let tap = 0; tap < weights.length; tap++, at += step) sum += image.data[at] * weights[tap];
        data[end + channel] = Math.floor(sum / ONE);
      }
    }
  });
  return {data, width, height};
}

const ONE = 2 ** 22, HALF = 2 ** 21, LOBES = 3;

function weightsOf(from, to) {
  const scale = from / to, wide = Math.max(1, scale), support = LOBES * wide;
  return Array.from({length: to}, (_, target) => {
    const centre = (target + 0.5) * scale;
    const first = Math.max(0, Math.trunc(centre - support + 0.5));
    const end = Math.min(from, Math.trunc(centre + support + 0.5));
    const taps = Array.from({length: end - first},
      (_, tap) => lanczos((tap + first - centre + 0.5) / wide));
    const total = taps.reduce((sum, weight) => sum + weight, 0);
    const fixed = (value) => Math.trunc(value * ONE + (value < 0 ? -0.5 : 0.5));
    return {first, weights: taps.map((weight) => fixed(weight / total))};
  });
}

function lanczos(x) {
  return Math.abs(x) < LOBES ? sinc(x) * sinc(x / LOBES) : 0;
}

function sinc(x) {
  return x === 0 ? 1 : Math.sin(Math.PI * x) / (Math.PI * x);
}

function roundHalfEven(value) {
  const rounded = Math.round(value);
  return value % 1 === 0.5 && rounded % 2 ? rounded - 1 : rounded;
}
