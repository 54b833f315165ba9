import type { Command } from './command.ts';
import { initCommand } from './keeper/init.ts';
import { joinCommand } from './keeper/join.ts';
import { serveCommand } from './keeper/serve.ts';
import { statusCommand } from './keeper/status.ts';
import { nestedCommand } from './nested.ts';

export const keeperCommand: Command = nestedCommand(
  'keeper',
  'keep one stage of a model that no participant ever holds (sharding)',
  [initCommand, joinCommand, serveCommand, statusCommand],
);
