/**
 * One server-sent event as text, its blank line included. `data` is one line (JSON is); a line break in either argument
 * would let content end the event and start another, so it is refused with a `RangeError`.
 */
export function sseEvent(data: string, name?: string): string {
  if (/[\r\n]/.test(data)) throw new RangeError("the data of an event must be one line");
  if (name === undefined) return `data: ${data}\n\n`;
  if (/[\r\n]/.test(name)) throw new RangeError("the name of an event must be one line");
  return `event: ${name}\ndata: ${data}\n\n`;
}
