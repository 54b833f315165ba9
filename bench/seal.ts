import { randomStream } from '../src/core/random.ts';
import { SCALAR_WORDS } from '../src/privacy/scalars.ts';
import { addCiphertext, emptySum, encrypt, open } from '../src/privacy/seal/ciphertext.ts';
import { planCommittee } from '../src/privacy/seal/committee.ts';
import { loadedRing } from '../src/privacy/seal/loaded-ring.ts';
import { STEP } from '../src/privacy/seal/messages.ts';
import { smallBound } from '../src/privacy/seal/plan.ts';
import { addInto, zeroElement } from '../src/privacy/seal/ring.ts';
import { uniformElement } from '../src/privacy/seal/sample.ts';
import { type SealSettings, sealOptions, sealSettings } from '../src/privacy/seal/settings.ts';
import { seal } from '../src/privacy/seal.ts';
import { ASSUMED } from '../src/privacy/secure-sum/assumptions.ts';
import { updateWords } from '../src/privacy/secure-sum/words.ts';
import type { ProtectedUpdate, Update } from '../src/wire/stages.ts';
import { contextOf, ProtectedRound, SHAPE, updateOf } from '../test/support/protected-round.ts';
import { type Benchmark, median, type Row } from './benchmark.ts';
import { ckks8192 } from './seal-peer.ts';

const PARAMETERS = 1_000_000;
/** All of them members; more than half open. */
const GROUPS = 20;
const SUMMED = 100;
const OPENED_AT = [2, 10, SUMMED];
const TURNS = 7;

/** Processor time of this process in seconds, of all its threads. */
function cpuSeconds(): number {
  const { user, system } = process.cpuUsage();
  return (user + system) / 1e6;
}

function timed<Result>(times: number[], work: () => Result): Result {
  const before = cpuSeconds();
  const result = work();
  times.push(cpuSeconds() - before);
  return result;
}

function randomUpdate(group: string): Update {
  const random = randomStream(1, 'bench seal', group);
  const delta = Float32Array.from({ length: PARAMETERS }, () => random.normal() / 4);
  return updateOf(group, 7, delta, { score: 0.5 });
}

const keyOf = (index: number, what: number) => new Uint8Array(32).fill(index).fill(what, 0, 1);
const SEED = new Uint8Array(32).fill(200);

/** Encrypting and adding an update, and the same with the peer, one after the other. */
async function comparison(settings: SealSettings): Promise<Row[]> {
  const { plan } = settings;
  const peer = await ckks8192();
  const ring = loadedRing();
  const update = randomUpdate('one');
  const values = Float64Array.from(update.delta);
  const times = { ours: { encrypt: [], add: [] }, peer: { encrypt: [], add: [] } } as Record<
    'ours' | 'peer',
    { encrypt: number[]; add: number[] }
  >;
  const peerSum = peer.encrypt(values);
  const peerBytes = peer.bytesOf(peerSum[0]!) * peerSum.length;
  let bytes = 0;
  for (let turn = 0; turn < TURNS; turn++) {
    const wire = timed(times.ours.encrypt, () => {
      const words = updateWords(update, settings, keyOf(turn, 0));
      const secret = uniformElement(keyOf(turn, 1));
      return encrypt(ring, plan, { words, secret, seed: SEED, noiseKey: keyOf(turn, 2) });
    });
    bytes = wire.byteLength;
    const sum = emptySum(plan, PARAMETERS + SCALAR_WORDS);
    timed(times.ours.add, () => addCiphertext(sum, wire, plan));
    const theirs = timed(times.peer.encrypt, () => peer.encrypt(values));
    const theirWire = peer.write(theirs);
    timed(times.peer.add, () => peer.add(peerSum, theirWire));
    peer.free(theirs);
  }
  peer.free(peerSum);
  const against = (name: string, what: 'encrypt' | 'add'): Row => {
    const [ours, theirs] = [median(times.ours[what]), median(times.peer[what])];
    return { name, value: 1000 * ours, unit: 'ms', peer: 'CKKS 8192 {60,40,40,60}', ratio: theirs / ours };
  };
  return [
    { name: 'upload-bytes-per-parameter', value: bytes / PARAMETERS, unit: 'B' },
    {
      name: 'upload-vs-ckks8192',
      value: bytes / PARAMETERS,
      unit: 'B',
      peer: 'CKKS 8192 {60,40,40,60}, compressed',
      ratio: peerBytes / bytes,
    },
    against('encrypt-vs-ckks8192', 'encrypt'),
    against('fold-vs-ckks8192', 'add'),
  ];
}

/** What a member spends in a round of 20 groups that are all members, beside its own update. */
function memberShare(): Row[] {
  const protection = seal.create({ mostGroups: SUMMED }, SHAPE);
  const updates = Array.from({ length: GROUPS }, (_, index) =>
    updateOf(`group-${String(index).padStart(3, '0')}`, 1, new Float32Array(SHAPE.parameters)),
  );
  const round = new ProtectedRound({ protection, updates, context: contextOf(SHAPE.parameters) });
  const spent = new Map<number, number[]>(Object.values(STEP).map((step) => [step, []]));
  const sizes = new Map<number, number>();
  let now: number = STEP.keys;
  round.watch = {
    client: (_group, work) => timed(spent.get(now)!, work),
    server: (work) => work(),
    reply: (step: number, { payload }: ProtectedUpdate) => sizes.set(step, payload.byteLength),
  };
  for (const step of protection.steps.keys()) {
    now = step;
    round.playStep(step);
  }
  round.collection.finish();
  return [
    { name: 'share-cpu-seconds', value: median(spent.get(STEP.open)!), unit: 's' },
    { name: 'share-bytes-per-parameter', value: sizes.get(STEP.open)! / PARAMETERS, unit: 'B' },
    { name: 'deal-cpu-seconds', value: median(spent.get(STEP.shares)!), unit: 's' },
    { name: 'deal-bytes-per-parameter', value: sizes.get(STEP.shares)! / PARAMETERS, unit: 'B' },
  ];
}

/** Adds up a hundred updates of a million parameters, and opens sums on the way and compares them with those of the words. */
function exactSums(settings: SealSettings): Row[] {
  const ring = loadedRing();
  const { plan } = settings;
  const length = PARAMETERS + SCALAR_WORDS;
  const sum = emptySum(plan, length);
  const secretSum = zeroElement();
  const plain = new Uint32Array(length);
  const times: number[] = [];
  const rows: Row[] = [];
  for (let group = 0; group < SUMMED; group++) {
    const words = updateWords(randomUpdate(`group ${group % 5}`), settings, keyOf(group, 0));
    for (let i = 0; i < length; i++) plain[i]! += words[i]!;
    const secret = uniformElement(keyOf(group, 1));
    addInto(secretSum, secret);
    addCiphertext(sum, encrypt(ring, plan, { words, secret, seed: SEED, noiseKey: keyOf(group, 2) }), plan);
    if (!OPENED_AT.includes(group + 1)) continue;
    const opened = timed(times, () => open(ring, plan, { sum, secretSum, seed: SEED, words: length }));
    const wrong = opened === null ? length : opened.filter((word, i) => word !== plain[i]).length;
    rows.push({ name: `wrong sums of ${group + 1} groups`, value: wrong, unit: `of ${length}` });
  }
  return [{ name: 'open-cpu-seconds', value: median(times), unit: 's' }, ...rows];
}

/** A million parameters under `seal`, and under what is common. */
export const sealBenchmark: Benchmark = {
  name: 'seal',
  describe:
    'homomorphic encryption: size and time of an upload against CKKS 8192, cost of a member, exactness',
  run: async () => {
    await seal.create({}, SHAPE).prepare();
    const settings = sealSettings(sealOptions.parse({ mostGroups: SUMMED }), SHAPE);
    const { floodBits } = settings.plan;
    const { members, threshold } = planCommittee(GROUPS, ASSUMED)!;
    return [
      ...(await comparison(settings)),
      ...memberShare(),
      ...exactSums(settings),
      { name: 'members', value: members, unit: 'groups' },
      { name: 'threshold', value: threshold, unit: 'shares' },
      {
        name: 'flooding noise against the rest',
        value: floodBits - Math.log2(smallBound(SUMMED)),
        unit: 'bits',
      },
    ];
  },
};
