import type { LoadObserver } from "./load.ts";

/** Tells one after the other. */
export function both(first: LoadObserver, second: LoadObserver): LoadObserver {
  return {
    offered: (operation, intendedUs) => {
      first.offered(operation, intendedUs);
      second.offered(operation, intendedUs);
    },
    sent: (operation, intendedUs) => {
      first.sent(operation, intendedUs);
      second.sent(operation, intendedUs);
    },
    dropped: (operation, intendedUs) => {
      first.dropped(operation, intendedUs);
      second.dropped(operation, intendedUs);
    },
    completed: (done) => {
      first.completed(done);
      second.completed(done);
    },
  };
}
