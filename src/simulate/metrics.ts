import { join } from 'node:path';
import { z } from 'zod';
import { fileExists, jsonOrNull, readFileText, writeFileAtomic } from '../core/files.ts';
import { finishedModels } from './local-only.ts';
import { checkpointStore } from './progress.ts';
import { RUN_FILES } from './run-folder.ts';

const line = z.discriminatedUnion('type', [
  z.looseObject({ type: z.literal('local-model'), model: z.int() }),
  z.looseObject({ type: z.enum(['round', 'evaluation']), method: z.string(), round: z.int() }),
]);

/**
 * On resume: forgets the figures that were written after the last checkpoint of their method, for they will come
 * again. A line that was cut off by a crash goes with them.
 */
export function rewindMetrics(folder: string, fingerprint: string): void {
  const path = join(folder, RUN_FILES.metrics);
  if (!fileExists(path)) return;
  const reached = new Map<string, number>();
  const roundsOf = (method: string): number => {
    const known = reached.get(method);
    if (known !== undefined) return known;
    const stored = checkpointStore(folder, method, fingerprint, z.unknown()).load();
    const round = stored?.progress.round ?? -1;
    reached.set(method, round);
    return round;
  };
  const models = finishedModels(folder, fingerprint);
  const kept = readFileText(path)
    .split('\n')
    .filter((text) => {
      const parsed = line.safeParse(jsonOrNull(text));
      if (!parsed.success) return false;
      const event = parsed.data;
      return event.type === 'local-model' ? event.model <= models : event.round <= roundsOf(event.method);
    });
  writeFileAtomic(path, kept.map((text) => `${text}\n`).join(''));
}
