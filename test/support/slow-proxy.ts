import { connect, createServer, type Socket } from 'node:net';
import { setTimeout as wait } from 'node:timers/promises';

export interface SlowProxyOptions {
  /** Where connections go on to, on this machine. */
  readonly port: number;
  /** Of each direction, all connections together. */
  readonly bytesPerSecond: number;
  /** After so many bytes of both directions all connections are cut; null: never. */
  readonly dropEveryBytes: number | null;
}

/** A slow link to a server on this machine. */
export interface SlowProxy {
  readonly port: number;
  /** Bytes that came through, of both directions. */
  readonly carried: () => number;
  /** How often all connections were cut. */
  readonly drops: () => number;
  close(): Promise<void>;
}

/** Bytes that move at once: small against what comes between two cuts. */
const SLICE_BYTES = 8192;

/** One direction: slices leave one after the other, as fast as the link is. */
class Lane {
  readonly #bytesPerSecond: number;
  #freeAt = 0;

  constructor(bytesPerSecond: number) {
    this.#bytesPerSecond = bytesPerSecond;
  }

  async pass(bytes: number): Promise<void> {
    const now = performance.now();
    this.#freeAt = Math.max(now, this.#freeAt) + (1000 * bytes) / this.#bytesPerSecond;
    await wait(this.#freeAt - now);
  }
}

/** Counts what comes through, and cuts. */
class Link {
  readonly sockets = new Set<Socket>();
  carried = 0;
  drops = 0;
  readonly #dropEveryBytes: number;
  #sinceDrop = 0;

  constructor(dropEveryBytes: number | null) {
    this.#dropEveryBytes = dropEveryBytes ?? Number.POSITIVE_INFINITY;
  }

  count(bytes: number): void {
    this.carried += bytes;
    this.#sinceDrop += bytes;
    if (this.#sinceDrop < this.#dropEveryBytes) return;
    this.#sinceDrop = 0;
    this.drops++;
    this.cut();
  }

  cut(): void {
    for (const socket of this.sockets) socket.resetAndDestroy();
    this.sockets.clear();
  }
}

async function forward(from: Socket, to: Socket, lane: Lane, link: Link): Promise<void> {
  for await (const chunk of from) {
    const bytes: Buffer = chunk;
    for (let at = 0; at < bytes.byteLength; at += SLICE_BYTES) {
      const slice = bytes.subarray(at, at + SLICE_BYTES);
      await lane.pass(slice.byteLength);
      if (to.destroyed) return;
      to.write(slice);
      link.count(slice.byteLength);
    }
  }
  to.end();
}

/** Opens a slow link on a free port of 127.0.0.1. */
export async function slowProxy({
  port,
  bytesPerSecond,
  dropEveryBytes,
}: SlowProxyOptions): Promise<SlowProxy> {
  const link = new Link(dropEveryBytes);
  const [up, down] = [new Lane(bytesPerSecond), new Lane(bytesPerSecond)];
  const server = createServer({ allowHalfOpen: true }, (near) => {
    const far = connect({ host: '127.0.0.1', port, allowHalfOpen: true });
    for (const socket of [near, far]) link.sockets.add(socket.on('error', () => undefined));
    // Each end is over when the other is; what is cut throws here and has been said already.
    const both = [forward(near, far, up, link), forward(far, near, down, link)];
    Promise.all(both)
      .catch(() => undefined)
      .finally(() => {
        for (const socket of [near, far]) {
          link.sockets.delete(socket);
          socket.destroy();
        }
      });
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const address = server.address();
  if (address === null || typeof address === 'string') throw new Error('a port of 127.0.0.1');
  return {
    port: address.port,
    carried: () => link.carried,
    drops: () => link.drops,
    close: async () => {
      link.cut();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}
