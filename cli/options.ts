import { InvalidArgumentError } from "commander";

/** An option that may be repeated, and takes several values with commas between. */
export const listed = (text: string, before: readonly string[] = []): string[] => [...before, ...text.split(",")];

/** An option that is a whole number from 1. */
export function wholeNumber(text: string): number {
  const value = Number(text);
  if (!Number.isInteger(value) || value < 1) {
    throw new InvalidArgumentError("It is a whole number from 1.");
  }
  return value;
}
