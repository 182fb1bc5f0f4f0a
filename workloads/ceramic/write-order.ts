/**
 * This worker's writes, in order by stream. A peer's feed tells the newest state of a stream only: what came before it
 * shows there too, though it may never be told.
 */
export class WriteOrder {
  readonly #streams = new Map<string, string[]>();
  readonly #places = new Map<string, { readonly stream: string; readonly place: number }>();
  /** By member and stream: how many of its writes were told. */
  readonly #told = new Map<string, number>();
  /** By member: writes that were told, over all streams. */
  readonly #sums = new Map<number, number>();

  /** Takes note of a write before it is sent, so that it is known whenever it shows. */
  add(stream: string, event: string): void {
    const events = this.#streams.get(stream) ?? [];
    this.#streams.set(stream, events);
    this.#places.set(event, { stream, place: events.push(event) - 1 });
  }

  /**
   * The writes that show at a member now that one does: itself, and those before it; without those that were told
   * before, for js-ceramic tells each new stream twice.
   */
  shownBy(member: number, event: string): readonly string[] {
    const found = this.#places.get(event);
    if (found === undefined) {
      return []; // somebody else's
    }
    const key = `${member} ${found.stream}`;
    const told = this.#told.get(key) ?? 0;
    this.#told.set(key, Math.max(told, found.place + 1));
    const shown = (this.#streams.get(found.stream) ?? []).slice(told, found.place + 1);
    this.#sums.set(member, (this.#sums.get(member) ?? 0) + shown.length);
    return shown;
  }

  /** Whether there are writes that were not told at a member; one that failed never is. */
  isBehind(member: number): boolean {
    return (this.#sums.get(member) ?? 0) < this.#places.size;
  }
}
