interface ExportResult {
  readonly code: number;
  readonly error?: Error;
}

interface Exporter<Batch> {
  export(batch: Batch, done: (result: ExportResult) => void): void;
}

/** Has an exporter tell of every batch whether it was taken: the SDK's processors keep failures to themselves. */
export function noting<Batch, E extends Exporter<Batch>>(
  exporter: E & Exporter<Batch>,
  note: (batch: Batch, error?: Error) => void,
): E {
  const send = exporter.export.bind(exporter);
  exporter.export = (batch, done) => {
    send(batch, (result) => {
      const error = result.error ?? new Error("the exporter gives no reason");
      note(batch, result.code === 0 ? undefined : error);
      done(result);
    });
  };
  return exporter;
}
