import { defineCommand } from '../command.ts';
import { MEMBER_FOLDER, withFolder } from '../group/folder.ts';
import { takePart } from '../group/take-part.ts';

export const serveCommand = defineCommand({
  usage: 'serve <folder>',
  describe: 'help to open the sum of every round until the run is over',
  options: (parser) => withFolder(parser, MEMBER_FOLDER).example('$0 committee serve notary', ''),
  run: async ({ folder }, terminal) => {
    const options = { folder, scores: false, device: 'cpu', patienceMs: Number.POSITIVE_INFINITY };
    const { ended, model } = await takePart(options, terminal, (participant) => participant.watch());
    terminal.event({ type: 'outcome', ended, model });
    terminal.print(`The run is ${ended}. Digest of its last model: ${model}`);
  },
});
