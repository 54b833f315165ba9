import { z } from 'zod';
import type { KeeperMemory } from '../sharding/keeper/setup.ts';
import { keeperMemorySchema, storableMemory } from '../sharding/keeper/stored-memory.ts';
import type { Storable } from '../training/checkpoint.ts';

/** What the keepers of a simulated run go on from, in the order of their stages. */
export const keeperMemoriesSchema = z.array(keeperMemorySchema);

/** The same as a checkpoint takes it. */
export function storableMemories(memories: readonly KeeperMemory[]): Storable[] {
  return memories.map(storableMemory);
}
