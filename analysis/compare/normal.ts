/**
 * The standard normal distribution function, by Marsaglia's series (Journal of Statistical Software 11(4), 2004):
 * absolute error under 1e-15, which is more than a p-value or a bootstrap bound needs.
 */
export function normalCdf(x: number): number {
  if (Math.abs(x) > 8) {
    return x > 0 ? 1 : 0;
  }
  let sum = x;
  let term = x;
  for (let odd = 3; Math.abs(term) > 1e-17 * Math.abs(sum); odd += 2) {
    term *= (x * x) / odd;
    sum += term;
  }
  return 0.5 + sum * Math.exp(-0.5 * x * x - 0.5 * Math.log(2 * Math.PI));
}

/** The value a share `p` of a standard normal lies below, by halving; ±8 for shares that differ from 0 or 1 by less. */
export function normalQuantile(p: number): number {
  let [low, high] = [-8, 8];
  for (let step = 0; step < 60; step += 1) {
    const middle = (low + high) / 2;
    if (normalCdf(middle) < p) {
      low = middle;
    } else {
      high = middle;
    }
  }
  return (low + high) / 2;
}
