import { expect, test } from 'vitest';
import { RelayLine } from '../../src/client/sharding/relay-line.ts';

// A line to the relay: what is sent, at whatever moment, is sent.

/** Comes back after some turns of the queue of what is due at once. */
async function turns(count: number): Promise<void> {
  for (let turn = 0; turn < count; turn++) await Promise.resolve();
}

test('a frame that comes while the request before it ends does not wait for another', async () => {
  for (let count = 0; count < 12; count++) {
    const sent: Uint8Array[] = [];
    const api = {
      relay: async ({ frames }: { readonly frames: readonly Uint8Array[] }) => {
        sent.push(...frames);
      },
      inbox: () => new Promise<never>(() => undefined),
    };
    const handlers = { frame: () => undefined, course: () => undefined };
    const line = new RelayLine(api as never, handlers, new AbortController().signal);
    const first = line.send([Uint8Array.of(1)]);
    await turns(count);
    await line.send([Uint8Array.of(2)]);
    await first;
    expect(sent, `after ${count} turns`).toEqual([Uint8Array.of(1), Uint8Array.of(2)]);
  }
});

test('nothing to send asks nothing of the relay, and keeps nothing else from it', async () => {
  const asked: number[] = [];
  const api = {
    relay: async ({ frames }: { readonly frames: readonly Uint8Array[] }) => void asked.push(frames.length),
    inbox: () => new Promise<never>(() => undefined),
  };
  const handlers = { frame: () => undefined, course: () => undefined };
  const line = new RelayLine(api as never, handlers, new AbortController().signal);
  await line.send([]);
  expect(asked).toEqual([]);
  await line.send([Uint8Array.of(1)]);
  await line.ready('1/1');
  expect(asked).toEqual([1, 0]);
});
