/** A request that cannot be served, with the HTTP status it is answered with. */
export class Problem extends Error {
  readonly status: 400 | 401 | 404 | 409 | 413 | 500 | 502 | 503;

  constructor(status: Problem["status"], message: string, options?: ErrorOptions) {
    super(message, options);
    this.status = status;
  }
}
