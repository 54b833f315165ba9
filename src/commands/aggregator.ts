import { initCommand } from './aggregator/init.ts';
import { inviteCommand } from './aggregator/invite.ts';
import { reportCommand } from './aggregator/report.ts';
import { serveCommand } from './aggregator/serve.ts';
import { startCommand } from './aggregator/start.ts';
import { statusCommand } from './aggregator/status.ts';
import { revokeCommand, stopCommand } from './aggregator/stop.ts';
import type { Command } from './command.ts';
import { nestedCommand } from './nested.ts';

export const aggregatorCommand: Command = nestedCommand(
  'aggregator',
  'run an aggregator: a server that coordinates rounds and adds updates',
  [
    initCommand,
    serveCommand,
    startCommand,
    inviteCommand,
    statusCommand,
    reportCommand,
    stopCommand,
    revokeCommand,
  ],
);
