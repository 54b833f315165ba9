import { GroupHome } from '../../client/home.ts';
import { defineCommand } from '../command.ts';
import { MEMBER_FOLDER, withFolder } from '../group/folder.ts';

export const initCommand = defineCommand({
  usage: 'init <folder>',
  describe: "make a member's folder: a key of its own, and no answers",
  options: (parser) => withFolder(parser, MEMBER_FOLDER).example('$0 committee init notary', ''),
  run: async ({ folder }, terminal) => {
    const { publicKey } = new GroupHome(folder).createWithoutAnswers();
    terminal.event({ type: 'initialised', folder, publicKey });
    terminal.print(`${folder}: a member of a committee, readable by you alone`);
    terminal.print(`Public key: ${publicKey}`);
    terminal.print(`Next: pluralllm committee join ${folder} <invitation>`);
  },
});
