import { KeeperHome } from '../../client/sharding/keeper-home.ts';
import { defineCommand } from '../command.ts';
import { withFolder } from '../group/folder.ts';
import { KEEPER_FOLDER } from './folder.ts';

export const initCommand = defineCommand({
  usage: 'init <folder>',
  describe: "make a keeper's folder: a key of its own",
  options: (parser) => withFolder(parser, KEEPER_FOLDER).example('$0 keeper init vault', ''),
  run: async ({ folder }, terminal) => {
    const { publicKey } = new KeeperHome(folder).create();
    terminal.event({ type: 'initialised', folder, publicKey });
    terminal.print(`${folder}: a keeper, readable by you alone`);
    terminal.print(`Public key: ${publicKey}`);
    terminal.print(`Next: pluralllm keeper join ${folder} <invitation>`);
  },
});
