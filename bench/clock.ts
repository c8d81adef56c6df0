/** Microseconds since the epoch on a clock that does not step; the same in all processes of the machine. */
export function nowUs(): number {
  return (performance.timeOrigin + performance.now()) * 1_000;
}
