'use strict';
// The server enlarges pixels as they are stored; a browser turns a photo as its EXIF says.

/** The way up of a JPEG file, 1 to 8 as EXIF has it; 1 where it says nothing. */
async function orientationOf(file) {
  const view = new DataView(await file.slice(0, 65536).arrayBuffer());
  try {
    if (view.getUint16(0) !== 0xffd8) return 1;
    for (let at = 2; view.getUint8(at) === 0xff; at += 2 + view.getUint16(at + 2)) {
      const exif = 0x45786966;
      if (view.getUint16(at) !== 0xffe1 || view.getUint32(at + 4) !== exif) continue;
      const tiff = at + 10, little = view.getUint16(tiff) === 0x4949;
      const directory = tiff + view.getUint32(tiff + 4, little);
      for (let i = 0; i < view.getUint16(directory, little); i++) {
        const entry = directory + 2 + 12 * i;
        if (view.getUint16(entry, little) === 0x0112) return view.getUint16(entry + 8, little);
      }
    }
  } catch (error) {
    if (!(error instanceof RangeError)) throw error;  // the file ends here
  }
  return 1;
}

/** The file itself, or, where it is to be turned, a PNG of it the right way up. */
async function upright(file) {
  if (await orientationOf(file) === 1) return file;
  const bitmap = await createImageBitmap(file);
  const canvas = document.createElement('canvas');
  canvas.width = bitmap.width;
  canvas.height = bitmap.height;
  canvas.getContext('2d').drawImage(bitmap, 0, 0);
  return new Promise((resolve) => canvas.toBlob(resolve, 'image/png'));
}
