import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { ROOT } from './cli.ts';

/** The last column of the table of a protection's messages in docs/protocol.md, by step: bytes, and bytes for each other. `where`: what else its heading says. */
export function documentedSizes(protection: string, where = ''): Readonly<Record<string, string>> {
  const [, section = ''] = readFileSync(join(ROOT, 'docs/protocol.md'), 'utf8').split(
    `## Payloads of protection \`${protection}\`${where}\n`,
  );
  const [own = ''] = section.split('\n## ');
  const rows = own.matchAll(/^\| `([a-z]+)` \|.* \| ([\d +,]+)(?: a (?:neighbour|member))? \|$/gm);
  return Object.fromEntries([...rows].map(([, step, size]) => [step, size!.replaceAll(',', '')]));
}
