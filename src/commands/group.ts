import type { Command } from './command.ts';
import { budgetCommand } from './group/budget.ts';
import { initCommand } from './group/init.ts';
import { joinCommand } from './group/join.ts';
import { leaveCommand } from './group/leave.ts';
import { readersKeyCommand } from './group/readers-key.ts';
import { roundCommand } from './group/round.ts';
import { watchCommand } from './group/watch.ts';
import { nestedCommand } from './nested.ts';

export const groupCommand: Command = nestedCommand(
  'group',
  "take part in an aggregator's run: join, train, send, follow",
  [initCommand, joinCommand, roundCommand, watchCommand, leaveCommand, budgetCommand, readersKeyCommand],
);
