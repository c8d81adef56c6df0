const FOREIGN = /[^A-Za-z0-9+/]/;

/**
 * Standard, padded base64 of what a client calls base64: with a `data:…,` prefix, white space, the URL-safe alphabet,
 * missing padding. Undefined where nothing is left or it is no base64. Valid input is scanned once and not copied.
 */
export function standardBase64(text: string): string | undefined {
  const prefix = /^\s*data:[^,]*,/i.exec(text)?.[0].length ?? 0;
  let digits = withoutPadding(text.slice(prefix));
  if (FOREIGN.test(digits)) {
    digits = withoutPadding(digits.replace(/\s+/g, "").replaceAll("-", "+").replaceAll("_", "/"));
    if (FOREIGN.test(digits)) return undefined;
  }
  if (digits === "" || digits.length % 4 === 1) return undefined;
  return digits.padEnd(Math.ceil(digits.length / 4) * 4, "=");
}

function withoutPadding(text: string): string {
  let end = text.length;
  while (text[end - 1] === "=") end -= 1;
  return text.slice(0, end);
}
