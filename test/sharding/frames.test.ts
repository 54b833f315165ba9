import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { keyPairOf } from '../../src/privacy/secure-sum/key-agreement.ts';
import { Link } from '../../src/sharding/frames/link.ts';
import { Links } from '../../src/sharding/frames/links.ts';
import { packFrame, payloadBytes, unpackFrame } from '../../src/sharding/frames/payload.ts';
import { openFrame, readFrame, sealFrame } from '../../src/sharding/frames/sealed-frame.ts';
import { takeSeat } from '../../src/sharding/frames/seats.ts';
import { decodeItems, encodeCbor } from '../../src/wire/cbor.ts';
import { identityOf } from '../../src/wire/identity.ts';
import { FRAME_TYPES, type FrameHeader } from '../../src/wire/shard-frame.ts';
import { RUN } from '../support/sharded-run.ts';
import { keyOf } from '../support/sharding.ts';

/** Beyond it the scale of a row may round to infinity; training is lost long before. */
const MOST = Math.fround(1e30);

const frames = fc
  .tuple(fc.integer({ min: 1, max: 6 }), fc.integer({ min: 1, max: 6 }))
  .chain(([rows, width]) =>
    fc
      .array(fc.float({ noNaN: true, min: -MOST, max: MOST }), {
        minLength: rows * width,
        maxLength: rows * width,
      })
      .map((numbers) => ({ rows, width, data: Float32Array.from(numbers) })),
  );

describe('a payload', () => {
  test('of float32 gives every number back, and has the bytes that its shape says', () => {
    fc.assert(
      fc.property(frames, (frame) => {
        const bytes = packFrame(frame, 'float32');
        expect(bytes.byteLength).toBe(payloadBytes('float32', frame.rows, frame.width));
        expect(unpackFrame(bytes, { type: 'float32', ...frame })).toEqual(frame);
      }),
    );
  });

  test('of int8 is off by half a step of its row at most', () => {
    fc.assert(
      fc.property(frames, (frame) => {
        const bytes = packFrame(frame, 'int8');
        expect(bytes.byteLength).toBe(payloadBytes('int8', frame.rows, frame.width));
        const found = unpackFrame(bytes, { type: 'int8', ...frame })!;
        for (const [index, value] of frame.data.entries()) {
          const row = Math.floor(index / frame.width) * frame.width;
          const most = Math.max(...frame.data.subarray(row, row + frame.width).map(Math.abs));
          // float32 rounds the scale, and below its normal numbers by more.
          expect(Math.abs(found.data[index]! - value)).toBeLessThanOrEqual(
            (most / 254) * 1.001 + 127 * 2 ** -149,
          );
        }
      }),
    );
  });

  test('of another length, or with a number that is none, is none', () => {
    const frame = { rows: 1, width: 2, data: Float32Array.of(1, 2) };
    for (const type of FRAME_TYPES) {
      expect(unpackFrame(packFrame(frame, type).subarray(1), { type, rows: 1, width: 2 })).toBeNull();
      const broken = packFrame({ ...frame, data: Float32Array.of(1, Number.NaN) }, type);
      expect(unpackFrame(broken, { type, rows: 1, width: 2 })).toBeNull();
    }
  });
});

const member = (name: string) => {
  const identity = identityOf(Buffer.from(keyOf(name)).toString('hex'));
  const keys = keyPairOf(keyOf(name, 'agreement'));
  return {
    identity,
    keys,
    id: identity.publicKey,
    seat: takeSeat(RUN, identity, keys.publicKey),
  };
};
const [sender, receiver, stranger] = ['sender', 'receiver', 'stranger'].map(member) as [
  Member,
  Member,
  Member,
];
type Member = ReturnType<typeof member>;
const linkOf = (own: Member, other: Member, run = RUN) => Link.between({ run }, own, other.seat);
const frame = { rows: 2, width: 3, data: Float32Array.of(1, -2, 3, 0.5, 0, -1) };
const header: FrameHeader = {
  ...{ run: RUN, kind: 'forward', epoch: 0, round: 1, attempt: 0, step: 4, group: sender.id, boundary: 0 },
  ...{
    from: sender.id,
    to: receiver.id,
    type: 'float32',
    rows: 2,
    width: 3,
    context: 1,
    target: 1,
    sequence: 7,
  },
};
const sealed = () => sealFrame(frame, header, linkOf(sender, receiver), sender.identity);

describe('a sealed frame', () => {
  test('is opened by whom it is for, and tells whoever carries it where it goes and no number', () => {
    const bytes = sealed();
    const read = readFrame(bytes);
    expect(read.header).toEqual(header);
    expect(openFrame(read, linkOf(receiver, sender))).toEqual(frame);
    expect(Buffer.from(bytes).includes(Buffer.from(frame.data.buffer))).toBe(false);
    expect(sealed()).not.toEqual(bytes);
  });

  test('is not opened by anybody else, in another epoch, of another run, or the other way round', () => {
    const read = readFrame(sealed());
    const back = readFrame(
      sealFrame(
        frame,
        { ...header, from: receiver.id, to: sender.id },
        linkOf(sender, receiver),
        receiver.identity,
      ),
    );
    const link = linkOf(receiver, sender);
    expect(() => openFrame(back, link)).not.toThrow();
    const turned = { ...read, header: { ...read.header, from: receiver.id } };
    for (const [one, other] of [
      [read, linkOf(stranger, sender)],
      [read, link.next()],
      [read, linkOf(receiver, sender, 'f'.repeat(64))],
      [turned, link],
    ] as const) {
      expect(() => openFrame(one, other)).toThrow(expect.objectContaining({ code: 'FRAME_REFUSED' }));
    }
  });

  test('of which a byte is changed is refused (property)', () => {
    const bytes = sealed();
    fc.assert(
      fc.property(fc.nat(bytes.byteLength - 1), fc.integer({ min: 1, max: 255 }), (at, by) => {
        const changed = Uint8Array.from(bytes);
        changed[at] = changed[at]! ^ by;
        expect(() => readFrame(changed)).toThrow(expect.objectContaining({ code: 'FRAME_REFUSED' }));
      }),
      { numRuns: 300 },
    );
  });

  test('signed anew by another, or under another header, does not open', () => {
    const { header: _, ...rest } = decodeItems(sealed(), 64) as {
      header: FrameHeader;
      sealed: Uint8Array<ArrayBuffer>;
    };
    const link = linkOf(receiver, sender);
    const own = sealFrame(
      frame,
      { ...header, from: stranger.id },
      linkOf(stranger, receiver),
      stranger.identity,
    );
    expect(() => openFrame(readFrame(own), link)).toThrow(expect.objectContaining({ code: 'FRAME_REFUSED' }));
    // The sender itself, or who has its signing key, puts an old payload under a new header.
    const moved = { ...header, step: 5 };
    const fresh = readFrame(sealFrame(frame, moved, linkOf(sender, receiver), sender.identity));
    expect(() => openFrame({ ...fresh, sealed: rest.sealed }, link)).toThrow(
      expect.objectContaining({ code: 'FRAME_REFUSED' }),
    );
  });

  test('is refused with bytes behind it, and where it is no frame', () => {
    for (const bytes of [Buffer.concat([sealed(), Buffer.of(0)]), new Uint8Array(), encodeCbor({ header })]) {
      expect(() => readFrame(bytes)).toThrow(expect.objectContaining({ code: 'FRAME_REFUSED' }));
    }
  });
});

describe('a link', () => {
  test('is the same at both ends in every epoch, and another in each', () => {
    let [own, other] = [linkOf(sender, receiver), linkOf(receiver, sender)];
    const seen = new Set<string>();
    for (let epoch = 0; epoch < 5; epoch++) {
      expect(own.epoch).toBe(epoch);
      expect(other.morphKey()).toEqual(own.morphKey());
      expect(other.sealKey(sender.id)).toEqual(own.sealKey(sender.id));
      for (const key of [own.morphKey(), own.sealKey(sender.id), own.sealKey(receiver.id), own.secret()]) {
        seen.add(Buffer.from(key).toString('hex'));
      }
      [own, other] = [own.next(), other.next()];
    }
    expect(seen.size).toBe(20);
  });

  test('goes on from its secret, forgets it, and takes no key that is none', () => {
    const link = linkOf(sender, receiver).next();
    const again = Link.from(1, link.secret());
    expect(again.next().morphKey()).toEqual(link.next().morphKey());
    link.forget();
    for (const use of [() => link.secret(), () => link.next(), () => link.morphKey()]) {
      expect(use).toThrow(expect.objectContaining({ code: 'INTERNAL' }));
    }
    const nothing = { ...receiver.seat, agreementKey: '0'.repeat(64) };
    expect(() => Link.between({ run: RUN }, sender, nothing)).toThrow(
      expect.objectContaining({ code: 'FRAME_REFUSED' }),
    );
  });
});

describe('links', () => {
  const seat = (name: string) => {
    const identity = identityOf(Buffer.from(keyOf('links', name)).toString('hex'));
    return takeSeat(RUN, identity, keyPairOf(keyOf('links of', name)).publicKey);
  };
  const own = { id: seat('a').id, keys: keyPairOf(keyOf('links of', 'a')) };
  const others = [seat('b'), seat('c')];
  const open = () => new Links(new Map(others.map((to) => [to.id, Link.between({}, own, to)])), {});

  test('of a later epoch are what these come to, and these stay where they are until they are forgotten (property)', () => {
    fc.assert(
      fc.property(fc.nat(20), fc.nat(20), (now, more) => {
        const links = open();
        links.advanceTo(now);
        const before = links.memory();
        const later = links.copyAt(now + more);
        expect(links.memory()).toEqual(before);
        const gone = open();
        gone.advanceTo(now + more);
        expect(later.memory()).toEqual(gone.memory());
        links.forget();
        expect(() => links.memory()).toThrow('a link that was forgotten');
        expect(later.memory()).toEqual(gone.memory());
      }),
    );
    const links = open();
    links.advanceTo(3);
    for (const epoch of [2, 3 + 100_001]) {
      expect(() => links.copyAt(epoch)).toThrow(expect.objectContaining({ code: 'ROUND_REFUSED' }));
    }
  });
});
