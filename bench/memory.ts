import { execFileSync } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { Benchmark, Row } from './benchmark.ts';

const FEW = 20;
const MANY = 500;

function peakMegabytes(folder: string, groups: number): { peak: number; parameters: number } {
  const child = fileURLToPath(new URL('./memory-child.ts', import.meta.url));
  const output = execFileSync(process.execPath, ['--import', 'tsx', child, folder, String(groups)], {
    encoding: 'utf8',
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  const { peakKiB, parameters } = JSON.parse(output);
  return { peak: (peakKiB * 1024) / 1e6, parameters };
}

/** Peak resident memory of a whole run with few and with many groups, two workers each. */
export const memory: Benchmark = {
  name: 'memory',
  describe: `peak memory of a run with ${FEW} and with ${MANY} synthetic groups`,
  run: async () => {
    const folder = mkdtempSync(join(tmpdir(), 'pluralllm-bench-'));
    try {
      const few = peakMegabytes(folder, FEW);
      const many = peakMegabytes(folder, MANY);
      const updates = (4 * many.parameters * (MANY - FEW)) / 1e6;
      const rows: Row[] = [
        { name: `peak memory, ${FEW} groups`, value: few.peak, unit: 'MB' },
        {
          name: `peak memory, ${MANY} groups`,
          value: many.peak,
          unit: 'MB',
          peer: `${FEW} groups`,
          ratio: many.peak / few.peak,
        },
        { name: `updates of ${MANY - FEW} groups, were they kept`, value: updates, unit: 'MB' },
      ];
      return rows;
    } finally {
      rmSync(folder, { recursive: true, force: true });
    }
  },
};
