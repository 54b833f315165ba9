import { KeeperHome } from '../../client/sharding/keeper-home.ts';
import { type KeeperEvent, KeeperService } from '../../client/sharding/keeper-service.ts';
import { defineCommand } from '../command.ts';
import { connect } from '../group/connect.ts';
import { withFolder } from '../group/folder.ts';
import { interruptible } from '../interrupt.ts';
import type { Terminal } from '../terminal.ts';
import { KEEPER_FOLDER } from './folder.ts';

/** What an order that was carried out means, in words; of the others nobody needs to read. */
function orderText({ kind, epoch, round, failure }: Extract<KeeperEvent, { type: 'order' }>): string | null {
  if (failure !== null) return `could not "${kind}": ${failure}`;
  if (kind === 'keep') return `round ${round} of training is stored`;
  return kind === 'settle' ? `epoch ${epoch}` : null;
}

function show(terminal: Terminal, event: KeeperEvent): void {
  terminal.event(event);
  switch (event.type) {
    case 'begun':
      terminal.note(`stage ${event.stage} of ${event.keepers}, for ${event.groups} groups`);
      return;
    case 'came':
      terminal.note(`since the run began: ${event.groups} more groups, ${event.keepers} more keepers`);
      return;
    case 'order': {
      const text = orderText(event);
      if (text !== null) terminal.note(text);
      return;
    }
    case 'refused':
      terminal.note(event.message);
  }
}

export const serveCommand = defineCommand({
  usage: 'serve <folder>',
  describe: 'keep the stage: train it with the groups and answer their predictions, until Ctrl-C',
  options: (parser) => withFolder(parser, KEEPER_FOLDER).example('$0 keeper serve vault', ''),
  run: async ({ folder }, terminal) => {
    const home = new KeeperHome(folder);
    const release = home.lock();
    const { signal } = interruptible();
    try {
      const membership = home.membership();
      const options = { patienceMs: Number.POSITIVE_INFINITY, signal, terminal };
      const { api, close } = connect(home.identity(), membership, options);
      try {
        await KeeperService.serve({ api, home, signal, emit: (event) => show(terminal, event) });
      } finally {
        close();
      }
    } finally {
      release();
    }
  },
});
