// Runs the commands of README.md's `sh` blocks in order. `npm test` has just run by itself.
import { execSync } from 'node:child_process';
import { readFileSync } from 'node:fs';

const blocks = [...readFileSync('README.md', 'utf8').matchAll(/```sh\n([\s\S]*?)```/g)];
const commands = blocks.flatMap(([, block]) => block.trim().split('\n'));
if (commands.length === 0) throw new Error('README.md has no commands');
for (const command of commands) {
  if (command === 'npm ci && npm test') continue;
  const started = Date.now();
  console.log(`$ ${command}`);
  execSync(command, { stdio: 'inherit' });
  console.log(`(${((Date.now() - started) / 1000).toFixed(0)} s)`);
}
