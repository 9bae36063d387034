// Each slice is sent as one whole WAV. This module writes that format, so that the microphone's
// tail and the sample are written exactly as RecordRTC writes its slices.

export const HEADER_BYTES = 44;
const BYTES_PER_SAMPLE = 2;

/** Return a mono 16-bit WAV (ArrayBuffer) of the Float32Array `samples`. */
export function encodeWav(samples, rate) {
  const dataBytes = samples.length * BYTES_PER_SAMPLE;
  const view = new DataView(new ArrayBuffer(HEADER_BYTES + dataBytes));
  writeText(view, 0, 'RIFF');
  view.setUint32(4, HEADER_BYTES - 8 + dataBytes, true);
  writeText(view, 8, 'WAVEfmt ');
  view.setUint32(16, 16, true); // length of the fmt chunk
  view.setUint16(20, 1, true); // PCM
  view.setUint16(22, 1, true); // channels
  view.setUint32(24, rate, true);
  view.setUint32(28, rate * BYTES_PER_SAMPLE, true);
  view.setUint16(32, BYTES_PER_SAMPLE, true);
  view.setUint16(34, 8 * BYTES_PER_SAMPLE, true);
  writeText(view, 36, 'data');
  view.setUint32(40, dataBytes, true);
  samples.forEach((sample, index) => {
    const clipped = Math.max(-1, Math.min(1, sample)); // setInt16 would wrap around: a loud click
    view.setInt16(HEADER_BYTES + index * BYTES_PER_SAMPLE, clipped * 0x7fff, true);
  });
  return view.buffer;
}

/** Return the WAV (ArrayBuffer) without its first `frames` frames. */
export function cutWav(wav, frames) {
  const view = new DataView(wav.slice(0));
  const dataBytes = wav.byteLength - HEADER_BYTES - frames * BYTES_PER_SAMPLE;
  const cut = new Uint8Array(HEADER_BYTES + dataBytes);
  view.setUint32(4, HEADER_BYTES - 8 + dataBytes, true);
  view.setUint32(40, dataBytes, true);
  cut.set(new Uint8Array(view.buffer, 0, HEADER_BYTES));
  cut.set(new Uint8Array(wav, HEADER_BYTES + frames * BYTES_PER_SAMPLE), HEADER_BYTES);
  return cut.buffer;
}

/** Return how many frames a mono 16-bit WAV of `bytes` bytes holds. */
export function framesIn(bytes) {
  return (bytes - HEADER_BYTES) / BYTES_PER_SAMPLE;
}

function writeText(view, offset, text) {
  for (let i = 0; i < text.length; i += 1) view.setUint8(offset + i, text.charCodeAt(i));
}
