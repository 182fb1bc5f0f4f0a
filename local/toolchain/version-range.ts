/** A half-open range of versions: `min` is in, `below` is not. */
export interface VersionRange {
  readonly min: string;
  readonly below?: string;
}

/** Compares two versions of dot-separated numbers; missing parts are zero. */
export function compareVersions(left: string, right: string): number {
  const a = left.split(".").map(Number);
  const b = right.split(".").map(Number);
  for (let index = 0; index < Math.max(a.length, b.length); index++) {
    const difference = (a[index] ?? 0) - (b[index] ?? 0);
    if (difference !== 0) return difference;
  }
  return 0;
}

/** Whether a version lies in a range. */
export function isAccepted(version: string, range: VersionRange): boolean {
  if (compareVersions(version, range.min) < 0) return false;
  return range.below === undefined || compareVersions(version, range.below) < 0;
}

/** `1.34.0 to below 1.35.0`, for messages. */
export function describeRange(range: VersionRange): string {
  return range.below === undefined ? `${range.min} or later` : `${range.min} to below ${range.below}`;
}
