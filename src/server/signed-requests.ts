import type { FastifyInstance, FastifyRequest } from 'fastify';
import { invariant } from '../core/errors.ts';
import { runIdSchema } from '../wire/run-definition.ts';
import type { SignedClaim } from '../wire/signed-request.ts';
import type { Aggregator } from './aggregator.ts';
import { checkBody, claimOf, spendNonce } from './authenticate.ts';
import { keeperOf, noteKeeperSeen } from './keepers.ts';
import { unknownRun } from './locked-run.ts';
import { type Member, memberOf, noteSeen } from './members.ts';
import type { RecentNonces } from './recent-nonces.ts';
import type { RouteServices } from './services.ts';
import type { KeepersTable } from './store/tables.ts';

/** Whose requests a route takes: anybody's who joins, those of groups, or those of all who can have a seat in a sharded run. */
export type Signers = 'anybody' | 'groups' | 'seats';

/** Who sent a request, and the bytes it came with. */
interface Signed {
  readonly claim: SignedClaim;
  /** Null on the routes by which a new key joins, and for a keeper. */
  readonly member: Member | null;
  /** Null for all others. */
  readonly keeper: KeepersTable | null;
  body: Buffer;
}

const NOTHING = Buffer.alloc(0);
const signed = new WeakMap<FastifyRequest, Signed>();

function signedOf(request: FastifyRequest): Signed {
  const found = signed.get(request);
  invariant(found !== undefined, 'a route of groups checks signatures first');
  return found;
}

/** The key that signed a request. */
export function keyOf(request: FastifyRequest): string {
  return signedOf(request).claim.publicKey;
}

/** The group that signed a request. */
export function memberOfRequest(request: FastifyRequest): Member {
  const { member } = signedOf(request);
  invariant(member !== null, 'routes of groups are for members');
  return member;
}

/** The group of a request, where it got as far as that. */
export function knownMember(request: FastifyRequest): Member | null {
  return signed.get(request)?.member ?? null;
}

/** The keeper that signed a request; null where a group did. */
export function keeperOfRequest(request: FastifyRequest): KeepersTable | null {
  return signedOf(request).keeper;
}

/** The path of a request may be anything: what is no run id names no run. */
function runOf({ params }: FastifyRequest): string {
  const named = typeof params === 'object' && params !== null && 'run' in params ? params.run : undefined;
  const parsed = runIdSchema.safeParse(named);
  if (parsed.success) return parsed.data;
  throw unknownRun(String(named).slice(0, 80));
}

const NOBODY = { member: null, keeper: null };

/** Errors: KEY_UNKNOWN, KEY_REVOKED. */
async function signerOf(aggregator: Aggregator, run: string, publicKey: string, of: Signers) {
  const keeper = of === 'seats' ? await keeperOf(aggregator, run, publicKey) : undefined;
  if (keeper !== undefined) return { member: null, keeper };
  return { member: await memberOf(aggregator, run, publicKey), keeper: null };
}

/**
 * Makes all routes of `app` need a signature. Signature, clock and key are checked before the body is read; body and
 * nonce before anything is done. `of`: whose requests they take; `nonces`: where nonces are kept, left out: in the database.
 *
 * What is refused counts for the address, for anybody can make a key or name another's; the rest counts for the key.
 */
export function requireSignature(
  app: FastifyInstance,
  { aggregator, rates }: RouteServices,
  { of, nonces = null }: { readonly of: Signers; readonly nonces?: RecentNonces | null },
): void {
  const joining = of === 'anybody';
  app.addHook('onRequest', async (request, reply) => {
    try {
      const claim = claimOf(aggregator, request);
      const signer = joining ? NOBODY : await signerOf(aggregator, runOf(request), claim.publicKey, of);
      signed.set(request, { claim, ...signer, body: NOTHING });
    } catch (thrown) {
      await rates.countAddress(request, reply);
      throw thrown;
    }
    if (joining) await rates.checkAddress(request, reply);
    else await rates.countKey(request, reply, keyOf(request));
  });
  if (joining) {
    app.addHook('onError', async (request, reply) => {
      if (signed.has(request)) await rates.countAddress(request, reply).catch(() => undefined);
    });
  }
  for (const type of ['application/json', 'application/octet-stream']) {
    app.addContentTypeParser(type, { parseAs: 'buffer' }, (request, body, done) => {
      const bytes = typeof body === 'string' ? Buffer.from(body, 'utf8') : body;
      signedOf(request).body = bytes;
      if (type === 'application/octet-stream') return done(null, bytes);
      try {
        done(null, bytes.byteLength === 0 ? undefined : JSON.parse(bytes.toString('utf8')));
      } catch {
        // What the parser says quotes the body, and bodies hold tokens: it would stand in the log.
        done(Object.assign(new Error('the body is not JSON'), { statusCode: 400 }), undefined);
      }
    });
  }
  app.addHook('preValidation', async (request) => {
    const { claim, body } = signedOf(request);
    checkBody(claim, body);
  });
  app.addHook('preHandler', async (request) => {
    const { claim, member, keeper } = signedOf(request);
    if (nonces === null) await spendNonce(aggregator, claim);
    else nonces.spend(claim);
    if (member !== null) await noteSeen(aggregator, member);
    if (keeper !== null) await noteKeeperSeen(aggregator, keeper);
  });
}
