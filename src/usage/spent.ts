export type Sums = { tokensToday: number; creditsToday: number; creditsThisMonth: number };

/** What somebody has spent in the current day and month of UTC. */
export type Spent = {
  /** As of `now`: a new day or month begins with nothing spent. */
  sums(now: number): Readonly<Sums>;
  /** Something spent by a request of the instant `at`. */
  add(at: number, spent: { tokens: number; credits: number }, now: number): void;
};

const DAY_MS = 86_400_000;

export function createSpent(start: { day: number; month: number } & Sums): Spent {
  const { tokensToday, creditsToday, creditsThisMonth } = start;
  let { day, month } = start;
  const sums = { tokensToday, creditsToday, creditsThisMonth };

  /** A clock that steps back takes nothing away, and the day that it steps back to ends like any other. */
  function turn(now: number): void {
    if (dayOf(now) > day) {
      sums.tokensToday = 0;
      sums.creditsToday = 0;
    }
    if (monthOf(now) > month) sums.creditsThisMonth = 0;
    day = dayOf(now);
    month = monthOf(now);
  }

  return {
    sums(now) {
      turn(now);
      return sums;
    },
    add(at, { tokens, credits }, now) {
      turn(now);
      if (dayOf(at) >= day) {
        sums.tokensToday += tokens;
        sums.creditsToday += credits;
      }
      if (monthOf(at) >= month) sums.creditsThisMonth += credits;
    },
  };
}

/** The start of its day in UTC; all in milliseconds since the epoch. */
export function dayOf(now: number): number {
  return now - (now % DAY_MS);
}

export function dayAfter(now: number): number {
  return dayOf(now) + DAY_MS;
}

export function monthOf(now: number): number {
  const date = new Date(now);
  return Date.UTC(date.getUTCFullYear(), date.getUTCMonth(), 1);
}

export function monthAfter(now: number): number {
  return monthOf(monthOf(now) + 31 * DAY_MS);
}
