import type { Command } from './command.ts';
import { initCommand } from './committee/init.ts';
import { joinCommand } from './committee/join.ts';
import { serveCommand } from './committee/serve.ts';
import { statusCommand } from './committee/status.ts';
import { nestedCommand } from './nested.ts';

export const committeeCommand: Command = nestedCommand(
  'committee',
  'help to open the sums of a run without being a group of it (protection seal)',
  [initCommand, joinCommand, serveCommand, statusCommand],
);
