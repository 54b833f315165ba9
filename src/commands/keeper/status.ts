import { KeeperHome } from '../../client/sharding/keeper-home.ts';
import { defineCommand } from '../command.ts';
import { withFolder } from '../group/folder.ts';
import { KEEPER_FOLDER } from './folder.ts';

export const statusCommand = defineCommand({
  usage: 'status <folder>',
  describe: 'which stage a keeper has, and how far it is; asks nobody',
  options: (parser) => withFolder(parser, KEEPER_FOLDER).example('$0 keeper status vault', ''),
  run: async ({ folder }, terminal) => {
    const home = new KeeperHome(folder);
    const { publicKey } = home.identity();
    const membership = home.membershipOrNull();
    if (membership === null) {
      terminal.event({ type: 'keeper', folder, publicKey, run: null });
      terminal.print(`${folder}: in no run. Public key: ${publicKey}`);
      return;
    }
    const { run, url, stage, standby } = membership;
    const stored = home.load();
    const epoch = stored?.memory.links.epoch ?? 0;
    const round = stored?.memory.place.round ?? 0;
    const holds = stored?.memory.holds ?? !standby;
    terminal.event({ type: 'keeper', folder, publicKey, run, url, stage, standby, epoch, round, holds });
    const part = standby ? `stood by for stage ${stage} when it joined` : `keeps stage ${stage}`;
    terminal.print(`Run "${run}" of ${url}: ${part}`);
    terminal.print(
      `Stored: training ${round}, epoch ${epoch}${holds ? '' : ', no stage yet'}. Public key: ${publicKey}`,
    );
  },
});
