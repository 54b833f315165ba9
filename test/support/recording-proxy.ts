import { connect, createServer, type Socket } from 'node:net';

/** Stands between one participant and its aggregator, and keeps all bytes of both directions. */
export interface RecordingProxy {
  readonly url: string;
  /** What came from the aggregator, a piece for each connection. */
  received(): Buffer[];
  /** What went to it. */
  sent(): Buffer[];
  close(): Promise<void>;
}

/** A proxy to a port of this machine. */
export async function recordingProxy(port: number): Promise<RecordingProxy> {
  const pieces = { received: [] as Buffer[][], sent: [] as Buffer[][] };
  const sockets = new Set<Socket>();
  const server = createServer((client) => {
    const upstream = connect(port, '127.0.0.1');
    const both = { received: [] as Buffer[], sent: [] as Buffer[] };
    pieces.received.push(both.received);
    pieces.sent.push(both.sent);
    for (const socket of [client, upstream]) {
      sockets.add(socket);
      socket.on('error', () => undefined);
      socket.on('close', () => {
        sockets.delete(socket);
        client.destroy();
        upstream.destroy();
      });
    }
    client.on('data', (bytes) => void both.sent.push(Buffer.from(bytes)));
    upstream.on('data', (bytes) => void both.received.push(Buffer.from(bytes)));
    client.pipe(upstream);
    upstream.pipe(client);
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const address = server.address();
  if (address === null || typeof address === 'string') throw new Error('no port');
  return {
    url: `http://127.0.0.1:${address.port}`,
    received: () => pieces.received.map((parts) => Buffer.concat(parts)),
    sent: () => pieces.sent.map((parts) => Buffer.concat(parts)),
    close: () => {
      for (const socket of sockets) socket.destroy();
      return new Promise((resolve) => server.close(() => resolve()));
    },
  };
}
