/**
 * A stage of a round is a plain readonly value with a brand, so that one stage cannot be passed where another
 * is meant (a clear `Update` to the wire, for instance). The brand exists in the type only.
 */
declare const stage: unique symbol;

export type Stage<Name extends string, Value> = Value & { readonly [stage]: Name };

/** Marks a value as a stage, where it is made: by the stage's own function, or by a decoder that has checked it. */
export function asStage<Name extends string, Value>(value: Value): Stage<Name, Value> {
  return value as Stage<Name, Value>;
}
