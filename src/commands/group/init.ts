import { GroupHome } from '../../client/home.ts';
import { readOwnAnswers } from '../../client/own-answers.ts';
import { defineCommand } from '../command.ts';
import { withFolder } from './folder.ts';

export const initCommand = defineCommand({
  usage: 'init <folder>',
  describe: "make a group's folder: a key of its own, and the group's answers",
  options: (parser) =>
    withFolder(parser)
      .option('answers', {
        type: 'string',
        demandOption: true,
        describe:
          "file or folder with the group's answers, as dataset import reads them, or a shipped survey",
      })
      .option('group', { type: 'string', describe: 'which group it is, where the file has several' })
      .example('$0 group init mine --answers mine.csv', '')
      .example('$0 group init demo --answers nonvoters --group democrat-white-65+', 'for a trial'),
  run: async (flags, terminal) => {
    const { survey, groupId } = await readOwnAnswers(flags.answers, flags.group, (message) =>
      terminal.note(`warning: ${message}`),
    );
    const home = new GroupHome(flags.folder);
    const { publicKey } = home.create(survey, groupId);
    const answers = home.answers().answers[0]!.length;
    terminal.event({ type: 'initialised', folder: flags.folder, group: groupId, answers, publicKey });
    terminal.print(`${flags.folder}: group "${groupId}", ${answers} answers, readable by you alone`);
    terminal.print(`Public key: ${publicKey}`);
    terminal.print(`Next: pluralllm group join ${flags.folder} <invitation>`);
  },
});
