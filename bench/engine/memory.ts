import { execFileSync } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import type { Row } from '../benchmark.ts';

/** Resident memory of a process that does nothing but steps of ever other sizes. */
export function memoryRows(): Row[] {
  const child = fileURLToPath(new URL('./memory-child.ts', import.meta.url));
  const output = execFileSync(process.execPath, ['--import', 'tsx', child], {
    encoding: 'utf8',
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  const { early, late } = JSON.parse(output);
  return [
    { name: 'resident-mib-after-200-steps', value: early, unit: 'MiB' },
    {
      name: 'resident-mib-after-2000-steps',
      value: late,
      unit: 'MiB',
      peer: 'after 200 steps',
      ratio: late / early,
    },
  ];
}
