import { asStage } from '../../src/core/brand.ts';
import type { Aggregate, Model, ProtectedUpdate, Update } from '../../src/wire/stages.ts';
import { decodeSubmission, encodeSubmission, type Origin } from '../../src/wire/submission.ts';

/**
 * Mistakes that must not compile. `tsc --noEmit` (npm run check) reads this file: an `@ts-expect-error` above a line
 * that compiles after all is an error itself, so each one below is a test. Nothing here is ever run.
 */
export function mistakes(
  update: Update,
  protectedUpdate: ProtectedUpdate,
  model: Model,
  origin: Origin,
): void {
  encodeSubmission(protectedUpdate, origin);

  // @ts-expect-error A clear update must not leave its group.
  encodeSubmission(update, origin);

  const { group, round, protection, payload } = protectedUpdate;
  // @ts-expect-error Nor with the right fields around it: only a protection makes a ProtectedUpdate.
  encodeSubmission({ group, round, protection, payload }, origin);

  // @ts-expect-error Spreading a clear update into the right shape drops the brand of neither and gains none.
  encodeSubmission({ ...update, protection: 'none', payload: new Uint8Array() }, origin);

  // @ts-expect-error What came over the wire is a protected update, not a clear one.
  const clear: Update = decodeSubmission(new Uint8Array()).update;

  // @ts-expect-error A stage is readonly.
  model.round = 1;

  // @ts-expect-error An aggregate is no model, though both have a round.
  const next: Model = asStage<'Aggregate', Aggregate>(clear as never);
  consume(clear, next);
}

function consume(..._values: readonly unknown[]): void {}
