import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { sha256 } from '../../src/core/digest.ts';
import { KeptShares } from '../../src/sharding/deposits/kept-shares.ts';
import { newestOf } from '../../src/sharding/deposits/newest.ts';
import { frameOfShare, shareOfFrame } from '../../src/sharding/deposits/share-frame.ts';
import {
  type DepositContent,
  openDeposit,
  readDeposit,
  type StageShare,
  sealDeposit,
} from '../../src/sharding/deposits/stage-deposit.ts';
import { packFrame, unpackFrame } from '../../src/sharding/frames/payload.ts';
import type { PartMemory } from '../../src/sharding/parts/part-state.ts';
import { decodeItems, encodeCbor } from '../../src/wire/cbor.ts';
import { identityOf } from '../../src/wire/identity.ts';
import type { DepositHeader } from '../../src/wire/stage-deposit.ts';
import { RUN } from '../support/sharded-run.ts';
import { keyOf } from '../support/sharding.ts';

// A stage in a deposit: who can open it, and who cannot.

const SIZE = 5;
const WIDTH = 4;
const identity = identityOf(Buffer.from(keyOf('depositor')).toString('hex'));
const stranger = identityOf(Buffer.from(keyOf('stranger')).toString('hex'));
const shape = { size: SIZE, width: WIDTH };

const values = fc
  .array(fc.double({ noNaN: true, noDefaultInfinity: true }), { minLength: SIZE, maxLength: SIZE })
  .map((numbers) => Float64Array.from(numbers));
const memories: fc.Arbitrary<PartMemory> = fc.record({
  masters: values,
  first: values,
  second: values,
  steps: fc.nat(),
});
/** Deposits of stages of models of any number of them, and shares of some other stages, in any order. */
const cases = fc
  .record({ stages: fc.integer({ min: 3, max: 9 }), memory: memories, part: fc.double({ min: 0, max: 1 }) })
  .chain(({ stages, memory }) =>
    fc
      .record({
        threshold: fc.integer({ min: 2, max: stages - 1 }),
        stage: fc.integer({ min: 0, max: stages - 1 }),
        epoch: fc.nat(),
        round: fc.nat(),
      })
      .map((rest): DepositContent => ({ ...rest, run: RUN, stages, memory, width: WIDTH })),
  );
const chosen = cases.chain((content) => {
  const others = Array.from({ length: content.stages }, (_, stage) => stage).filter(
    (stage) => stage !== content.stage,
  );
  return fc.tuple(fc.constant(content), fc.shuffledSubarray(others));
});

const told = (shares: ReadonlyMap<number, Uint8Array>, stages: readonly number[]): StageShare[] =>
  stages.map((stage) => ({ stage, share: shares.get(stage)! }));

const plain: DepositContent = {
  ...{ run: RUN, stage: 1, epoch: 3, round: 7, stages: 4, threshold: 2, width: WIDTH },
  memory: {
    masters: Float64Array.of(1, 2, 3, 4, 5),
    first: Float64Array.of(0.5, -0.5, 0, 1, 2),
    second: Float64Array.of(9, 8, 7, 6, 5),
    steps: 42,
  },
};

describe('a deposit', () => {
  test('is opened by the shares of any so many stages to the bit, and of fewer by none', () => {
    fc.assert(
      fc.property(chosen, ([content, stages]) => {
        const { bytes, shares, header } = sealDeposit(content, identity);
        expect([...shares.keys()]).not.toContain(content.stage);
        const deposit = readDeposit(bytes);
        expect(deposit.header).toEqual(header);
        const open = () =>
          openDeposit(deposit, told(shares, stages), { ...shape, threshold: content.threshold });
        if (stages.length >= content.threshold) expect(open()).toEqual(content.memory);
        else expect(open).toThrow(expect.objectContaining({ code: 'DEPOSIT_REFUSED' }));
      }),
    );
  });

  test('is not opened by fewer shares, whoever says how many are needed', () => {
    fc.assert(
      fc.property(chosen, ([content, stages]) => {
        const few = stages.slice(0, content.threshold - 1);
        const { bytes, shares } = sealDeposit(content, identity);
        const open = () =>
          openDeposit(readDeposit(bytes), told(shares, few), { ...shape, threshold: few.length });
        if (few.length > 0) expect(open).toThrow('it does not open');
      }),
    );
  });

  test('is refused with any byte of it changed', () => {
    const { bytes } = sealDeposit(plain, identity);
    for (const at of bytes.keys()) {
      const changed = Uint8Array.from(bytes);
      changed[at]! ^= 1;
      expect(() => readDeposit(changed), `byte ${at}`).toThrow(
        expect.objectContaining({ code: 'DEPOSIT_REFUSED' }),
      );
    }
  });

  test('does not open where its header is another, also where somebody signs for that', () => {
    const { bytes, shares } = sealDeposit(plain, identity);
    const { header, sealed } = readDeposit(bytes);
    const changes: readonly Partial<DepositHeader>[] = [
      { run: sha256(Buffer.from('another run')) },
      { stage: 0 },
      { epoch: 4 },
      { round: 8 },
      { id: '0'.repeat(32) },
      { from: stranger.publicKey },
    ];
    for (const change of changes) {
      const forged = { header: { ...header, ...change }, sealed, signature: '' };
      const all = told(shares, [0, 2, 3]);
      expect(() => openDeposit(forged, all, { ...shape, threshold: 2 }), Object.keys(change)[0]).toThrow(
        expect.objectContaining({ code: 'DEPOSIT_REFUSED' }),
      );
      const resigned = encodeCbor({ ...forged, signature: stranger.sign(sealed) });
      expect(() => readDeposit(resigned)).toThrow('did not sign it');
    }
    for (const [index, mark] of header.marks.entries()) {
      const marks = header.marks.with(index, sha256(Buffer.from(mark)));
      const forged = { header: { ...header, marks }, sealed, signature: '' };
      expect(() => openDeposit(forged, told(shares, [0, 2, 3]), { ...shape, threshold: 2 })).toThrow(
        'it does not open',
      );
    }
  });

  test('is opened by the right shares among wrong ones, and by no wrong ones', () => {
    fc.assert(
      fc.property(
        fc.nat({ max: 2 }),
        fc.nat({ max: 31 }),
        fc.integer({ min: 1, max: 255 }),
        (which, at, flip) => {
          const { bytes, shares } = sealDeposit(plain, identity);
          const right = told(shares, [0, 2, 3]);
          const share = Uint8Array.from(right[which]!.share);
          share[at]! ^= flip;
          const wrong = { ...right[which]!, share };
          const open = (all: readonly StageShare[]) =>
            openDeposit(readDeposit(bytes), all, { ...shape, threshold: 2 });
          // Two of one stage are one share, and a share of one stage is none of another.
          expect(open([wrong, ...right.filter((_, index) => index !== which)])).toEqual(plain.memory);
          expect(open([wrong, ...right])).toEqual(plain.memory);
          const [one, other] = right.filter((_, index) => index !== which);
          const few = [
            [one!, wrong],
            [one!, one!],
            [one!, { ...one!, stage: other!.stage }],
            [one!, { ...one!, stage: 1 }],
          ];
          for (const all of few) expect(() => open(all)).toThrow('holders of 1 other stage(s)');
        },
      ),
    );
  });

  test('of another deposit has other shares, also of the same stage', () => {
    const [one, other] = [sealDeposit(plain, identity), sealDeposit(plain, identity)];
    expect(one.header.id).not.toBe(other.header.id);
    const open = () =>
      openDeposit(readDeposit(one.bytes), told(other.shares, [0, 2, 3]), { ...shape, threshold: 2 });
    expect(open).toThrow('holders of 0 other stage(s)');
  });

  test('with something else in it is no stage', () => {
    const other = { ...plain.memory, masters: Float64Array.of(1, 2, 3, 4, Number.NaN) };
    const larger = { ...plain.memory, masters: new Float64Array(50) };
    for (const memory of [other, larger]) {
      const { bytes, shares } = sealDeposit({ ...plain, memory }, identity);
      const open = () => openDeposit(readDeposit(bytes), told(shares, [0, 2, 3]), { ...shape, threshold: 2 });
      expect(open).toThrow('no stage of this size is in it');
    }
  });

  test('too short to be sealed does not open', () => {
    const { header } = sealDeposit(plain, identity);
    const empty = { header, sealed: new Uint8Array(), signature: '' };
    const { shares } = sealDeposit(plain, identity);
    expect(() => openDeposit(empty, told(shares, [0, 2, 3]), { ...shape, threshold: 0 })).toThrow(
      'it does not open',
    );
  });

  test('has no number of the stage in clear, nor a share of its key', () => {
    const { bytes, shares } = sealDeposit(plain, identity);
    expect(Buffer.from(bytes).includes(Buffer.from(plain.memory.second.buffer))).toBe(false);
    for (const share of shares.values()) expect(Buffer.from(bytes).includes(Buffer.from(share))).toBe(false);
    const names = Object.keys(decodeItems(bytes, 512) as object);
    expect(names.sort()).toEqual(['header', 'sealed', 'signature']);
  });
});

describe('shares', () => {
  const share = (stage: number, epoch: number, round: number, id: string, from = 'keeper') => ({
    ...{ stage, epoch, round, id, from },
    share: new Uint8Array(32).fill(round + 1),
  });
  const idsOf = (kept: KeptShares) => kept.memory().map(({ id }) => id);

  test('are kept of the two newest deposits of each stage, in whatever order they come', () => {
    const kept = new KeptShares();
    for (const one of [share(0, 1, 1, 'a'), share(0, 1, 3, 'c'), share(2, 1, 1, 'x'), share(0, 1, 2, 'b')]) {
      kept.keep(one);
    }
    expect(idsOf(kept).sort()).toEqual(['b', 'c', 'x']);
    // One that was there before pushes nothing out.
    kept.keep(share(0, 1, 1, 'a'));
    kept.keep(share(0, 1, 3, 'c'));
    expect(idsOf(kept).sort()).toEqual(['b', 'c', 'x']);
  });

  test('of who keeps a stage push out those of who kept it before, whatever he said of his rounds', () => {
    const kept = new KeptShares();
    for (const one of [share(0, 1, 800, 'a'), share(0, 1, 900, 'b'), share(0, 1, 3, 'c', 'standby')]) {
      kept.keep(one);
    }
    expect(idsOf(kept).sort()).toEqual(['b', 'c']);
    kept.keep(share(0, 1, 4, 'd', 'standby'));
    expect(idsOf(kept).sort()).toEqual(['c', 'd']);
  });

  test('of an earlier epoch are overwritten', () => {
    const kept = new KeptShares();
    const old = [share(0, 1, 1, 'a'), share(2, 1, 1, 'b')];
    for (const one of old) kept.keep(one);
    kept.keep(share(0, 2, 1, 'c'));
    expect(idsOf(kept)).toEqual(['b', 'c']);
    expect(old[0]!.share).toEqual(new Uint8Array(32));
    kept.keepOnly(2);
    expect(idsOf(kept)).toEqual(['c']);
    expect(old[1]!.share).toEqual(new Uint8Array(32));
    expect(kept.of(0, 'c')).not.toBeNull();
    expect(kept.of(0, 'a')).toBeNull();
    expect(kept.of(2, 'c')).toBeNull();
  });

  test('go over a link byte by byte', () => {
    fc.assert(
      fc.property(
        fc.uint8Array({ minLength: 16, maxLength: 16 }),
        fc.uint8Array({ minLength: 32, maxLength: 32 }),
        (id, bytes) => {
          const sent = { id: Buffer.from(id).toString('hex'), share: bytes };
          const frame = frameOfShare(sent);
          const packed = packFrame(frame, 'uint8');
          expect(packed.byteLength).toBe(48);
          const { rows, width } = frame;
          expect(shareOfFrame(unpackFrame(packed, { type: 'uint8', rows, width })!)).toEqual({
            id: sent.id,
            share: Uint8Array.from(bytes),
          });
        },
      ),
    );
  });
});

test('the newest deposits are those of the latest epoch, of who left the last one, of the latest round, and of one round the last that came', () => {
  const from = fc.constantFrom('keeper', 'standby');
  const dated = fc.record({ epoch: fc.nat({ max: 3 }), round: fc.nat({ max: 5 }), from });
  fc.assert(
    fc.property(fc.array(dated, { minLength: 1, maxLength: 8 }), (deposits) => {
      const found = newestOf(deposits);
      const latest = Math.max(...deposits.map(({ epoch }) => epoch));
      const current = deposits.filter(({ epoch }) => epoch === latest);
      expect(found).toHaveLength(Math.min(2, current.length));
      const last = current.at(-1)!.from;
      const later = (a: (typeof deposits)[number], b: (typeof deposits)[number]) => {
        if (a.from !== b.from) return a.from === last;
        return a.round > b.round || (a.round === b.round && deposits.indexOf(a) > deposits.indexOf(b));
      };
      for (const one of found) expect(one.epoch).toBe(latest);
      for (const other of current) {
        if (!found.includes(other)) for (const one of found) expect(later(one, other)).toBe(true);
      }
      if (found.length === 2) expect(later(found[0]!, found[1]!)).toBe(true);
    }),
  );
});
