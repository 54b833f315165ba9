import { z } from 'zod';
import { publicKeySchema } from './identity.ts';
import { countSchema, digestSchema } from './run-definition.ts';

/** What a frame is for: a training step there or back, a prediction, the check around a morph, what a stage is for who stands by for it, or a share of the key of its deposit. */
export const FRAME_KINDS = ['forward', 'backward', 'query', 'probe', 'memory', 'share'] as const;
export type FrameKind = (typeof FRAME_KINDS)[number];

/** How the numbers of tasks stand in a payload: as they are, or a byte each with one scale for a row. */
export const FRAME_TYPES = ['float32', 'int8'] as const;
export type FrameType = (typeof FRAME_TYPES)[number];
/** A stage is told in full, a share as bytes. */
export const PAYLOAD_TYPES = [...FRAME_TYPES, 'float64', 'uint8'] as const;
export type PayloadType = (typeof PAYLOAD_TYPES)[number];

/** Far more rows than a task has points; bounds what one frame makes its receiver hold. */
const MOST_ROWS = 65_536;
const MOST_WIDTH = 4096;

const count = z.int().min(0);

/** The part of a frame that the relay can read. It is signed with the payload and bound to it by the seal. */
export const frameHeaderSchema = z.strictObject({
  /** Digest of the run. */
  run: digestSchema,
  kind: z.enum(FRAME_KINDS),
  /** Epoch of the morphs, whose keys seal it. */
  epoch: countSchema,
  /** No larger than whoever takes note of it can store, and say of itself. */
  round: countSchema,
  attempt: count,
  /** Step of the round, or number of a query or probe. */
  step: count,
  /** Public key of the group whose task it is; of the first keeper, where it is a probe; of its sender, where it is a stage or a share. */
  group: publicKeySchema,
  /** Between which parts: 0 after the front, 1 after the first stage, and so on. Where it is a stage, its number; where it is a share, that of the stage in the deposit. */
  boundary: count,
  from: publicKeySchema,
  to: publicKeySchema,
  type: z.enum(PAYLOAD_TYPES),
  rows: z.int().min(1).max(MOST_ROWS),
  width: z.int().min(1).max(MOST_WIDTH),
  /** Points of the task: what a stage has to know of it. */
  context: z.int().min(1).max(MOST_ROWS),
  target: z.int().min(1).max(MOST_ROWS),
  /** Grows from frame to frame of a sender. */
  sequence: count,
});

export type FrameHeader = z.output<typeof frameHeaderSchema>;
