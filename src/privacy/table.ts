import { mask } from './mask.ts';
import { none } from './none.ts';
import type { ProtectionKind } from './protection.ts';
import { seal, sealSingle } from './seal.ts';

/** Every kind of protection. To add one: write its file, add it here, call the conformance suite. */
export const PROTECTIONS: readonly ProtectionKind[] = [none, mask, seal, sealSingle];
