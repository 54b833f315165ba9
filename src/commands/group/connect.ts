import { AggregatorApi } from '../../client/api.ts';
import type { RetryEvent } from '../../client/group-events.ts';
import { type Retry, retryWith } from '../../client/retry.ts';
import { httpTransport } from '../../client/transport.ts';
import type { Identity } from '../../wire/identity.ts';
import type { Terminal } from '../terminal.ts';

/** Which run of which aggregator. */
export interface Destination {
  readonly url: string;
  readonly run: string;
  readonly aggregatorKey: string;
  readonly ca: string | null;
}

export interface Connection {
  readonly api: AggregatorApi;
  readonly retry: Retry;
  close(): void;
}

/** Says that something is waited out: to people the first time in a row, to machines each time. */
function showWaiting(terminal: Terminal, event: RetryEvent): void {
  terminal.event(event);
  const seconds = Math.ceil(event.waitMs / 1000);
  terminal.note(`${event.message}; trying again in ${seconds} s`);
}

/** A connection to an aggregator, as patient as said. */
export function connect(
  identity: Identity,
  { url, run, aggregatorKey, ca }: Destination,
  options: { readonly patienceMs: number; readonly signal: AbortSignal; readonly terminal: Terminal },
): Connection {
  const { patienceMs, signal, terminal } = options;
  const transport = httpTransport({ url, ca, signal });
  const retry = retryWith({
    patienceMs,
    signal,
    onWait: ({ error: { code, message }, waitMs }) =>
      showWaiting(terminal, { type: 'retry', code, message, waitMs }),
  });
  const api = new AggregatorApi({ transport: transport.send, identity, aggregatorKey, run, retry });
  return { api, retry, close: transport.close };
}
